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

    def finish(self, node: Node) -> None:
        """Note a committed node."""
        with self.lock:
            self.steps.pop(node.address, None)
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
