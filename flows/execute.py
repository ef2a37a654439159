"""The order of a run: which work is ready, how much runs at once, and what became of it.

Knows nothing of Prefect: `start` is given, and may be a thread pool or a task runner.
"""

from __future__ import annotations

import heapq
import queue
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from catalogs.node import Node, NodeOutput
from configs.errors import Interrupted, KeyreelError

Done = Callable[["Work", BaseException | None], None]
Start = Callable[["Work", Done], None]
"""`start(work, done)`: begins the work elsewhere and calls `done(work, error)` when it ended."""


@dataclass(frozen=True, slots=True)
class Work:
    """The nodes of one shot and one stage that have work to do: one task run."""

    rank: int
    """Its place in the plan's order: lower goes first."""
    stage: str
    kind: str
    lane: str
    shot: str
    nodes: tuple[Node, ...]

    @property
    def needs(self) -> frozenset[str]:
        """Keys of the nodes whose files it reads."""
        sources = (source for node in self.nodes for source in node.inputs.values())
        return frozenset(source.key for source in sources if isinstance(source, NodeOutput))


@dataclass(slots=True)
class Outcome:
    """What became of the works of a run."""

    errors: dict[str, str] = field(default_factory=dict)
    """By key: the sentence a person reads."""
    skipped: dict[str, str] = field(default_factory=dict)
    """By key: which failed input it would have needed."""


def group(nodes: Iterable[Node], lanes: Mapping[str, str]) -> tuple[Work, ...]:
    """Group nodes into works by shot and stage, in the order in which each first appears.

    Args:
        nodes: those with work to do, in the plan's order.
        lanes: the lane of each stage of `tasks/`.
    """
    grouped: dict[tuple[str, str], list[Node]] = defaultdict(list)
    for node in nodes:
        grouped[node.address.shot, node.address.stage].append(node)
    return tuple(
        Work(rank, stage, members[0].kind, lanes[members[0].kind], shot, tuple(members))
        for rank, ((shot, stage), members) in enumerate(grouped.items())
    )


def execute(
    works: Sequence[Work],
    start: Start,
    *,
    slots: Mapping[str, int],
    held: Callable[[str], bool],
    cancelled: Callable[[], bool],
    idle: Callable[[], None] = lambda: None,
) -> Outcome:
    """Run all works, each as soon as its inputs are in the store; one that fails, fails alone.

    Args:
        works: in the order wished for; a work never waits for a later one's slot.
        start: begins one work elsewhere.
        slots: how many works of each lane run at once.
        held: whether a key's record exists.
        cancelled: once true nothing more is started; what runs is waited for.
        idle: called several times a second, for progress and the catalog.
    """
    return _Board(works, held).run(start, slots, cancelled, idle)


class _Board:
    """Works waiting for inputs, ready in their lanes, and running."""

    def __init__(self, works: Sequence[Work], held: Callable[[str], bool]) -> None:
        self.held = held
        self.outcome = Outcome()
        self.ready: dict[str, list[tuple[int, Work]]] = defaultdict(list)
        self.running: dict[str, int] = defaultdict(int)
        self.finished: queue.Queue[tuple[Work, BaseException | None]] = queue.Queue()
        pending = {node.key for work in works for node in work.nodes}
        self.missing = {work.rank: set(work.needs & pending) for work in works}
        self.consumers: dict[str, list[Work]] = defaultdict(list)
        for work in works:
            for key in self.missing[work.rank]:
                self.consumers[key].append(work)
            if not self.missing[work.rank]:
                self._offer(work)

    def run(
        self,
        start: Start,
        slots: Mapping[str, int],
        cancelled: Callable[[], bool],
        idle: Callable[[], None],
    ) -> Outcome:
        while True:
            if not cancelled():
                self._begin(start, slots)
            if not any(self.running.values()):
                return self.outcome
            idle()
            self._settle()

    def _begin(self, start: Start, slots: Mapping[str, int]) -> None:
        for lane, waiting in self.ready.items():
            while waiting and self.running[lane] < slots[lane]:
                _, work = heapq.heappop(waiting)
                self.running[lane] += 1
                start(work, lambda done, error: self.finished.put((done, error)))

    def _settle(self) -> None:
        try:
            work, error = self.finished.get(timeout=0.2)
        except queue.Empty:
            return
        self.running[work.lane] -= 1
        for node in work.nodes:
            if self.held(node.key):
                self._release(node.key)
            elif not isinstance(error, Interrupted):
                self.outcome.errors[node.key] = sentence(error)
                self._skip(node.key, str(node.address))

    def _release(self, key: str) -> None:
        for consumer in self.consumers.pop(key, ()):
            self.missing[consumer.rank].discard(key)
            if not self.missing[consumer.rank]:
                self._offer(consumer)

    def _skip(self, key: str, cause: str) -> None:
        """Drop the nodes that needed `key`; a work's other nodes go on."""
        for consumer in self.consumers.pop(key, ()):
            for node in consumer.nodes:
                if node.key not in self.outcome.skipped and key in _inputs(node):
                    self.outcome.skipped[node.key] = f"needs {cause}, which failed"
                    self._skip(node.key, cause)
            self.missing[consumer.rank].discard(key)
            if not self.missing[consumer.rank]:
                self._offer(consumer)

    def _offer(self, work: Work) -> None:
        nodes = tuple(node for node in work.nodes if node.key not in self.outcome.skipped)
        if nodes:
            left = Work(work.rank, work.stage, work.kind, work.lane, work.shot, nodes)
            heapq.heappush(self.ready[work.lane], (work.rank, left))


def sentence(error: BaseException | None) -> str:
    """Return what a person reads of a failure: keyreel's own words, else the type with them."""
    if isinstance(error, KeyreelError):
        return str(error)
    return f"{type(error).__name__}: {error}" if error else "the stage gave no file"


def _inputs(node: Node) -> Collection[str]:
    return [source.key for source in node.inputs.values() if isinstance(source, NodeOutput)]
