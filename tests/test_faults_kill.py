"""A campaign that draws with the shipped model, killed anywhere: run again, as if nothing was.

All homes have one campaign of three shots, one of which is an own photo. Runs happen in forks of
two processes that have imported torch once.
"""

from __future__ import annotations

import random
import signal
from functools import partial

import pytest

from catalogs.catalog import Catalog
from catalogs.store import Store
from configs.home import Home
from tests.fault_home import (
    assert_as_if_nothing_was,
    assert_tidy,
    copy,
    disk,
    drawn,
    finish,
    new_home,
    records,
    rows,
    run,
)
from tests.fault_worker import beside, together

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

POINTS = ("temp written", "fsynced", "renamed", "recorded", "indexed")
KILLS, SEED = 20, 20260302


def kill_and_finish(home: Home, undisturbed: Home, **befalls: object) -> int:
    """Let a run be killed, run again, and look at all that is left; return how it ended."""
    killed = run(home, **befalls)
    before, begun = records(home), drawn(home)
    finish(home)
    assert not set(drawn(home)[len(begun) :]) & before.keys()
    assert len(drawn(home)) <= len(drawn(undisturbed)) + 1  # the GPU's lane has one at a time
    assert_as_if_nothing_was(home, undisturbed, before)
    return killed.code


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory) -> Home:
    """A home whose campaign ran once, and nothing happened."""
    home = new_home(tmp_path_factory.mktemp("undisturbed") / "home")
    finish(home)
    assert_tidy(home)
    return home


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Home:
    """A home whose run was killed when all was made, but nothing written down of it."""
    home = new_home(tmp_path_factory.mktemp("made") / "home")
    assert run(home, point="recorded", nth=10).code == -signal.SIGKILL
    assert len(records(home)) == 10
    return home


def test_killed_at_each_commit_point(undisturbed, tmp_path):
    """A kill at any point of a commit costs at most what was in work."""

    def trial(number: int, point: str) -> None:
        home = new_home(tmp_path / f"home-{number}")
        nth = 1 if point == "indexed" else 4
        code = kill_and_finish(home, undisturbed, point=point, nth=nth)
        assert code == -signal.SIGKILL

    together(*(partial(trial, number, point) for number, point in enumerate(POINTS)))


@pytest.mark.long
def test_killed_at_random_times(undisturbed, tmp_path):
    """Twenty kills, spread over all of a run, lose nothing finished and leave nothing behind."""
    draw = random.Random(SEED)
    whole = run(new_home(tmp_path / "measured")).seconds
    times = [whole * (number + draw.random()) / KILLS for number in range(KILLS)]
    print(f"seed {SEED}; kills within {whole:.1f} s at", *(f"{each:.2f}" for each in times))

    def trial(number: int, after: float) -> int:
        home = new_home(tmp_path / f"home-{number}")
        return kill_and_finish(home, undisturbed, after=after)

    codes = together(*(partial(trial, number, after) for number, after in enumerate(times)))
    assert codes.count(-signal.SIGKILL) >= KILLS // 2  # the others had ended by then


@pytest.mark.long
def test_killed_before_each_change_of_the_books(undisturbed, made, tmp_path):
    """A kill between two steps of links, page, catalog and run file is made good by a run."""
    watched = copy(made, tmp_path / "watched")
    assert run(watched, change=-1).code == 0
    seen: dict[str, int] = {}
    for line in beside(watched.root, "changes").read_text("utf-8").splitlines():
        number, event = line.split(maxsplit=1)
        seen.setdefault(event, int(number))
    print(*(f"{number}: {event}" for event, number in seen.items()), sep="\n")

    def trial(number: int) -> None:
        home = copy(made, tmp_path / f"home-{number}")
        before = records(home)
        assert run(home, change=number).code == -signal.SIGKILL
        finish(home)
        assert_as_if_nothing_was(home, undisturbed, before)
        fed = rows(home)
        Catalog(home.catalog, Store(home.store)).rebuild(home.runs)
        assert rows(home) == fed

    together(*(partial(trial, number) for number in seen.values()))


@pytest.mark.parametrize("nth", [2, 5])
def test_ctrl_c_in_the_middle_of_a_commit(undisturbed, tmp_path, nth):
    """A Ctrl-C ends with 130, what is being committed is kept, and the next run goes on."""
    home = new_home(tmp_path / "home")
    code = kill_and_finish(home, undisturbed, point="fsynced", nth=nth, signal=signal.SIGINT)
    assert code == 130


def test_ctrl_c_at_random_times(undisturbed, tmp_path):
    """A Ctrl-C at any time ends with 130, or comes too late."""
    draw = random.Random(SEED)

    def trial(number: int) -> None:
        home = new_home(tmp_path / f"home-{number}")
        after = draw.uniform(0.05, 1.5)
        assert kill_and_finish(home, undisturbed, after=after, signal=signal.SIGINT) in (0, 130)

    together(*(partial(trial, number) for number in range(4)))


def test_two_runs_at_once(undisturbed, tmp_path):
    """Two runs of one campaign both end well, with one record a key and the same bytes."""
    home = new_home(tmp_path / "home")
    ends = together(*[partial(run, home)] * 2)
    assert [ended.code for ended in ends] == [0, 0]
    assert_as_if_nothing_was(home, undisturbed, {})


@pytest.fixture
def small_disk(tmp_path):
    """A disk of 20 MB."""
    with disk(tmp_path / "disk") as place:
        yield place


@pytest.mark.parametrize(("point", "nth"), [("temp written", 3), ("renamed", 5), ("recorded", 10)])
def test_the_disk_fills(undisturbed, small_disk, point, nth):
    """On a full disk a run ends, keeps what is finished, and goes on when there is room."""
    home = new_home(small_disk / "home")
    assert run(home, point=point, nth=nth, fill=True).code == 1
    (small_disk / "filler").unlink()
    before = records(home)
    finish(home)
    assert_as_if_nothing_was(home, undisturbed, before)
