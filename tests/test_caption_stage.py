"""Captions: from templates to a platform's fields, and what stops them at plan time."""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import replace

import pytest

from catalogs.node import Address, Node
from configs.campaign import Brand, Campaign, Product
from configs.errors import BadField, BadPlan
from configs.festivals import day_facts
from configs.home import Home
from configs.library import Library
from flows.book import parameters
from tasks import caption
from tasks.said import CaptionFile
from tasks.views import view
from tests.export_data import Desk, make_cell
from tests.plan_data import Desk as PlanDesk

LIPSTICK = Product(
    id="rouge-01", name={"zh": "哑光口红", "en": "matte lipstick"}, facts={"shade": "V12"}
)
SAID = {
    "title": "{{ product.name }}｜{{ campaign.title }}",
    "text": "{{ day.name }}见。色号 {{ product.facts.shade }}",
    "hashtags": ["{{ product.name }}", "春日限定", "{{ day.festival.name }}"],
}


@pytest.fixture(scope="module")
def platforms(tmp_path_factory):
    """The shipped rows."""
    return Library.open(Home(tmp_path_factory.mktemp("home"))).deliveries


@pytest.fixture
def cell(platforms):
    """Return `cell(delivery, brand={…}, **caption)`: what the stage sees of one shot."""

    def make(delivery: str, day: str = "2026-03-02", brand: dict | None = None, **said):
        campaign = Campaign(
            name="spring",
            title={"zh": "春日限定", "en": "Spring edition"},
            brand=Brand.model_validate({"name": "Lumière", **(brand or {})}),
            products=(LIPSTICK,),
            deliveries=("douyin", delivery) if delivery != "douyin" else ("douyin",),
        )
        found = make_cell(platforms[delivery], {}, {"caption": said}, name=delivery)
        facts = day_facts(dt.date.fromisoformat(day), "zh_CN")
        axes = {"product": LIPSTICK.id, "day": day}

        def names(language):
            return view(
                campaign=campaign, product=LIPSTICK, day=facts, axes=axes, seed=1, language=language
            )

        return replace(found, campaign=campaign, product=LIPSTICK, names=names)

    return make


def written(cell) -> CaptionFile:
    """Return what the stage decides, as a file."""
    decision = caption.decide(cell)
    assert decision is not None
    return CaptionFile.model_validate(decision.params)


class TestWords:
    def test_templates_become_title_text_and_hashtags(self, cell):
        """An empty hashtag, here of a day without festival, is left out."""
        file = written(cell("xiaohongshu", **SAID))
        assert file.title == "哑光口红｜春日限定"
        assert file.text == "周一见。色号 V12\n\n#哑光口红 #春日限定"
        assert file.hashtags == ("哑光口红", "春日限定")
        assert file.alt == "哑光口红"

    def test_a_festival_is_a_hashtag_on_its_day(self, cell):
        """Names of festivals lose the spaces and hyphens that no platform takes."""
        file = written(cell("instagram-reel", "2026-09-25", **SAID, language="en"))
        assert file.hashtags[-1] == "MidAutumnFestival"
        assert file.text.startswith("matte lipstick｜Spring edition\n")

    def test_without_words_there_is_no_caption(self, cell):
        """A campaign that asks for none has no node for it."""
        assert caption.decide(cell("douyin")) is None
        assert caption.decide(cell("douyin", alt="a red lipstick")) is None

    def test_a_platform_may_be_spoken_to_in_its_own_words(self, cell):
        """What its own words leave out is said as everywhere."""
        own = {"x": {"text": "Out on {{ day.iso }}", "language": "en", "hashtags": []}}
        file = written(cell("x", **SAID, platforms=own))
        assert file.text == "matte lipstick｜Spring edition\nOut on 2026-03-02"
        assert file.language == "en"

    def test_both_languages_stand_one_after_the_other(self, cell):
        """Text and hashtags in the prompt's language, then in the other; the title in the first."""
        said = {**SAID, "text": {"zh": "{{ day.name }}见", "en": "Out on {{ day.name }}"}}
        file = written(cell("xiaohongshu", **said, language="both"))
        assert file.title == "哑光口红｜春日限定"
        assert file.text == "周一见\n\nOut on Monday\n\n#哑光口红 #春日限定 #mattelipstick"
        assert (file.language, file.alt) == ("zh", "哑光口红")
        with pytest.raises(BadPlan, match=r"caption\.text: .*toplist"):
            written(
                cell("xiaohongshu", text={"zh": "上新", "en": "{{ toplist }}"}, language="both")
            )

    def test_templates_see_the_delivery(self, cell):
        """One text may branch by platform."""
        text = "{% if delivery.id == 'weibo' %}微博见{% else %}{{ delivery.name }}见{% endif %}"
        assert written(cell("weibo", text=text)).text == "微博见"
        assert written(cell("douyin", text=text)).text == "抖音见"

    def test_hashtags_stand_once_and_as_the_platform_writes_them(self, cell):
        """Weibo closes them; Bilibili has a field for them; case does not make a second one."""
        tags = ["#Rouge", "rouge", "春日-限定"]
        assert written(cell("weibo", hashtags=tags)).text == "#Rouge# #春日限定#"
        apart = written(cell("bilibili", text="上新", hashtags=tags))
        assert (apart.text, apart.hashtags) == ("上新", ("Rouge", "春日限定"))

    def test_a_story_has_no_caption(self, cell):
        """Where the platform has no field for it, nothing is written."""
        assert caption.decide(cell("instagram-story", **SAID)) is None


class TestLimits:
    @pytest.mark.parametrize(
        ("delivery", "said", "words"),
        [
            ("douyin", {"title": "春" * 31}, "caption.title: is 31 long .*at most 30"),
            ("xiaohongshu", {"title": "春" * 20 + "a"}, r"is 21 long .*\(halves\).* at most 20"),
            ("wechat-channels", {"title": "上新"}, "is 2 long .* takes at least 6"),
            ("x", {"text": "春" * 141}, r"is 282 long .*\(weighted\).* at most 280"),
            ("tiktok", {"text": "🛍" * 1101}, "is 2202 long .*at most 2200"),
            ("youtube-short", {"text": "春" * 1667}, "is 5001 long .*at most 5000"),
            ("youtube-short", {"title": "a<b"}, "holds '<', which the platform refuses"),
            ("instagram-reel", {"hashtags": list("abcdef")}, "6 hashtags: the platform takes 5"),
            ("douyin", {"title": "春日\n限定"}, "has more than one line"),
            ("douyin", {"hashtags": ["春日！"]}, "a hashtag is letters, hanzi, digits"),
            ("douyin", {"hashtags": ["¥199"]}, "a hashtag is letters, hanzi, digits"),
        ],
    )
    def test_what_a_platform_would_cut_is_refused(self, cell, delivery, said, words):
        """Field, length, limit and what to do, before anything is made."""
        with pytest.raises(BadPlan, match=words) as caught:
            caption.decide(cell(delivery, **said))
        assert f"rouge-01/2026-03-02 {delivery}: caption." in str(caught.value)

    def test_at_the_limit_all_is_taken(self, cell):
        """140 hanzi on X, hashtags counted; 20 halves on Xiaohongshu."""
        assert len(written(cell("x", text="春" * 136, hashtags=["ab", "c"])).text) == 136 + 2 + 6
        assert written(cell("xiaohongshu", title="春" * 19 + "ab")).title.endswith("ab")

    def test_a_limit_that_nobody_published_is_no_limit(self, cell):
        """Douyin's text: published numbers disagree, and the row says so."""
        assert len(written(cell("douyin", text="春" * 1500)).text) == 1500


class TestWrong:
    @pytest.mark.parametrize(
        ("said", "words"),
        [
            ({"title": "{{ products.name }}"}, "caption.title: no name 'products'; did you mean"),
            ({"text": "{{ product.facts.price }}"}, "caption.text: .*price"),
            ({"text": "{% for x in range(9) %}{{ x }}"}, "caption.text: "),
            ({"text": "x", "platforms": {"douyn": {}}}, "caption.platforms: no .*'douyin'"),
            (
                {"text": "x", "platforms": {"抖音": {}}},
                "caption.platforms: no .* '抖音'; known: .*douyin",
            ),
        ],
    )
    def test_a_template_s_fault_names_its_field(self, cell, said, words):
        """A wrong name, a fact the product lacks, syntax, a platform that is not delivered to."""
        with pytest.raises(BadPlan, match=words):
            caption.decide(cell("douyin", **said))

    @pytest.mark.parametrize(
        ("said", "field"),
        [
            ({"title": "全网第一"}, "caption.title"),
            ({"text": "今冬最佳"}, "caption.text"),
            ({"hashtags": ["顶级口红"]}, "caption.hashtags"),
            ({"text": "上新", "alt": "独一无二的红"}, "caption.alt"),
            ({"text": "a", "platforms": {"douyin": {"text": "特效"}}}, "douyin.text"),
        ],
    )
    def test_forbidden_words_stop_every_field(self, cell, said, field):
        """Title, text, hashtags, the words for the blind, a platform's own."""
        with pytest.raises(BadPlan, match=f"{field}: .*is against the"):
            caption.decide(cell("douyin", **said))

    def test_where_china_s_law_does_not_hold_they_may_stand(self, cell):
        """TikTok is not seen in China, unless the brand says that its files are."""
        assert written(cell("tiktok", text="顶级口红")).text == "顶级口红"
        with pytest.raises(BadPlan, match="顶级"):
            caption.decide(cell("tiktok", brand={"markets": ["cn"]}, text="顶级口红"))

    def test_what_the_brand_allows_is_noted_with_its_reason(self, cell):
        """The node's notes, and so its record and the catalog, keep it."""
        brand = {"allow": {"国家级非遗": "certificate IX-31"}}
        decision = caption.decide(cell("douyin", brand=brand, text="国家级非遗工艺"))
        assert decision.notes == {"allowed": {"国家级": "certificate IX-31"}}


def test_running_writes_the_caption_as_json(cell, tmp_path):
    """The asset is what programs that publish read."""
    decision = caption.decide(cell("douyin", **SAID))
    node = Node(
        Address("caption", "rouge-01/2026-03-02", "", "douyin"), "caption", 1, decision.params, {}
    )
    (made,) = Desk(tmp_path / "home").make(caption.STAGE, node)
    draft = made.drafts["caption"]
    assert json.loads(draft.path.read_text("utf-8"))["title"] == "哑光口红｜春日限定"
    assert draft.kind == "text"


class TestPlan:
    def test_every_delivery_of_every_shot_has_its_caption(self, tmp_path):
        """Per shot, because products and days differ; equal captions are one node."""
        desk = PlanDesk(Home(tmp_path / "home"))
        said = {"title": "{{ product.name }}", "text": "{{ day.name }}见"}
        plan = desk.plan(lambda brief: brief.update(settings={"caption": said}))
        places = [address for address in plan.places if address.stage == "caption"]
        assert len(places) == len(plan.shots) * 3
        titles = {plan.nodes[plan.places[place]].params["title"] for place in places}
        assert titles == {"哑光口红", "陶瓷咖啡杯"}

    def test_an_error_names_the_line_that_asks(self, tmp_path):
        """FILE:LINE of the setting."""
        desk = PlanDesk(Home(tmp_path / "home"))
        edit = {"caption": {"title": "{{ product.name }}", "text": "顶级"}}
        with pytest.raises(BadPlan, match=r"demo\.yaml:\d+: .*caption.text: '顶级'") as caught:
            desk.plan(lambda brief: brief.update(settings=edit))
        line = int(str(caught.value).split(":")[1])
        lines = (desk.home.campaigns / "demo.yaml").read_text("utf-8").splitlines()
        assert "顶级" in lines[line - 1]

    @pytest.mark.parametrize(
        ("field", "value", "where"),
        [
            ("brand", {"name": "极品坊"}, "brand.name"),
            ("brand", {"name": "坊", "words": ["春", "首选"]}, r"brand.words\[1\]"),
            ("prompt", {"text": "销量第一", "language": "zh"}, "prompt.text"),
            ("title", None, ""),
        ],
    )
    def test_names_and_drawn_words_are_held_against_the_law(self, tmp_path, field, value, where):
        """What titles and captions repeat, and what the model is to draw."""
        desk = PlanDesk(Home(tmp_path / "home"))
        if value is None:
            words = {"title": {"text": "今冬最佳"}}
            with pytest.raises(BadPlan, match=r"demo\.yaml:\d+: .*title.text: '最佳'"):
                desk.plan(lambda brief: brief.update(settings=words))
            return
        with pytest.raises((BadField, BadPlan), match=rf"demo\.yaml:\d+.*{where}: .*is against"):
            desk.plan(lambda brief: brief.update({field: value}))

    def test_reasons_go_into_the_run_and_so_the_catalog(self, tmp_path):
        """Who asks later why a word stood finds it among the run's parameters."""
        desk = PlanDesk(Home(tmp_path / "home"))
        brand = {"name": "极品坊", "allow": {"极品坊": "registered trade mark 1234567"}}
        resolved = desk.resolve(lambda brief: brief.update(brand=brand))
        assert parameters(resolved)["allow"] == brand["allow"]

    def test_a_time_of_day_and_its_delivery_are_checked(self, tmp_path):
        """`publish` takes hours and minutes, for what is delivered."""
        desk = PlanDesk(Home(tmp_path / "home"))
        for wrong, words in (
            ({"douyin": "25:00"}, 'write a time of day in quotes, "18:30"'),
            ({"douyn": "18:30"}, "did you mean 'douyin'"),
        ):
            with pytest.raises(BadField, match=words):
                desk.plan(lambda brief, wrong=wrong: brief.update(publish=wrong))
