"""What a person watching a run sees: shots, stages and denoising steps.

Written by the stages' threads, read by a terminal or a page; knows of neither.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field

from catalogs.node import Node
from flows.execute import Work
from tasks.stage import Progress


@dataclass(slots=True)
class Watch:
    """The running totals of one run."""

    total: Counter[str] = field(default_factory=Counter)
    """Nodes with work to do, by stage."""
    made: Counter[str] = field(default_factory=Counter)
    steps: dict[str, tuple[int, int]] = field(default_factory=dict)
    """Steps done and wanted of the nodes now in work, by address."""
    started: float = field(default_factory=time.monotonic)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def expect(self, works: Sequence[Work]) -> None:
        """Take the totals of a run that begins."""
        self.total.update({work.stage: 0 for work in works})
        for work in works:
            self.total[work.stage] += len(work.nodes)

    def step(self, progress: Progress) -> None:
        """Note one step of one node."""
        with self.lock:
            self.steps[str(progress.node.address)] = (progress.done, progress.total)

    def finish(self, node: Node) -> None:
        """Note a committed node."""
        with self.lock:
            self.steps.pop(str(node.address), None)
            self.made[node.address.stage] += 1

    def fraction(self) -> float:
        """Return how much of the run is done, 0 to 1, counting steps of what is in work."""
        with self.lock:
            partly = sum(done / max(total, 1) for done, total in self.steps.values())
        wanted = sum(self.total.values())
        return min(1.0, (sum(self.made.values()) + partly) / wanted) if wanted else 1.0


_watching: ContextVar[Watch | None] = ContextVar("watching", default=None)


@contextmanager
def watching(watch: Watch) -> Iterator[Watch]:
    """Let the run started inside this block report to `watch`."""
    token = _watching.set(watch)
    try:
        yield watch
    finally:
        _watching.reset(token)


def current_watch() -> Watch:
    """Return the watch of whoever started this run, or a fresh one nobody looks at."""
    return _watching.get() or Watch()
