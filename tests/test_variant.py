"""Trying a change: what is refused before anything is drawn, and what is made of it besides."""

from __future__ import annotations

import pytest

from catalogs.catalog import Catalog
from catalogs.node import Address, Node, NodeOutput
from catalogs.record import Run
from catalogs.runs import write_run
from catalogs.store import Store
from configs.errors import BadInput
from configs.home import Home
from flows.variant import MOST_SEED, _follow, changes_of, parse, variant, wished
from tasks.stages import STAGES
from tests.catalog_data import STARTED, commit, entry

SHOT = "rouge-01/2026-03-02"
PARAMS = {"prompt": "a red lipstick", "negative": "", "seed": 7, "steps": 8, "max_tokens": 128}


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A home whose run made a keyframe, a clip and a delivery of it, and a logo's mark."""
    home = Home.create(tmp_path_factory.mktemp("variant") / "home")
    store, notes = Store(home.store), {"model": "mini-picture"}
    key = Node(
        Address("keyframe", SHOT, "portrait"), "keyframe", 1, PARAMS, {}, "f" * 64, {}, notes
    )
    clip = Node(
        Address("animate", SHOT, "portrait"), "animate", 1, {"seed": 7, "prompt": "push in"},
        {"image": NodeOutput(key.key, "out")}, "f" * 64, {}, {"model": "gone"},
    )  # fmt: skip
    mark = Node(Address("watermark", SHOT, "", "douyin"), "watermark", 1, {})
    export = Node(
        Address("export", SHOT, "", "douyin"), "export", STAGES["export"].version, {},
        {"clip": NodeOutput(clip.key, "out"), "overlay": NodeOutput(mark.key, "out")},
    )  # fmt: skip
    nodes = (key, clip, mark, export)
    for node in nodes:
        commit(store, node, str(node.address), run="20260302-080000-spring-0000")
    run = Run(
        id="20260302-080000-spring-0000", campaign="spring", state="done", started=STARTED,
        shots={SHOT: {}}, entries=tuple(entry(node, "made") for node in nodes),
    )  # fmt: skip
    write_run(home.runs, run)
    Catalog(home.catalog, store).rebuild(home.runs)
    return home, run, nodes


def test_what_can_be_changed_is_what_was_drawn_with(place):
    """Words, seed and steps of what a model drew; nothing of an export."""
    home, _, (key, clip, _, export) = place
    store = Store(home.store)
    told = {name: PARAMS[name] for name in ("prompt", "negative", "seed", "steps")}
    assert changes_of(store.record(key.key)) == told
    assert changes_of(store.record(clip.key)) == {"prompt": "push in", "seed": 7}
    assert changes_of(store.record(export.key)) == {}


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"seed": 7}, "nothing is changed"),
        ({"motion": "orbit"}, "motion"),
        ({"steps": 10_000}, "this model takes"),
        ({"steps": 0}, "this model takes"),
        ({"seed": -1}, "must be between 0"),
        ({"seed": MOST_SEED + 1}, "must be between 0"),
        ({"prompt": "  "}, "must not be empty"),
        ({"prompt": "word " * 400}, "reads 128"),
    ],
)
def test_a_change_that_cannot_be_is_refused(place, changes, why):
    """In one sentence, and no run begins."""
    home, run, (key, *_) = place
    with pytest.raises(BadInput, match=why):
        variant(home, key.key, changes)
    assert [path.name for path in home.runs.iterdir()] == [run.id]


def test_what_was_not_drawn_is_not_varied(place):
    """An export says to try what it was made from; a model that is gone is named."""
    home, _, (_, clip, _, export) = place
    with pytest.raises(BadInput, match="try what it was made from"):
        variant(home, export.key, {"seed": 5})
    with pytest.raises(BadInput, match="'gone'"):
        variant(home, clip.key, {"seed": 5})
    with pytest.raises(BadInput, match="neither a file nor"):
        variant(home, "nope", {"seed": 5})


def test_words_of_a_form_become_changes():
    """Numbers are read strictly: no sign, no space, no other digits."""
    assert parse({"seed": "0", "prompt": "7"}) == {"seed": 0, "prompt": "7"}
    for text in ("-1", "1.5", "", " 1", "٣", "1e3"):
        with pytest.raises(BadInput, match="whole number"):
            parse({"seed": text})
    with pytest.raises(BadInput, match="no change 'sed'"):
        parse({"sed": "1"})


def test_a_word_of_the_shell_finds_what_an_asset_was_made_from(place):
    """A stage's name leads from a delivery to its keyframe; without one it is the asset itself."""
    home, _, (key, clip, _, export) = place
    words = ["keyframe.seed=5", "keyframe.prompt=a=b"]
    assert wished(home, export.key, words) == (key.key, {"seed": 5, "prompt": "a=b"})
    assert wished(home, clip.key, ["seed=5"]) == (clip.key, {"seed": 5})
    for wrong, why in (
        (["keyframe.seed=5", "animate.seed=5"], "one stage at a time"),
        (["keyfram.seed=5"], "no stage 'keyfram'; did you mean 'keyframe'"),
        (["keyframe.seed"], "write STAGE.NAME=VALUE"),
        (["keyframe.size=5"], "no change 'size'"),
    ):
        with pytest.raises(BadInput, match=why):
            wished(home, export.key, wrong)


def test_all_that_was_made_of_it_is_made_anew(place):
    """Clip and delivery follow with other keys; the logo's mark is taken as it is."""
    home, run, (key, clip, mark, export) = place
    first = Node(key.address, "keyframe", 1, {**PARAMS, "seed": 5}, {}, key.model)
    made = list(_follow(Store(home.store), run, key.key, first))
    assert [node.kind for node in made] == ["keyframe", "animate", "export"]
    assert made[1].inputs == {"image": NodeOutput(first.key, "out")}
    assert made[2].inputs["clip"] == NodeOutput(made[1].key, "out")
    assert made[2].inputs["overlay"] == NodeOutput(mark.key, "out")
    assert not {node.key for node in made} & {key.key, clip.key, export.key}
