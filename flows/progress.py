"""What a person watching a run sees: shots, stages and denoising steps.

Written by the stages' threads, read by a terminal or a page; knows of neither.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field

from catalogs.node import Address, Node
from flows.execute import Work
from tasks.stage import Progress

PACED = 0.05
"""The share of a run after which its own pace says more than the estimate."""


@dataclass(frozen=True, slots=True)
class StageView:
    """One stage at one moment."""

    name: str
    made: int
    total: int
    steps: Mapping[str, tuple[int, int]]
    """Steps done and wanted of the nodes now in work, by shot and shape."""

    @property
    def done(self) -> float:
        """Nodes made, counting what is in work by its steps."""
        return self.made + sum(done / max(total, 1) for done, total in self.steps.values())


@dataclass(slots=True)
class Totals:
    """The running totals of one run."""

    total: Counter[str] = field(default_factory=Counter)
    """Nodes with work to do, by stage, in the order of work."""
    made: Counter[str] = field(default_factory=Counter)
    left: Counter[str] = field(default_factory=Counter)
    """Nodes not made yet, by shot."""
    steps: dict[Address, tuple[int, int]] = field(default_factory=dict)
    looks: dict[Address, bytes] = field(default_factory=dict)
    """Small JPEGs of how the nodes in work will look."""
    costs: dict[str, float] = field(default_factory=dict)
    """Seconds that one node of a stage is thought to take."""
    started: float = field(default_factory=time.monotonic)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def expect(self, works: Sequence[Work]) -> None:
        """Take the totals of a run that begins."""
        with self.lock:
            for work in works:
                self.total[work.stage] += len(work.nodes)
                self.left[work.shot] += len(work.nodes)

    def step(self, progress: Progress) -> None:
        """Note one step of one node."""
        with self.lock:
            self.steps[progress.node.address] = (progress.done, progress.total)
            if progress.preview:
                self.looks[progress.node.address] = progress.preview

    def finish(self, node: Node) -> None:
        """Note a committed node."""
        with self.lock:
            self.steps.pop(node.address, None)
            self.looks.pop(node.address, None)
            self.made[node.address.stage] += 1
            self.left[node.address.shot] -= 1

    def shots(self) -> tuple[int, int]:
        """Return how many shots are finished, of how many with work to do."""
        with self.lock:
            return sum(not count for count in self.left.values()), len(self.left)

    def stages(self) -> tuple[StageView, ...]:
        """Return every stage as it stands."""
        with self.lock:
            return tuple(
                StageView(name, self.made[name], total, self._steps_of(name))
                for name, total in self.total.items()
            )

    def _steps_of(self, stage: str) -> dict[str, tuple[int, int]]:
        return {
            f"{address.shot} {address.aspect or address.delivery}": steps
            for address, steps in self.steps.items()
            if address.stage == stage
        }

    def seconds_left(self) -> float:
        """Return how long the run will take from now: the estimate, at the pace seen so far."""
        stages = self.stages()
        wanted = sum(self.costs.get(stage.name, 1.0) * stage.total for stage in stages)
        done = sum(self.costs.get(stage.name, 1.0) * stage.done for stage in stages)
        pace = (time.monotonic() - self.started) / done if done > wanted * PACED else 1.0
        return max(0.0, wanted - done) * pace

    def previews(self) -> dict[str, tuple[int, int, bytes]]:
        """Return step, steps and picture of what is in the making, by shot and shape."""
        with self.lock:
            return {
                f"{address.shot} {address.stage} {address.aspect or address.delivery}": (
                    *self.steps.get(address, (0, 0)),
                    jpeg,
                )
                for address, jpeg in self.looks.items()
            }

    def headline(self) -> str:
        """Return in one line how far the run is."""
        done, total = self.shots()
        left = self.seconds_left()
        time_left = f"about {left / 60:.0f} min left" if left > 90 else f"about {left:.0f} s left"
        shots = f"{done} of {total} shot{'s' * (total != 1)}"
        return f"{shots}; {time_left if left else 'nothing left to make'}"

    def fraction(self) -> float:
        """Return how much of the run is done, 0 to 1, counting steps of what is in work."""
        stages = self.stages()
        wanted = sum(stage.total for stage in stages)
        return min(1.0, sum(stage.done for stage in stages) / wanted) if wanted else 1.0


_watching: ContextVar[Totals | None] = ContextVar("watching", default=None)


@contextmanager
def watching(watch: Totals) -> Iterator[Totals]:
    """Let the run started inside this block report to `watch`."""
    token = _watching.set(watch)
    try:
        yield watch
    finally:
        _watching.reset(token)


def current_watch() -> Totals:
    """Return the watch of whoever started this run, or a fresh one nobody looks at."""
    return _watching.get() or Totals()
