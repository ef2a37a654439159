"""Verdicts on keyframes: kept as files, by content key, and what they let be made."""

from __future__ import annotations

import pytest
from PIL import Image

from catalogs.catalog import Catalog
from catalogs.node import Address, Node, NodeOutput
from catalogs.reviews import next_seed
from catalogs.runs import write_run
from catalogs.store import Store
from configs.errors import BadInput
from configs.home import Home
from flows.approval import awaiting, held_back, judge, keyframes, verdicts
from tasks.stage import Draft
from tests.catalog_data import entry, week


def keyframe(store: Store, shot: str, seed: int = 7) -> Node:
    """Commit a keyframe of one colour."""
    params = {"seed": seed, "prompt": shot}
    made = Node(Address("keyframe", shot, "portrait"), "keyframe", 1, params)
    with store.workspace() as desk:
        path = desk / "picture.png"
        Image.new("RGB", (8, 8), (seed % 256, 0, len(shot))).save(path)
        draft = Draft(path, "image", "image/png", 8, 8)
        store.commit(made, {"image": draft}, run="r", started="2026-03-02", seconds=1.0)
    return made


@pytest.fixture
def home(tmp_path) -> Home:
    return Home(tmp_path / "home")


def test_the_last_verdict_on_a_key_counts(home):
    """A reviewer may change their mind; another process sees it at once, from the files."""
    node = keyframe(Store(home.store), "rouge-01/2026-03-02")
    judge(home, node.key, "rejected", "the cap is  cut off", "li")
    first = verdicts(home)[node.key]
    assert (first.verdict, first.note, first.reviewer) == ("rejected", "the cap is cut off", "li")
    judge(home, node.key, "approved")
    assert verdicts(home)[node.key].verdict == "approved"


def test_a_rejection_says_why(home):
    """Without a note the author would not know what to change: nothing is kept."""
    node = keyframe(Store(home.store), "rouge-01/2026-03-02")
    with pytest.raises(BadInput, match="needs a note"):
        judge(home, node.key, "rejected", " \n")
    assert verdicts(home) == {}


def test_another_seed_is_the_same_one_for_whoever_asks(home):
    """Asked twice, or for two shapes of a shot, the next seed is one; after it comes another."""
    store = Store(home.store)
    nodes = [keyframe(store, shot) for shot in ("a/2026-03-02", "b/2026-03-02")]
    seeds = [judge(home, node.key, "reseeded").seed for node in (*nodes, nodes[0])]
    assert seeds == [next_seed(7)] * 3
    assert len({7, next_seed(7), next_seed(next_seed(7))}) == 3


@pytest.mark.parametrize(
    ("key", "note", "by"),
    [
        ("../../../etc/passwd", "", ""),
        ("f" * 64, "", ""),
        ("F" * 64, "", ""),
        ("", "x" * 401, ""),
        ("", "\x1b[2J", ""),
        ("", "", "y" * 65),
    ],
)
def test_hostile_verdicts_are_refused(home, key, note, by):
    """Keys from a page never become paths; notes and names are short plain text."""
    node = keyframe(Store(home.store), "rouge-01/2026-03-02")
    with pytest.raises(BadInput):
        judge(home, key or node.key, "approved", note, by)
    assert verdicts(home) == {}


def test_only_keyframes_are_judged(home):
    """A clip's key is refused: what it was made from is what people judge."""
    run = week(Store(home.store))
    clip = next(entry.key for entry in run.entries if entry.place.stage == "animate")
    with pytest.raises(BadInput, match="no finished keyframe"):
        judge(home, clip, "approved")


def waiting_run(home: Home, **parameters: str):
    """Write a run of two keyframes, as `keyreel run` does with `approve: keyframes`."""
    store = Store(home.store)
    nodes = [keyframe(store, shot) for shot in ("rouge-01/2026-03-02", "mug-01/2026-03-02")]
    run = week(Store(home.root / "other"), "20260302-080000-spring-time-abcd")
    changes = {"campaign": "spring-time", "parameters": parameters, "state": "waiting"}
    run = run.model_copy(update={"entries": tuple(entry(n, "made") for n in nodes), **changes})
    write_run(home.runs, run)
    return nodes


def test_what_waits_is_what_nobody_judged(home):
    """A reviewer is shown each keyframe of the latest run, and the words of its shot."""
    first, second = waiting_run(home, approve="keyframes")
    judge(home, first.key, "approved", by="li")
    assert [one.review is None for one in keyframes(home)] == [False, True]
    (left,) = awaiting(home)
    assert (left.key, left.name) == (second.key, "mug-01/2026-03-02:portrait")
    assert left.path.read_bytes()[:4] == b"\x89PNG"
    assert left.told["texts"] == {"picture": "一支口红 1", "motion": "push in"}
    assert awaiting(home, "autumn") == []


def test_a_campaign_without_approval_waits_for_nobody(home):
    """Its keyframes can be judged for the statistics, and nothing is held back."""
    waiting_run(home)
    assert len(keyframes(home)) == 2
    assert awaiting(home) == []


def test_only_what_comes_of_approved_keyframes_may_be_made(home):
    """A clip, and its export, wait for their keyframe; the next shot's don't."""
    store, nodes = Store(home.store), {}
    for shot in ("a/2026-03-02", "b/2026-03-02", "c/2026-03-02"):
        key = keyframe(store, shot)
        clip = Node(
            Address("animate", shot), "animate", 1, {}, {"image": NodeOutput(key.key, "image")}
        )
        out = Node(Address("export", shot), "export", 1, {}, {"clip": NodeOutput(clip.key, "clip")})
        nodes |= {node.key: node for node in (key, clip, out)}
    keys = [key for key, node in nodes.items() if node.kind == "keyframe"]
    judge(home, keys[0], "approved")
    judge(home, keys[1], "rejected", "too dark")
    held = held_back(nodes, verdicts(home))
    assert {(nodes[key].address.shot[0], nodes[key].kind) for key in held} == {
        ("b", "animate"), ("b", "export"), ("c", "animate"), ("c", "export"),
    }  # fmt: skip
    assert set(held.values()) == set(keys[1:])


def test_verdicts_rank_prompt_templates(home):
    """The catalog counts them by template, and rebuilds them from their files."""
    store = Store(home.store)
    run = week(store)
    shots = {name: {**told, "template": "emotion"} for name, told in run.shots.items()}
    shots["rouge-01/2026-03-02"]["template"] = "product-closeup"
    nodes = [keyframe(store, shot) for shot in shots]
    catalog = Catalog(home.catalog, store)
    write_run(home.runs, run.model_copy(update={"id": "r", "shots": shots}))
    judge(home, nodes[0].key, "approved")
    judge(home, nodes[1].key, "reseeded")
    catalog.rebuild(home.runs)
    _, rows = catalog.query(
        "SELECT rank, template, approved, reseeded, round(score, 2) FROM v_prompt_success"
    )
    assert [tuple(row) for row in rows] == [
        (1, "product-closeup", 1, 0, 0.21), (2, "emotion", 0, 1, 0.0),
    ]  # fmt: skip
    seed = catalog.query("SELECT seed FROM reviews WHERE verdict = 'reseeded'")[1]
    assert [tuple(row) for row in seed] == [(str(next_seed(7)),)]
