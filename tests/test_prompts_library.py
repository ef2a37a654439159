from __future__ import annotations

import re
from pathlib import Path

import pytest

from configs.errors import BadField, BadInput
from configs.prompt import PARTS, load_template
from tests.expand_data import KINDS, PROMPTS, SMALL, TEMPLATES, days, expand

SOME = days("2026-01-26", 240)[::4]  # 腊八, 春节, 元宵, 劳动节, 母亲节, 端午

GOOD = """\
id: mine
kind: emotion
title: {zh: 我的, en: Mine}
parts:
  subject: [{zh: "{{ item }}", en: "the {{ item }}"}]
  action: [{zh: "静置", en: at rest}]
  scene:
    - {zh: "放在{{ surface }}上", en: "on {{ surface }}", words: {surface: [marble, wood]}}
  light: [{zh: 柔光, en: soft light}]
  style: [{zh: 摄影, en: photograph}]
motion: [{zh: 光影移动, en: the light moves}]
moves: [push-in]
"""


def written(folder: Path, text: str) -> Path:
    (folder / "mine.yaml").write_text(text, "utf-8")
    return folder


@pytest.mark.parametrize("language", ["zh", "en"])
@pytest.mark.parametrize("name", KINDS)
def test_every_prompt_of_the_library_is_long_enough_and_not_too_long(name: str, language: str):
    """80 to 250 hanzi or words, as Z-Image likes it, with words to draw and a festival too."""
    for day in SOME:
        prompt = {"language": language, "text": "春日限定"}
        text = expand(day, template=name, prompt=prompt).texts["picture"]
        assert 80 <= (len(text) if language == "zh" else len(text.split())) <= 250, text


@pytest.mark.parametrize("name", KINDS)
def test_every_english_prompt_is_spelt_like_english(name: str):
    """No `a orange`, no gap or doubled stop, no hanzi, one capital a sentence."""
    for day in SOME:
        expanded = expand(day, template=name, prompt={"language": "en"})
        for text in expanded.texts.values():
            assert text.isascii() or "é" in text, text
            assert not re.search(r"\b[Aa] [aeiou]|\ban [^aeiouh8]|  |\.\.| ,|\{|\}", text), text
            assert all(part[:1].isupper() for part in re.split(r"(?<=\.) (?!mm)", text)), text


@pytest.mark.parametrize("name", KINDS)
def test_every_chinese_prompt_is_set_like_chinese(name: str):
    """Chinese punctuation only, no gaps, no doubled stops."""
    for day in SOME:
        for text in expand(day, template=name).texts.values():
            assert not re.search(r"[,.;:!?{} ]|。。|，。|，，|的的", text), text
            assert text.endswith("。")


@pytest.mark.parametrize("name", KINDS)
def test_templates_are_objective(name: str):
    """No tags and no praise, which Z-Image's makers advise against."""
    text = (PROMPTS / f"{name}.yaml").read_text("utf-8")
    assert not re.search(
        r"(?i)masterpiece|best quality|\b[48]k\b|stunning|杰作|高清|极致|完美", text
    )


@pytest.mark.parametrize("name", KINDS)
def test_no_two_options_look_the_same_to_a_small_model(name: str):
    """It sees the words alone: each option of scene, light and style has its own."""
    for part in ("scene", "light", "style"):
        seen = [tuple(sorted(one.words.items())) for one in TEMPLATES[name].options[part]]
        assert len(seen) == len(set(seen))


@pytest.mark.parametrize("name", KINDS)
def test_a_weekly_shot_gets_every_scene(name: str):
    """A deck of seven would give each Monday the same card."""
    options = TEMPLATES[name].options
    assert all(len(options[part]) % 7 for part in (*PARTS, "motion"))
    assert len(options["scene"]) * len(options["light"]) * len(options["style"]) > 367


@pytest.mark.parametrize("name", KINDS)
def test_a_week_looks_different_every_day(name: str):
    """No scene and no light comes twice in seven days; no prompt in a year."""
    intents = [expand(day, template=name).intent for day in days("2026-03-09", 7)]
    assert len({intent.scene for intent in intents}) == 7
    year: set[str] = set()
    for day in days("2026-03-09", 366):
        year.add(expand(day, template=name, models=SMALL, taken=year).texts["picture"])
    assert len(year) == 366


def test_a_template_of_ones_own_is_found_first(tmp_path: Path):
    """A home's folder goes before the shipped one."""
    template = load_template("mine", [written(tmp_path, GOOD), PROMPTS])
    assert [option.words for option in template.options["scene"]] == [
        {"surface": "marble"},
        {"surface": "wood"},
    ]
    assert template.where("parts", "scene", 0, "en").endswith("mine.yaml:8")


def test_an_unknown_template_is_told_with_the_nearest():
    """And with all that there are."""
    with pytest.raises(BadInput, match="did you mean 'product-closeup'"):
        load_template("product-closup", [PROMPTS])


@pytest.mark.parametrize(
    ("old", "new", "line", "says"),
    [
        ("id: mine", "id: yours", 1, "'yours' is not the file's name"),
        ("kind: emotion", "kind: emotional", 2, "did you mean 'emotion'"),
        ("{{ item }}", "{{ itm }}", 5, "did you mean 'item'"),
        ("{{ item }}", "{{ item", 5, "unexpected"),
        ("静置", "{% set x = 1 %}", 6, "`assign` is not allowed"),
        ("静置", "{{ ().__class__ }}", 6, "`__class__` is not allowed"),
        ("静置", "{{ surface }}", 6, "no name 'surface'"),
        ("[marble, wood]", "[marble, granite]", 8, "no surface 'granite'"),
        ("surface: [", "surfaces: [", 8, "surfaces"),
        ("{zh: 柔光, en: soft light}", "{zh: 柔光}", 9, "both languages"),
        ("[{zh: 摄影, en: photograph}]", "[]", 10, "at least 1"),
        ("moves: [push-in]", "moves: [zoom]", 12, "push-in"),
        ("[marble, wood]", f"[{'marble, ' * 500}wood]", 8, "make 501 options; at most 400"),
        ("moves: [push-in]", "moves: [push-in]\ntext: 写着字", 13, 'must hold "{{ text }}"'),
        ("moves: [push-in]", "move: [push-in]", 12, "did you mean 'moves'"),
    ],
)
def test_a_wrong_template_says_file_line_and_what_to_write(
    tmp_path: Path, old: str, new: str, line: int, says: str
):
    """Before anything is planned with it."""
    with pytest.raises(BadField) as caught:
        load_template("mine", [written(tmp_path, GOOD.replace(old, new, 1))])
    assert f"mine.yaml:{line}:" in str(caught.value)
    assert says in str(caught.value)
