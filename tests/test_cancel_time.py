"""How long a cancel takes while the shipped model makes a clip on a processor."""

from __future__ import annotations

import threading
import time

import pytest

from flows.progress import Totals
from tests.campaigns import STILLS, home_with, run_plainly

MOST_SECONDS = 2.0
"""Of this process's own work, books and page with it: other work on the machine does not count."""


class CancelsAfter(Totals):
    """Cancels a while after a clip's step was done."""

    def __init__(self, step: int, seconds: float) -> None:
        super().__init__()
        self.after, self.seconds = step, seconds
        self.cancelled = threading.Event()
        self.at = self.worked = 0.0

    def step(self, progress) -> None:
        super().step(progress)
        if progress.node.address.stage == "animate" and progress.done == self.after:
            threading.Timer(self.seconds, self.cancel).start()

    def cancel(self) -> None:
        self.at, self.worked = time.monotonic(), time.process_time()
        self.cancelled.set()


@pytest.mark.long
@pytest.mark.timeout(200)
@pytest.mark.parametrize(("step", "seconds"), [(1, 0.5), (4, 0.5)])
def test_a_cancel_is_heard_within_two_seconds(tmp_path, step, seconds):
    """In the middle of a step that takes several seconds, and while frames are decoded."""
    photo = STILLS["products"][1:]
    clips = {**STILLS, "pipeline": "social-clip", "deliveries": ["douyin"], "products": photo}
    home = home_with(tmp_path / "home", {**clips, "settings": {}})
    watch = CancelsAfter(step, seconds)
    assert run_plainly(home, cancelled=watch.cancelled.is_set, watch=watch).state == "interrupted"
    took, worked = time.monotonic() - watch.at, time.process_time() - watch.worked
    print(
        f"cancelled {seconds} s after step {step}: all told after {took:.2f} s, {worked:.2f} busy"
    )
    assert worked <= MOST_SECONDS
