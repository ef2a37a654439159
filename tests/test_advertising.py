"""Words that Chinese advertising law and platforms forbid, and ordinary ones that only look so."""

from __future__ import annotations

import pytest

from configs.advertising import find, rules

LIPSTICK, MUG = ("哑光口红", "matte lipstick"), ("陶瓷咖啡杯", "ceramic coffee mug")

REFUSED = [
    ("国家级品质", "国家级"),
    ("最高级的享受", "最高级"),
    ("今冬最佳礼物", "最佳"),
    ("全网最低价", "全网最低"),
    ("最好用的口红", "最好"),
    ("最显白的颜色", "最"),
    ("史上最大优惠", "史上最"),
    ("销量第一", "销量第一"),
    ("国货口红第一品牌", "第一"),
    ("全国第一次亮相", "全国第一"),
    ("国内第一个哑光釉", "国内第一"),
    ("妈妈的首选", "首选"),
    ("唯一的春日限定", "唯一"),
    ("独一无二的红", "独一无二"),
    ("顶级成分", "顶级"),
    ("顶尖工艺", "顶尖"),
    ("红中极品", "极品"),
    ("极致力量", "极致"),
    ("终极色号", "终极"),
    ("至尊重磅上市", "至尊"),
    ("绝无仅有的质地", "绝无仅有"),
    ("史无前例的折扣", "史无前例"),
    ("绝对值得", "绝对"),
    ("万能色号", "万能"),
    ("口红中的王牌", "王牌"),
    ("独家配方", "独家"),
    ("全球首发色", "全球首发"),
    ("遥遥领先", "遥遥领先"),
    ("NO.1 口红", "no.1"),
    ("Ｔｏｐ１ 色号", "top1"),
    ("品质特供", "特供"),
    ("最\u200b佳色号", "最佳"),
    ("治疗唇炎", "治疗"),
    ("零副作用", "零副作用"),
    ("消炎镇静", "消炎"),
    ("七天祛疤", "祛疤"),
    ("特效修护", "特效"),
    ("药妆级配方", "药妆"),
    ("100%有效", "100%有效"),
]

ORDINARY = [
    "最近入手的新色",
    "最后三天，春日限定",
    "最终选了这一支",
    "最初的心动",
    "最多可选三支",
    "最早周五发货",
    "最佳食用期见包装",
    "最佳赏味时间：三十分钟内",
    "室外最高气温二十八度",
    "第一次用就喜欢",
    "第一步：打底",
    "第一眼就心动",
    "春天的第一杯咖啡",
    "第一件半价",
    "第一章：春日",
    "安全第一，放心出游",
    "顾客第一",
    "致力于积极致新的设计",
    "敬赠至尊敬的顾客",
    "产品唯一编号见瓶底",
    "绝对不含酒精",
    "千万能量满满",
    "万能胶粘得牢",
    "单独家庭装",
    "一次上新八个色号",
    "一个人的下午茶",
    "经典正红，显白百搭",
    "质地柔滑，持久不沾杯",
    "限时八折，买二赠一",
    "三月八日，送给自己",
    "高级感的豆沙色",
    "首次尝试哑光质地",
    "新品首发",
    "品质优秀，著名设计师联名",
    "治愈系配色",
    "模特供图",
    "再生纸包装",
    "The best red of spring, number one on our list",
    "¥199 包邮",
]


def refused(text: str, names=LIPSTICK, **options) -> list[str]:
    """Return the words of `text` that may not stand in China."""
    return [found.word for found in find(text, markets=["cn"], names=names, **options)]


@pytest.mark.parametrize(("text", "word"), REFUSED)
def test_what_the_law_refuses_is_found(text, word):
    """Superlatives, ranks, the state, cures: each by the longest word that is listed."""
    assert word in refused(text)


@pytest.mark.parametrize("text", ORDINARY)
def test_what_is_ordinary_is_let_pass(text):
    """A word inside of another one, a date, a step, a service; English is not that law's."""
    assert refused(text) == []


def test_other_markets_are_not_asked():
    """The same words may stand where China's law does not hold."""
    assert not list(find("国家级", markets=["eu"], names=LIPSTICK))
    assert refused("国家级") == ["国家级"]


def test_words_of_effect_are_for_cosmetics_alone():
    """A mug may be dishwashed efficiently; a lipstick may not be "高效"."""
    assert refused("高效除菌", MUG) == []
    assert refused("高效除菌") == ["高效", "除菌"]
    assert refused("高效除菌", ("matte lipstick",)) == ["高效", "除菌"]


def test_words_of_illness_are_for_every_product():
    """Only medical advertising may speak of cures."""
    assert refused("降血压的杯子", MUG) == ["降血压"]


@pytest.mark.parametrize(
    "text", ["加V领券", "微信号 lumiere", "vx: lumiere", "扫码进群", "加微信聊"]
)
def test_contacts_are_refused_where_the_platform_does(text):
    """Xiaohongshu refuses them; no rule is known for others."""
    assert refused(text, delivery="xiaohongshu")
    assert refused(text, delivery="douyin") == []
    assert refused(text) == []


@pytest.mark.parametrize("text", ["wxyz 系列", "VXL 联名", "小微店员的一天"])
def test_letters_inside_of_words_are_no_contacts(text):
    """Latin letters count as whole words."""
    assert refused(text, delivery="xiaohongshu-note") == []


def test_the_brand_may_let_a_phrase_stand_for_a_reason():
    """The reason goes along; the word elsewhere is refused as before."""
    allowed = {"国家级非遗": "certificate IX-31 of the ministry"}
    kept, other = find(
        "国家级非遗工艺，国家级品质", markets=["cn"], names=LIPSTICK, allowed=allowed
    )
    assert kept.reason == "certificate IX-31 of the ministry"
    assert other.reason == ""


def test_the_message_names_word_rule_and_way_out():
    """A person who meets it knows what to do."""
    (found,) = find("今冬最佳礼物", markets=["cn"], names=LIPSTICK)
    said = str(found)
    assert said.startswith(
        "'最佳' in '今冬最佳礼物' is against the Advertising Law of the PRC, article 9"
    )
    assert "brand: {allow: {最佳: the reason}}" in said


def test_every_rule_says_where_it_was_read():
    """A source and a day; and no ordinary phrase that spares nothing."""
    for name, rule in rules().items():
        assert rule.source.startswith("http"), name
        assert rule.checked_on.year == 2026, name
        for phrase in rule.unless:
            assert rule.pattern.search(phrase), f"{name}: {phrase} holds none of the words"
