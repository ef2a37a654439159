"""What goes stale when one input changes, and what stays: the table of the content key."""

from __future__ import annotations

import datetime as dt
from fnmatch import fnmatch

import pytest

from catalogs.node import Address, InputFile, Node
from configs.home import Home
from flows.facts import Picture
from flows.plan import Plan, plan
from tests.plan_data import PINNED, Desk, after, shipped, with_facts


@pytest.fixture(scope="module")
def desk(tmp_path_factory) -> Desk:
    return Desk(Home(tmp_path_factory.mktemp("plan") / "home"))


@pytest.fixture(scope="module")
def done(desk: Desk) -> Plan:
    return desk.plan()


def label(node: Node) -> str:
    product, day = node.address.shot.split("/")
    weekday = {"2026-03-02": "mon", "2026-03-06": "fri"}[day]
    parts = (node.address.stage, product, weekday, node.address.delivery or node.address.aspect)
    return " ".join(part for part in parts if part)


def put(path, value):
    """Return an edit that sets one value of the brief, by its path of keys."""

    def edit(brief):
        *parents, last = path
        for part in parents:
            brief = brief.setdefault(part, {}) if isinstance(brief, dict) else brief[part]
        brief[last] = value

    return edit


DRAWN = {
    "animate rouge-01 *": "input keyframe changed",
    "watermark rouge-01 *": "input keyframe changed",
    "export rouge-01 *": "input animate changed, input watermark changed",
}

EDITS = {
    "motion of one shot": (
        put(["overrides", 0, "set"], {"animate.motion": "static"}),
        {
            "expand rouge-01 fri": "expand.intent.move: orbit-left -> static, motion changed",
            "animate rouge-01 fri *": "animate.motion: orbit-left -> static, prompt changed",
            "export rouge-01 fri *": "input animate changed",
        },
    ),
    "watermark opacity": (
        put(["brand", "watermark", "opacity"], 0.5),
        {
            "watermark *": "watermark.opacity: 0.8 -> 0.5",
            "export *": "input watermark changed",
        },
    ),
    "encoder quality": (
        put(["settings", "export.crf"], 24),
        {"export *": "export.crf: 20 -> 24"},
    ),
    "picture steps": (
        put(["settings", "keyframe.steps"], 9),
        {"keyframe *": "keyframe.steps: 8 -> 9"} | DRAWN,
    ),
    "clip steps": (
        put(["settings", "animate.steps"], 5),
        {"animate *": "animate.steps: 4 -> 5", "export *": "input animate changed"},
    ),
    "the same value said again": (put(["settings", "keyframe.steps"], 8), {}),
    "seed": (
        put(["seed"], 1),
        {
            "expand *": "?",
            "keyframe *": "?",
            "animate *": "?",
            "watermark rouge-01 *": "input keyframe changed",
            "export *": "?",
        },
    ),
    "language": (
        put(["prompt", "language"], "en"),
        {
            "expand *": "?",
            "keyframe *": "prompt changed",
            "animate *": "?",
            "watermark rouge-01 *": "input keyframe changed",
            "export *": "?",
            "caption *": "?",
        },
    ),
    "colour of one product": (
        put(["products", 0, "colour"], "#1f55c8"),
        {"expand rouge-01 *": "?", "keyframe rouge-01 *": "prompt changed"} | DRAWN,
    ),
    "focus of one product": (
        put(["products", 1, "focus"], {"x": 0.1, "y": 0.1}),
        {
            f"{stage} mug-01 * {delivery}": "?"
            for stage in ("watermark", "title", "export", "sign")
            for delivery in ("douyin", "bilibili")  # the third crops nothing
        },
    ),
    "campaign title": (put(["title"], "Summer"), {"caption *": "?"}),
    "campaign name": (put(["name"], "demo-2"), {}),
    "profile said outright": (put(["profile"], "mini"), {}),
    "products in another order": (lambda brief: brief["products"].reverse(), {}),
    "one day less": (
        lambda brief: brief.update(matrix={"product": "all", "day": ["mon"]}, overrides=[]),
        {},
    ),
    "one delivery less": (lambda brief: brief["deliveries"].pop(), {}),
}


@pytest.mark.parametrize(("edit", "stale"), EDITS.values(), ids=EDITS)
def test_an_edit_of_the_brief(desk: Desk, done: Plan, edit, stale):
    """Exactly the nodes whose pixels an edit decides go stale, and say why."""
    assert_stale(done, after(done, desk.resolve(edit)), stale)


FACTS = {
    "logo": (
        {"logos": {"logo": InputFile("11" * 32, "brand/lumiere.png")}},
        {"watermark *": "logo file changed", "export *": "input watermark changed"},
    ),
    "logo moved": ({"logos": {"logo": InputFile("10" * 32, "brand/moved.png")}}, {}),
    "photo": (
        {"photos": {"mug-01": Picture(InputFile("21" * 32, "brand/mug.jpg"), 900, 1200)}},
        {
            "animate mug-01 *": "photo file changed",
            "watermark mug-01 *": "photo file changed",
            "export mug-01 *": "input animate changed, input watermark changed",
        },
    ),
    "picture weights": (
        {"fingerprints": {"mini-picture": "31" * 32, "mini-clip": "40" * 32}},
        {"keyframe *": "model weights changed"} | DRAWN,
    ),
    "clip weights": (
        {"fingerprints": {"mini-picture": "30" * 32, "mini-clip": "41" * 32}},
        {"animate *": "model weights changed", "export *": "input animate changed"},
    ),
    "number format": (
        {"pixels": {**PINNED["pixels"], "dtype": "bfloat16"}},
        {
            "keyframe *": "profile.dtype: float32 -> bfloat16",
            "animate rouge-01 *": "profile.dtype: float32 -> bfloat16, input keyframe changed",
            "animate mug-01 *": "profile.dtype: float32 -> bfloat16",
            "watermark rouge-01 *": "input keyframe changed",
            "export rouge-01 *": "input animate changed, input watermark changed",
            "export mug-01 *": "input animate changed",
        },
    ),
    "a later day": ({"today": dt.date(2026, 2, 26)}, {}),
}


@pytest.mark.parametrize(("facts", "stale"), FACTS.values(), ids=FACTS)
def test_a_change_outside_the_brief(desk: Desk, done: Plan, facts, stale):
    """Files, weights and device count by what they hold, wherever they lie."""
    assert_stale(done, after(done, with_facts(desk.resolve(), **facts)), stale)


def test_a_template_reworded_without_effect(desk: Desk, done: Plan):
    """Keys hold the prompt's text, not the template that it came from."""
    template = shipped("prompts/product-closeup")
    desk.write("prompts/product-closeup", {**template, "title": "Close", "version": 9})
    try:
        assert_stale(done, after(done, desk.resolve()), {})
    finally:
        (desk.home.root / "prompts/product-closeup.yaml").unlink()


def test_a_delivery_under_another_name(desk: Desk, done: Plan):
    """A platform's settings count, its name and id do not: the same file is delivered twice."""
    row = shipped("deliveries")["douyin"]
    desk.write("deliveries", {"partner": {**row, "name": "Partner", "note": "same as douyin"}})
    again = after(done, desk.resolve(lambda brief: brief["deliveries"].append("partner")))
    assert set(again.states.values()) == {"cached"}
    (twins,) = {
        (again.places[Address("export", shot.id, "", "douyin")], again.places[place])
        for shot in again.shots[:1]
        if (place := Address("export", shot.id, "", "partner"))
    }
    assert twins[0] == twins[1]


def test_a_moved_safe_box(desk: Desk, done: Plan):
    """A platform's row that changes touches that platform's overlays and files only."""
    row = shipped("deliveries")["douyin"]
    desk.write("deliveries", {"douyin": {**row, "safe": {"top": "200", "right": "150"}}})
    try:
        stale = {f"{stage} * douyin": "?" for stage in ("watermark", "title", "label", "export")}
        assert_stale(done, after(done, desk.resolve()), stale)
    finally:
        desk.write("deliveries", {})


def test_a_shot_inserted_changes_no_other(desk: Desk, done: Plan):
    """A day between two others is new; theirs are cached."""
    again = after(done, desk.resolve(put(["matrix", "day"], ["mon", "wed", "fri"])))
    new = {again.nodes[key].address.shot for key, state in again.states.items() if state == "new"}
    assert new == {"rouge-01/2026-03-04", "mug-01/2026-03-04"}
    assert not again.reasons
    assert set(done.nodes) < set(again.nodes)


def test_the_next_week_shares_no_picture(desk: Desk, done: Plan):
    """Two weeks of one campaign have no keyframe and no clip in common."""
    later = desk.plan(start=dt.date(2026, 3, 9))
    drawn = {key for key, node in done.nodes.items() if node.kind in ("keyframe", "animate")}
    assert not drawn & set(later.nodes)


def test_the_same_week_again(desk: Desk, done: Plan):
    """Planned again on another day, nothing is left to do."""
    again = after(done, desk.resolve(today=dt.date(2026, 3, 5)))
    assert not again.work()
    assert list(again.nodes) == list(done.nodes)


def test_another_source_is_told(desk: Desk, done: Plan):
    """A photo in place of a keyframe, or a port left open, is told by the port."""
    again = after(done, desk.resolve(lambda brief: brief["products"][1].pop("image")))
    assert "image is now the keyframe" in " ".join(again.reasons.values())
    stages = list(shipped("pipelines/social-clip")["stages"])
    for stage in stages:
        if stage["id"] in ("title", "export"):
            stage["in"] = {port: of for port, of in stage["in"].items() if port != "overlay"}
    desk.write("pipelines/bare", {"stages": [s for s in stages if s["id"] != "watermark"]})
    bare = after(done, desk.resolve(put(["pipeline"], "bare")))
    assert set(bare.reasons.values()) == {
        "layers changed",  # a title has the logo's place as well
        "no overlay any more, input title changed",
        "input export changed",
    }


def test_a_stage_that_works_differently_is_told(desk: Desk, done: Plan):
    """A stage's own version is part of the key."""

    def recipe(key):
        return {**done.nodes[key].recipe(), "version": 0}

    resolved = with_facts(desk.resolve(), previous=dict(done.places), recipe=recipe)
    reasons = set(plan(resolved).reasons.values())
    assert "export itself works differently in this version" in reasons
    assert len(reasons) == len({node.kind for node in done.nodes.values()})


def test_a_key_that_is_gone_is_new(desk: Desk, done: Plan):
    """What was made once but is no longer held is new: there is nothing to compare with."""
    resolved = with_facts(desk.resolve(), previous=dict(done.places), recipe=lambda _: None)
    assert set(plan(resolved).states.values()) == {"new"}


def titled(done: Plan, expected: dict[str, str], shot: str) -> dict[str, str]:
    """Return the titles of a shot as stale, and its exports with them."""
    names = [label(node) for node in done.nodes.values() if f" {shot} " in f" {label(node)} "]
    stale = {name: "?" for name in names if name.startswith("title ")}
    for name in names:
        reason = expected.get(name, "?")
        if name.startswith("export ") and reason != "?" and "title" not in reason:
            stale[name] = f"{reason}, input title changed"
    return stale


def assert_stale(done: Plan, again: Plan, stale: dict[str, str]) -> None:
    """Check which nodes of `done` are stale, and why; `?` stands for reasons not worth quoting.

    What is exported anew is signed anew; titles stand where a clip is calm, and follow it.
    """
    expected = {
        label(node): reason
        for node in done.nodes.values()
        for pattern, reason in stale.items()
        if fnmatch(label(node), pattern)
    }
    for stage, *shot in [name.split()[:3] for name in expected]:
        if stage == "animate":
            expected |= titled(done, expected, " ".join(shot))
    for name in [name for name in expected if name.startswith("export ")]:
        expected.setdefault(name.replace("export", "sign", 1), "?")
    found = {label(again.nodes[key]): reason for key, reason in again.reasons.items()}
    untold = {name: "?" for name, reason in expected.items() if reason == "?"}
    assert {**found, **dict.fromkeys(found.keys() & untold, "?")} == expected
    assert "new" not in again.states.values()
