"""Titles in a campaign's plan: every fault at its own line, keys that move only where words do."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import yaml

from configs.errors import BadInput
from configs.home import Home
from tests.plan_data import Desk
from tests.test_title_files import GOOD, square_font


@pytest.fixture
def desk(tmp_path) -> Desk:
    return Desk(Home(tmp_path / "home"))


def with_titles(**settings):
    """Return an edit that asks for titles."""

    def change(brief):
        brief["settings"] = {"title": settings}

    return change


def without_titles(brief):
    """Leave the demo's own titles out."""
    del brief["settings"]


def nodes_of(plan, stage):
    return {str(node.address): node for node in plan.nodes.values() if node.address.stage == stage}


def test_titles_are_nodes_of_their_own(desk):
    """One for each delivery of each shot; the same campaign without has none."""
    plain = desk.plan(without_titles)
    titled = desk.plan(with_titles(text="{{ product.name }}", language="both"))
    assert nodes_of(plain, "title") == {}
    made = nodes_of(titled, "title")
    assert len(made) == len(nodes_of(plain, "export")) > 0
    said = {item["text"] for n in made.values() for item in n.params["title"]["items"]}
    assert {"哑光口红", "matte lipstick", "陶瓷咖啡杯", "ceramic coffee mug"} <= said


def test_words_move_no_keyframe_and_no_clip(desk):
    """Another title makes title and export anew, and nothing before them."""
    one, other = (desk.plan(with_titles(text=words)) for words in ("春日", "夏日"))
    for stage in ("expand", "keyframe", "animate", "watermark", "label"):
        assert set(nodes_of(one, stage)) == set(nodes_of(other, stage))
        assert {n.key for n in nodes_of(one, stage).values()} == {
            n.key for n in nodes_of(other, stage).values()
        }
    keys = {n.key for n in nodes_of(one, "export").values()}
    assert keys.isdisjoint(n.key for n in nodes_of(other, "export").values())


def test_another_logo_moves_no_title_that_it_does_not_touch(desk):
    """Titles keep off the logo's box; how strong the logo is does not matter to them."""
    change = with_titles(text="春日")

    def brighter(brief):
        change(brief)
        brief["brand"]["watermark"]["opacity"] = 0.4

    def wider(brief):
        change(brief)
        brief["brand"]["watermark"]["width"] = 0.4

    first, same, other = (desk.plan(edit) for edit in (change, brighter, wider))
    keys = [{n.key for n in nodes_of(plan, "title").values()} for plan in (first, same, other)]
    assert keys[0] == keys[1]
    assert keys[0] != keys[2]


def test_an_override_sets_one_shots_words(desk):
    """A price for the lipstick alone."""

    def change(brief):
        without_titles(brief)
        brief["overrides"] = [
            {
                "match": {"product": "rouge-01"},
                "set": {"title.price": "¥{{ product.facts.price }}"},
            }
        ]

    made = nodes_of(desk.plan(change), "title")
    assert {address.split("/")[0] for address in made} == {"rouge-01"}
    assert all("¥129" in str(node.params) for node in made.values())


def test_a_poster_text_is_set_and_not_drawn(desk):
    """The picture's prompt does not ask for the words that the title has."""

    def change(brief):
        brief["prompt"] |= {"text": "{{ campaign.title }}"}

    def typeset(brief):
        change(brief)
        with_titles(source="prompt-text")(brief)

    drawn, set_ = desk.plan(change), desk.plan(typeset)
    shot = drawn.shots[0].id
    assert drawn.prompts[shot].intent.lettering
    assert not set_.prompts[shot].intent.lettering
    lines = [line for node in nodes_of(set_, "title").values() for line in [str(node.params)]]
    assert all("春日限定" in line for line in lines)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"text": "口红💄"}, r"demo\.yaml:\d+: .*title\.text: Noto Sans SC has no glyph for '💄'"),
        ({"text": "{{ product.prize }}"}, r"demo\.yaml:\d+: .*title\.text: .*prize"),
        ({"price": "¥{{ product.facts.cost }}"}, r"demo\.yaml:\d+: .*title\.price: .*cost"),
        ({"text": "a", "font": "Comic Sans"}, r"demo\.yaml:\d+:\d+: .*title\.font: 'Comic Sans'"),
        (
            {"text": "a", "font_file": "brand/no.ttf"},
            r"demo\.yaml:\d+: title\.font_file: .*no\.ttf",
        ),
        ({"text": "a", "font_file": "../../x.ttf"}, r"title\.font_file: .*leads outside the home"),
        ({"text": "a", "font_file": "brand/mug.jpg"}, r"title\.font_file: mug\.jpg: is no TTF"),
        ({"subtitles_zh": "brand/bad.srt"}, r"demo\.yaml:\d+: title\.subtitles_zh: bad\.srt:2: "),
        (
            {"subtitles_zh": "brand/late.srt"},
            r"title\.subtitles_zh: brand/late\.srt:7: caption end",
        ),
        ({"text": "限定" * 80}, r"demo\.yaml:\d+: .*title\.text: .*does not fit into the safe box"),
        (
            {"cues": [{"start": 0, "end": 99, "text": "a"}]},
            r"demo\.yaml:\d+: .*title\.cues: caption 1 ends at 99 s, and the clip for",
        ),
        (
            {"cues": [{"start": 2, "end": 1, "text": "a"}]},
            r"title\.cues.*ends at 1 s and starts at",
        ),
        ({"size": 0.01}, r"title\.size: .*at least 0\.032"),
        ({"colour": "red"}, r"title\.colour: 'red'"),
    ],
)
def test_faults_are_told_at_their_line_before_anything_is_made(desk, settings, message):
    """File, field, value and what to write instead."""
    brand = desk.home.root / "brand"
    (brand / "bad.srt").write_text(GOOD.replace("-->", "->", 1), "utf-8")
    (brand / "late.srt").write_text(GOOD.replace("00:00:02,0", "00:00:59,0"), "utf-8")
    with pytest.raises(BadInput, match=message):
        desk.plan(with_titles(**settings))


def test_a_brand_font_is_an_input_of_the_title(desk):
    """Its bytes are in the key: another font of that name makes the titles anew."""
    path = square_font(desk.home.root / "brand" / "own.ttf", "AB口红")
    change = with_titles(text="AB", font_file="brand/own.ttf")
    first = nodes_of(desk.plan(change), "title")
    square_font(path, "ABC")
    second = nodes_of(desk.plan(change), "title")
    assert {node.inputs["font"].path for node in first.values()} == {"brand/own.ttf"}
    assert {n.key for n in first.values()}.isdisjoint(n.key for n in second.values())


def test_words_without_a_stage_are_refused(desk):
    """A pipeline of one's own from before titles says so, and does not leave them out."""
    source = desk.home.root / "pipelines" / "old.yaml"
    source.parent.mkdir()
    shutil.copyfile("configs/pipelines/social-clip.yaml", source)
    kept = [line for line in source.read_text("utf-8").splitlines() if "id: title" not in line]
    source.write_text("\n".join(kept).replace("titles: title.titles, ", ""), "utf-8")

    def change(brief):
        with_titles(text="a")(brief)
        brief["pipeline"] = "old"

    with pytest.raises(BadInput, match=r"demo\.yaml:\d+: pipeline: old has no stage `title`"):
        desk.plan(change)


@pytest.mark.parametrize("page", ["docs/titles.md", "docs/titles.zh-CN.md"])
def test_the_pages_example_can_be_planned(desk, page):
    """What the documentation shows is a campaign's settings, word for word."""
    example = yaml.safe_load(Path(page).read_text("utf-8").split("```yaml\n")[1].split("```")[0])

    def change(brief):
        brief.update(settings=example["settings"], overrides=example["overrides"])
        brief["products"][0]["facts"] = {"price": 129}

    said = str([node.params for node in nodes_of(desk.plan(change), "title").values()])
    assert "¥129 起" in said
    assert "Matte lipstick" in said
    assert "First one half price" in said
