"""`keyreel up`: its parts killed in mid-campaign, each in turn; then all stopped, and begun again.

One campaign of pictures at a time, in two steps each; the same in a home where nothing happens.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable

import psutil
import pytest

from catalogs.store import Store
from configs.home import Home
from tests.campaigns import bytes_of, keyreel, run_plainly
from tests.fault_home import assert_tidy, new_home, records
from tests.up_home import Up, up, wait_until

pytestmark = [pytest.mark.long, pytest.mark.prefect, pytest.mark.timeout(550)]

WEEK = {"matrix": {"product": "all", "day": ["mon", "tue"]}}
ENDED = 20
"""Seconds; people are promised ten, on a machine that is not busy with other tests."""
OVER = {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"}


def week(folder) -> Home:
    """Return a home with two campaigns of four drawn pictures and two photos each."""
    home = new_home(folder, **WEEK)
    text = (home.campaigns / "stills.yaml").read_text("utf-8")
    second = text.replace("name: stills", "name: second").replace("seed: 7", "seed: 8")
    (home.campaigns / "second.yaml").write_text(second, "utf-8")
    return home


def more_than(home: Home, before: int, by: int = 2) -> Callable[[], bool]:
    return lambda: len(Store(home.store).held()) >= before + by


def deployed(one: Up) -> bool:
    return any(found["name"] == "campaign" for found in one.ask("/deployments/filter", {}))


def finish(one: Up, run: str) -> None:
    """Wait until the run is completed, and all its task runs have ended, one way or another."""

    def states() -> tuple[str, set[str]]:
        try:
            return one.state(run), set(one.tasks(run))
        except OSError:
            return "no answer", set()

    def over() -> bool:
        state, tasks = states()
        return state == "COMPLETED" and tasks <= OVER

    wait_until(over, 200, lambda: f"{states()}\n{one.said()}")


def processes(home: Home) -> list[psutil.Process]:
    """Return what still runs for a home."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("KEYREEL_HOME") == str(home.root):
                found.append(process)
        except psutil.Error:
            continue
    return [process for process in found if process.pid != os.getpid()]


def test_killed_in_turn_and_stopped_the_campaigns_complete(tmp_path):
    """GPU process, gallery, server, worker and the whole: nothing is lost, nothing done twice."""
    undisturbed, home = week(tmp_path / "undisturbed" / "home"), week(tmp_path / "up" / "home")
    with up(home) as one:
        wait_until(lambda: deployed(one), 60)
        first = one.submit("stills")
        before: dict = {}
        for victim in ("gpu-0", "gallery", "server", "worker"):
            wait_until(more_than(home, len(before)), 100)
            before |= records(home)
            one.part(victim).send_signal(signal.SIGKILL)
            wait_until(lambda victim=victim: f"{victim} was killed" in one.said(), 20)
        finish(one, first)
        assert "</html>" in one.gallery_page()
        assert {key: records(home)[key] for key in before} == before
        second = one.submit("second")
        made = len(records(home))
        wait_until(more_than(home, made), 100)
        assert one.stop() < ENDED
        assert processes(home) == []
    before = records(home)
    with up(home, one.port) as again:
        finish(again, second)
        assert again.stop() < ENDED
    assert processes(home) == []
    assert {key: records(home)[key] for key in before} == before
    for campaign in ("stills", "second"):
        assert run_plainly(undisturbed, campaign).state == "done"
    assert records(home).keys() == records(undisturbed).keys()
    assert bytes_of(home.deliveries) == bytes_of(undisturbed.deliveries)
    assert bytes_of(home.store / "assets") == bytes_of(undisturbed.store / "assets")
    assert_tidy(home)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--host", "0.0.0.0"], "PREFECT_SERVER_API_AUTH_STRING"),
        (["--join", "studio"], "http://studio:4200"),
    ],
)
def test_what_would_let_anybody_in_is_refused(tmp_path, words, said):
    """An open API runs anybody's code; an address without a scheme is none."""
    done = keyreel(Home.create(tmp_path / "home"), "up", *words)
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr
