"""What a person watching a run is told."""

from __future__ import annotations

from rich.console import Console

from catalogs.node import Address, Node
from flows import screen
from flows.execute import group
from flows.progress import Totals
from tasks.stage import Progress

LANES = {"keyframe": "gpu", "export": "cpu"}


def a_node(stage: str, shot: str, aspect: str = "") -> Node:
    return Node(Address(stage, shot, aspect), stage, 1, {"shot": shot, "aspect": aspect})


NODES = [a_node("keyframe", shot, "portrait") for shot in "ab"] + [
    a_node("export", shot) for shot in "ab"
]


def a_watch() -> Totals:
    watch = Totals()
    watch.expect(group(NODES, LANES))
    return watch


def drawn(watch: Totals) -> str:
    """Return the terminal's text, 80 columns wide."""
    console = Console(width=80, force_terminal=True, color_system=None)
    with console.capture() as said:
        console.print(screen._bars(watch))
    return said.get()


def test_a_shot_is_finished_with_its_last_node():
    """Shots are counted by what is left of them."""
    watch = a_watch()
    watch.finish(NODES[0])
    assert watch.shots() == (0, 2)
    watch.finish(NODES[2])
    assert watch.shots() == (1, 2)


def test_steps_count_as_parts_of_a_node():
    """Half the steps of one of four nodes are an eighth of the run."""
    watch = a_watch()
    watch.step(Progress(NODES[0], 4, 8))
    assert watch.fraction() == 0.125
    watch.finish(NODES[0])
    assert watch.fraction() == 0.25


def test_shots_stages_and_steps_are_shown():
    """One line for the shots, one for each stage, with the steps of what is in work."""
    watch = a_watch()
    watch.finish(NODES[0])
    watch.step(Progress(NODES[1], 3, 8))
    lines = drawn(watch).splitlines()
    assert [line.split()[0] for line in lines] == ["shots", "keyframe", "export"]
    assert "1/2" in lines[1]
    assert "3/8 b portrait" in lines[1]


def test_before_the_plan_is_known_it_says_starting():
    """The first seconds, in which libraries load, are not a blank screen."""
    assert "starting" in drawn(Totals())
