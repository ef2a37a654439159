"""Who goes first in the resident process's queue: what a person waits for, and then the week."""

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
