"""What a person watching a run is told."""

from __future__ import annotations

from rich.console import Console

from catalogs.node import Address, Node
from flows import screen
from flows.execute import group
from flows.progress import Totals
from flows.watch import now
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


def test_the_time_left_is_the_estimate_and_then_the_runs_own_pace():
    """Keyframes thought to take 10 s and exports 2 s: 24 s; at half that pace, 28 s of 14."""
    watch = a_watch()
    watch.costs = {"keyframe": 10.0, "export": 2.0}
    assert watch.seconds_left() == 24.0
    watch.started -= 20.0
    watch.finish(NODES[0])
    assert 27.9 < watch.seconds_left() < 28.5
    assert watch.headline() == "0 of 2 shots; about 28 s left"


def test_a_page_tells_stages_steps_memory_and_queue():
    """As Markdown tables: of a run, and of each resident process."""
    watch = a_watch()
    watch.step(Progress(NODES[0], 3, 8, b"jpeg"))
    busy = {
        "done": 5,
        "worker": {"bytes": 12_300_000_000, "parked": 0},
        "queue": [{"state": "working"}, {"state": "waiting"}, {"state": "waiting"}],
    }
    page = now(watch, [busy])
    assert "| keyframe | 0 of 2 | a portrait: step 3 of 8 |" in page
    assert "| 0 | 12.3 GB | 0.0 GB | 1 | 2 | 5 |" in page
    assert "draws by itself" in now(watch, [])


def test_a_preview_goes_with_its_node():
    """Shown with its step while the node is in work, and no longer."""
    watch = a_watch()
    watch.step(Progress(NODES[0], 3, 8, b"jpeg"))
    watch.step(Progress(NODES[0], 4, 8))
    assert watch.previews() == {"a keyframe portrait": (4, 8, b"jpeg")}
    watch.finish(NODES[0])
    assert watch.previews() == {}
