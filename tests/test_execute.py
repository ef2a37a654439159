"""The order of a run: readiness, lanes, failures and cancelling."""

from __future__ import annotations

import random
import threading
from concurrent.futures import ThreadPoolExecutor

from catalogs.node import Address, Node, NodeOutput
from configs.errors import Interrupted, StageFailed
from flows.execute import Work, execute, group

LANES = {"keyframe": "gpu", "animate": "gpu", "export": "cpu"}


def a_node(stage: str, shot: str, *needs: Node, aspect: str = "") -> Node:
    inputs = {f"in{i}": NodeOutput(need.key, "image") for i, need in enumerate(needs)}
    return Node(Address(stage, shot, aspect), stage, 1, {"shot": shot, "aspect": aspect}, inputs)


def a_chain(shot: str) -> list[Node]:
    keyframe = a_node("keyframe", shot)
    clip = a_node("animate", shot, keyframe)
    return [keyframe, clip, a_node("export", shot, clip)]


class Maker:
    """A thread pool that makes works into a set of held keys, and notes the order."""

    def __init__(self, fails: frozenset[str] = frozenset()) -> None:
        self.held: set[str] = set()
        self.order: list[str] = []
        self.fails = fails
        self.at_once: dict[str, int] = {}
        self.most: dict[str, int] = {}
        self.lock = threading.Lock()
        self.pool = ThreadPoolExecutor(8)

    def start(self, work: Work, done) -> None:
        self.pool.submit(self._make, work, done)

    def _make(self, work: Work, done) -> None:
        with self.lock:
            self.at_once[work.lane] = self.at_once.get(work.lane, 0) + 1
            self.most[work.lane] = max(self.most.get(work.lane, 0), self.at_once[work.lane])
            self.order.append(f"{work.shot} {work.stage}")
        failing = [node for node in work.nodes if str(node.address) in self.fails]
        self.held |= {node.key for node in work.nodes if node not in failing}
        with self.lock:
            self.at_once[work.lane] -= 1
        done(work, StageFailed("the lamp went out") if failing else None)


def run(works, maker: Maker, *, slots=None, cancelled=lambda: False):
    return execute(
        works,
        maker.start,
        slots=slots or {"gpu": 1, "cpu": 2},
        held=maker.held.__contains__,
        cancelled=cancelled,
    )


def test_inputs_come_first_whatever_the_order_of_the_plan():
    """Every work starts after the works that make its inputs."""
    nodes = [node for shot in "abcdef" for node in a_chain(shot)]
    random.Random(1).shuffle(nodes)
    maker = Maker()
    outcome = run(group(nodes, LANES), maker)
    assert not outcome.errors
    assert not outcome.skipped
    for shot in "abcdef":
        steps = [maker.order.index(f"{shot} {stage}") for stage in LANES]
        assert steps == sorted(steps)


def test_a_lane_never_runs_more_than_its_slots():
    """The GPU lane runs one work at a time, the CPU lane as many as it has slots."""
    maker = Maker()
    run(group([node for shot in range(30) for node in a_chain(str(shot))], LANES), maker)
    assert maker.most["gpu"] == 1
    assert maker.most["cpu"] <= 2


def test_one_poisoned_shot_fails_alone():
    """A failed keyframe skips its own clip and export, says why, and leaves the others."""
    nodes = {shot: a_chain(shot) for shot in "abc"}
    maker = Maker(frozenset({"b keyframe"}))
    outcome = run(group([n for chain in nodes.values() for n in chain], LANES), maker)
    assert outcome.errors == {nodes["b"][0].key: "the lamp went out"}
    assert set(outcome.skipped) == {node.key for node in nodes["b"][1:]}
    assert outcome.skipped[nodes["b"][2].key] == "needs b keyframe, which failed"
    assert all(node.key in maker.held for shot in "ac" for node in nodes[shot])


def test_a_failed_aspect_leaves_the_other_aspect_of_the_same_work():
    """One aspect's failure skips only what needed that aspect."""
    portrait, square = (a_node("keyframe", "a", aspect=x) for x in ("portrait", "square"))
    clips = [a_node("animate", "a", portrait, aspect="portrait")]
    clips.append(a_node("animate", "a", square, aspect="square"))
    maker = Maker(frozenset({"a keyframe portrait"}))
    outcome = run(group([portrait, square, *clips], LANES), maker)
    assert set(outcome.errors) == {portrait.key}
    assert set(outcome.skipped) == {clips[0].key}
    assert clips[1].key in maker.held


def test_inputs_that_are_already_held_are_not_waited_for():
    """A plan whose keyframes are cached starts with the clips."""
    chain = a_chain("a")
    maker = Maker()
    maker.held.add(chain[0].key)
    run(group(chain[1:], LANES), maker)
    assert maker.order == ["a animate", "a export"]


def test_a_cancelled_run_starts_nothing_more_and_blames_nobody():
    """After a cancel what runs is waited for, and interrupted work is not a failure."""
    stop = threading.Event()
    maker = Maker()

    def start(work: Work, done) -> None:
        stop.set()
        done(work, Interrupted("Ctrl-C"))

    works = group([node for shot in "ab" for node in a_chain(shot)], LANES)
    outcome = execute(
        works,
        start,
        slots={"gpu": 1, "cpu": 1},
        held=maker.held.__contains__,
        cancelled=stop.is_set,
    )
    assert outcome.errors == {}
    assert maker.held == set()


def test_works_are_grouped_by_shot_and_stage():
    """One task run makes all aspects of a stage of a shot."""
    nodes = [a_node("keyframe", "a", aspect=x) for x in ("portrait", "square")]
    (work,) = group(nodes, LANES)
    assert work.nodes == tuple(nodes)
    assert (work.shot, work.stage, work.lane) == ("a", "keyframe", "gpu")
