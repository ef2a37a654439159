from __future__ import annotations

import random
import time
from pathlib import Path

import pytest

from configs.base import Words
from configs.campaign import Condition
from configs.errors import BadPlan
from configs.prompt import load_template
from configs.sandbox import MAX_CHARACTERS
from configs.vocabulary import Vocabulary
from tests.expand_data import (
    DEMO,
    KINDS,
    LARGE,
    LIPSTICK,
    MINI,
    PROMPTS,
    SMALL,
    VOCABULARY,
    days,
    expand,
)

MUG = DEMO.products[1]


def when(condition: str, add: str) -> dict[str, object]:
    return {"when": (Condition.model_validate({"if": condition, "add": add}),)}


def test_a_small_model_hears_its_own_words_in_its_own_grammar():
    """Kind, colour and material found in the brief; nothing that it was not taught."""
    texts = expand("2026-03-02", models=SMALL).texts
    assert texts["picture"].startswith("红色哑光口红，放在")
    assert texts["motion"] in (
        "镜头推进",
        "镜头向左环绕",
        "镜头向右环绕",
        "产品旋转展示",
        "镜头拉远",
        "镜头上摇",
    )
    english = expand("2026-03-02", models=SMALL, prompt={"language": "en"}).texts
    assert english["picture"].startswith("red matte lipstick on ")


def test_a_large_model_reads_one_description_in_five_parts():
    """In the order subject, action, scene, light, style."""
    expanded = expand("2026-03-02")
    intent, picture = expanded.intent, expanded.texts["picture"]
    parts = [intent.subject, intent.action, intent.scene, intent.light, intent.style]
    assert picture == "".join(parts)
    assert "深红色的哑光口红" in picture
    assert expanded.texts["motion"].startswith("镜头")


def test_words_to_draw_are_quoted_verbatim():
    """In straight double quotes, blanks filled in; a small model says it cannot."""
    prompt = {"text": "{{ campaign.title }} Lumière 50%"}
    assert '"春日限定 Lumière 50%"' in expand(prompt=prompt).texts["picture"]
    small = expand(prompt=prompt, models=SMALL)
    assert "50" not in small.texts["picture"]
    assert "draws no lettering" in small.notes[0]


def test_a_straight_quote_in_words_to_draw_is_refused():
    """It would end the quotation in the middle."""
    with pytest.raises(BadPlan, match=r"prompt\.text.*straight double quote"):
        expand(prompt={"text": 'say "hi"'})


def test_a_festival_adds_its_props_where_the_brief_says_so():
    """元宵 brings lanterns to the small model's words and to the long description."""
    small = expand("2026-03-03", models=SMALL)
    assert "红灯笼" in small.texts["picture"]
    assert small.intent.festival == "元宵节"
    assert "画面中还有暖光花灯和一碗汤圆。" in expand("2026-03-03").texts["picture"]
    assert expand("2026-03-02").intent.additions == ()


def test_a_festival_without_known_props_lends_its_nearest():
    """A full moon is nothing the small model knows; points of light are near."""
    small = expand("2026-09-25", models=SMALL)
    assert "光斑" in small.texts["picture"]
    assert "藏青色背景" in small.texts["picture"]


@pytest.mark.parametrize(
    ("condition", "day", "met"),
    [
        ("day.weekday == 'mon'", "2026-03-02", True),
        ("day.is_weekend", "2026-03-02", False),
        ("axes.mood == 'calm' and product.id == 'rouge-01'", "2026-03-02", True),
        ("day.season == 'spring' and campaign.brand.name == 'Lumière'", "2026-03-02", True),
        ("shot.id == 'rouge-01/2026-03-02/calm'", "2026-03-02", True),
    ],
)
def test_conditions_see_day_product_shot_campaign_and_axes(condition: str, day: str, met: bool):
    """Whatever the matrix has."""
    expanded = expand(day, prompt=when(condition, "一支羽毛"), axes={"mood": "calm"})
    assert (expanded.intent.additions == ("一支羽毛",)) is met


def test_an_added_sentence_stays_a_sentence():
    """A noun phrase is worked in; a whole sentence is left as it is."""
    assert "画面中还有一支羽毛。" in expand(prompt=when("1", "一支羽毛")).texts["picture"]
    assert "。整体更安静。" in expand(prompt=when("1", "整体更安静。")).texts["picture"]


def test_parts_of_ones_own_take_the_templates_place():
    """And a small model listens for words it knows in them."""
    prompt = {
        "scene": "{{ item }}放在木桌上，米色背景",
        "light": "暖光，左侧光",
        "style": "特写",
    }
    expanded = expand(models=SMALL, prompt=prompt)
    assert expanded.intent.scene == "深红色的哑光口红放在木桌上，米色背景"
    for word in ("放在木桌上", "米色背景", "特写", "左侧光", "暖光"):
        assert word in expanded.texts["picture"]
    assert "放在木桌上，米色背景。" in expand(prompt=prompt).texts["picture"]


@pytest.mark.parametrize(
    ("prompt", "says"),
    [
        (when("day.moon", "x"), r"prompt\.when\[0\]\.if: .*no value 'moon'; known: .*season"),
        (when("day.weekday = 'mon'", "x"), r"prompt\.when\[0\]\.if: "),
        (when("dya.festival", "x"), r"prompt\.when\[0\]\.if: .*did you mean 'day'"),
        (when("", "x"), r"prompt\.when\[0\]\.if: is empty"),
        (when("day.weekday == 'sun'", "{{ itm }}"), r"when\[0\]\.add: .*did you mean 'item'"),
        (when("1", "{{ 'x' * 99999 }}"), r"repeats to more than 4000"),
        (when("1", "一\n{% macro %}"), r"prompt\.when\[0\]\.add: line 2 of it"),
        ({"scene": "{{ scenery }}"}, r"prompt\.scene: no name 'scenery'"),
        ({"text": "{{ product.facts.cost }}"}, r"prompt\.text: no value 'cost'; known: price"),
    ],
)
def test_a_wrong_phrase_says_its_field(prompt: dict[str, object], says: str):
    """With the file and line that the loader knows."""
    with pytest.raises(BadPlan, match=says):
        expand(prompt=prompt)
    with pytest.raises(BadPlan, match=r"^demo\.yaml:21: prompt"):
        expand(prompt=prompt, where=lambda *path: "demo.yaml:21")


def test_facts_of_a_product_are_there_for_templates():
    """`product.facts.NAME`, whatever the brief holds."""
    product = LIPSTICK.model_copy(update={"facts": {"notes": ["玫瑰", "麝香"]}})
    prompt = when("product.facts.notes", "{{ product.facts.notes | join('与') }}的香气")
    assert "玫瑰与麝香的香气" in expand(product=product, prompt=prompt).texts["picture"]


def test_an_unknown_product_is_told_with_the_known_kinds():
    """A small model can draw only what it has seen; a large one draws anything."""
    kettle = LIPSTICK.model_copy(update={"name": Words(zh="电热水壶", en="kettle")})
    with pytest.raises(BadPlan, match=r"rouge-01: '电热水壶' is nothing .*lipstick, perfume, mug"):
        expand(product=kettle, models=SMALL)
    assert "电热水壶" in expand(product=kettle).texts["picture"]
    named = kettle.model_copy(update={"kind": "mug"})
    assert "咖啡杯" in expand(product=named, models=SMALL).texts["picture"]


def test_a_small_model_needs_its_vocabulary():
    """And can only move the camera as it was taught."""
    with pytest.raises(BadPlan, match=r"has no vocabulary\.json"):
        expand(models=SMALL, vocabulary=None)
    words = VOCABULARY.model_dump()
    still = Vocabulary.model_validate(words | {"motions": words["motions"][:1]})
    with pytest.raises(BadPlan, match="knows no 'turntable', only push-in"):
        expand(models=SMALL, vocabulary=still, settings={"animate": {"motion": "turntable"}})


def test_a_colour_may_be_in_the_name_alone():
    """Where the brief gives no value, a small model listens to the name."""
    box = LIPSTICK.model_copy(
        update={"name": Words(zh="红色礼盒", en="red gift box"), "colour": None}
    )
    assert expand(product=box, models=SMALL).texts["picture"].startswith("红色礼盒")
    assert expand(product=box).intent.item == "红色礼盒"


def test_a_brief_that_writes_every_part_repeats_itself():
    """There is nothing left to draw; the plan sees it in what is taken."""
    parts = ("subject", "action", "scene", "light", "style")
    prompt = dict.fromkeys(parts, "一支口红")
    texts = expand(prompt=prompt).texts["picture"]
    assert expand("2026-03-06", prompt=prompt, taken={texts}).texts["picture"] == texts


def test_an_own_photo_needs_no_known_kind():
    """No picture is drawn of it; its motion prompt is written."""
    kettle = MUG.model_copy(update={"name": Words(zh="电热水壶", en="kettle")})
    expanded = expand(product=kettle, models=SMALL)
    assert "an own photo: no picture is drawn" in expanded.notes
    assert expanded.texts["motion"]


def test_a_colour_that_is_none_says_where_it_stands():
    """With the nearest right word."""
    product = LIPSTICK.model_copy(update={"colour": "crimsen"})
    with pytest.raises(BadPlan, match=r"products\[0\]\.colour.*did you mean 'crimson'"):
        expand(product=product)


def test_a_name_says_its_colour_once():
    """`红色礼盒` in red is not 红色的红色礼盒."""
    box = LIPSTICK.model_copy(
        update={"name": Words(zh="正红色礼盒", en="Red gift box"), "colour": "#d7141a"}
    )
    assert expand(product=box).intent.item == "正红色礼盒"
    assert expand(product=box, prompt={"language": "en"}).intent.item == "Red gift box"


def test_a_material_is_said_once():
    """Named in the brief, or in the name."""
    cup = LIPSTICK.model_copy(update={"material": "陶瓷", "name": Words(zh="咖啡杯", en="mug")})
    assert expand(product=cup).intent.item == "深红色的陶瓷咖啡杯"
    assert expand(product=cup, models=SMALL).texts["picture"].startswith("红色陶瓷咖啡杯")


def test_a_backdrop_never_swallows_the_product():
    """A white mug is shown on anything but white and cream."""
    white = MUG.model_copy(update={"colour": "#f4f3f0", "image": None})
    for day in days("2026-03-04", 40):
        words = expand(day, product=white, prompt={"when": ()}).intent.words
        assert words["backdrop"] not in ("white", "cream")


def test_the_motion_setting_goes_before_the_draw():
    """`auto` draws one that suits the template."""
    fixed = expand(settings={"animate": {"motion": "tilt-down"}}, models=SMALL)
    assert (fixed.motion, fixed.texts["motion"]) == ("tilt-down", "镜头下摇")
    drawn = {expand(day, template="comparison").motion for day in days("2026-03-02", 14)}
    assert drawn == {"static", "pan-left", "pan-right", "push-in", "pull-out"}


def test_a_prompt_too_long_is_a_plan_error():
    """Counted with the small model's own tokenizer; never cut in silence."""
    short = MINI.model_copy(update={"max_tokens": 20})
    with pytest.raises(BadPlan, match=r"a prompt of \d+ tokens; the model in 'image' reads 20"):
        expand(models=(short, SMALL[1]))
    with pytest.raises(BadPlan, match="about"):
        expand(prompt={"scene": "长" * (MAX_CHARACTERS - 1)})


def test_the_order_of_the_other_shots_changes_no_shot():
    """Draws come from the day, so inserting a Wednesday leaves Monday and Friday alone."""
    alone = expand("2026-03-06").texts
    for day in random.Random(1).sample(days("2026-01-01", 300), 50):
        expand(day)
    assert expand("2026-03-06").texts == alone


def test_a_taken_prompt_is_drawn_again_far_away():
    """The second of two equal shots changes, and does not take its neighbour's."""
    first, neighbour = (expand(day, models=SMALL).texts["picture"] for day in days("2026-03-06", 2))
    again = expand("2026-03-06", models=SMALL, taken={first}).texts["picture"]
    assert again not in (first, neighbour)


def test_two_weeks_of_a_campaign_share_no_prompt():
    """Nor do two months."""
    for models in (SMALL, LARGE):
        texts = [expand(day, models=models).texts["picture"] for day in days("2026-03-09", 60)]
        assert len(set(texts)) == 60


def test_fifty_variants_a_day_all_differ():
    """For A/B tests: an axis of fifty, over a week, in the small model's few words."""
    for template in KINDS:
        taken: set[str] = set()
        for day in days("2026-03-09", 7):
            for number in range(50):
                rank = 739_684 + 367 * (number * 7_919) + int(day[-2:])
                expanded = expand(
                    day, template=template, rank=rank, models=SMALL, taken=taken, axes={"v": number}
                )
                taken.add(expanded.texts["picture"])
        assert len(taken) == 350


def test_another_campaign_seed_shuffles_otherwise():
    """And the same one repeats itself."""
    week = days("2026-03-09", 7)
    other = DEMO.model_copy(update={"seed": 1})
    assert [expand(day).intent for day in week] == [expand(day).intent for day in week]
    assert [expand(day).intent.scene for day in week] != [
        expand(day, campaign=other).intent.scene for day in week
    ]


@pytest.mark.slow
def test_ten_thousand_shots_expand_in_seconds():
    """In under 2.5 s of CPU on a quiet machine; tested at twice that, for a busy one."""
    expand()
    year = days("2026-03-09", 366)
    started = time.process_time()
    for number in range(28):
        product = LIPSTICK.model_copy(update={"id": f"rouge-{number}"})
        taken: set[str] = set()
        for day in year:
            taken.add(expand(day, product=product, models=LARGE, taken=taken).texts["picture"])
        assert len(taken) == 366
    assert time.process_time() - started < 12  # 6 s alone; under coverage, beside another, 9


def test_a_template_that_fails_on_a_product_says_its_own_line(tmp_path: Path):
    """A home's template may ask for a fact that one product lacks."""
    source = (PROMPTS / "emotion.yaml").read_text("utf-8").replace("id: emotion", "id: mine")
    line = next(n for n, text in enumerate(source.splitlines(), 1) if "一条丝带" in text)
    wrong = source.replace("一条丝带", "一条{{ product.facts.ribbon }}")
    (tmp_path / "mine.yaml").write_text(wrong, "utf-8")
    mine = load_template("mine", [tmp_path])

    def week() -> None:
        for day in days("2026-03-09", 7):
            expand(day, template=mine)

    with pytest.raises(BadPlan, match=rf"mine\.yaml:{line}: parts\.action\[0\]: .*'ribbon'"):
        week()
