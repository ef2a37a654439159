"""Who goes first in the resident process's queue, what a person waits for; and in which of two."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from catalogs.store import Store
from configs.errors import Interrupted
from flows import resident, single
from flows.forms import ImageToVideo, TextToVideo
from gpu.service.engine import Engine
from tasks.stage import Studio
from tasks.stages import STAGES
from tests.campaigns import home_with
from tests.service_worker import Words
from tests.test_resident import node
from tests.test_service import Resident, ask

pytestmark = pytest.mark.slow  # processes are started


@pytest.mark.parametrize(
    ("kind", "form"),
    [
        ("text-to-video", TextToVideo(prompt="a lipstick", seed=1)),
        ("image-to-video", ImageToVideo(picture="brand/photo.png", seed=1)),
    ],
)
def test_a_form_is_carried_out_ahead_of_campaigns(tmp_path, monkeypatch, kind, form):
    """What a person fills in goes first; a campaign's priority is 0."""
    monkeypatch.setenv("KEYREEL_HOME", str(home_with(tmp_path / "home").root))
    monkeypatch.setattr(single, "carry_out", lambda home, prepared, priority: priority)
    assert single.make_one(kind, form) > Studio(None, None, {}).priority == 0


def test_the_queue_has_the_studios_priority(tmp_path):
    """A node is asked for with it, as the queue's table shows."""
    home = home_with(tmp_path / "home")
    made, stop = Resident(tmp_path, resident.folder(home)), threading.Event()
    studio = Studio(home, Store(home.store), {}, priority=7, cancelled=stop.is_set)
    try:
        with ThreadPoolExecutor(2) as pool:
            busy = pool.submit(made.client.do, ask("mug", seconds=60), cancelled=stop.is_set)
            while not made.done():
                time.sleep(0.01)
            asked = pool.submit(
                lambda: list(resident.make(STAGES["keyframe"], [node()], studio, run="run"))
            )
            while len(queue := made.client.statuses()[0]["queue"]) < 2:
                time.sleep(0.01)
            stop.set()
            for one in (busy, asked):
                with pytest.raises(Interrupted):
                    one.result()
        assert [(one["client"], one["priority"]) for one in queue] == [("a", 0), ("run", 7)]
    finally:
        made.close()
        made.process.stderr.close()


def test_work_that_a_person_wants_too_goes_with_them(tmp_path):
    """A week's piece that waits already moves forward; the week's wish takes nothing back."""
    engine = Engine(Words(tmp_path))
    week = ask("mug", "week")
    job = engine.join(week, print)
    assert engine.join(week.model_copy(update={"client": "li", "priority": 10}), repr) is job
    assert (job.client, job.priority) == ("li", 10)
    engine.join(week, str)
    assert job.priority == 10


def test_two_at_once_go_to_two_processes(tmp_path):
    """Each sees where the other went; alone, work goes where its weights are loaded."""
    state = tmp_path / "state"
    both = [Resident(tmp_path, state, name) for name in ("gpu-0", "gpu-1")]
    client = both[0].client

    def pid(name: str, needs: str, seconds: float) -> object:
        asked = ask(name, seconds=seconds, needs=needs).model_copy(update={"needs": needs})
        return client.do(asked)["pid"]

    try:
        with ThreadPoolExecutor(2) as pool:
            first, second = pool.map(pid, ("a", "b"), ("picture", "clip"), (0.6, 0.6))
        assert {first, second} == {one.process.pid for one in both}
        assert pid("c", "clip", 0) == second
        assert pid("d", "picture", 0) == first
    finally:
        for one in both:
            one.close()
            one.process.stderr.close()
