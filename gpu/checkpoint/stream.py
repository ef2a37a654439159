"""Tensors of a file onto a card as fast as the disk gives them.

Several threads read pieces of the file into locked memory, in order and ahead of what is asked for;
the card fetches them from there. A mapped file is read by page faults instead, one after the other.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from configs.errors import BadFile
from gpu.locked import Locked

READERS = 8
"""Threads: one copies about 6 GB/s out of the page cache, a quarter of what the bus takes."""
PIECE = 16 << 20
"""Bytes of one read."""


@dataclass(frozen=True, slots=True)
class Span:
    """Where a tensor lies in a file."""

    dtype: torch.dtype
    shape: tuple[int, ...]
    begin: int
    """Bytes from the file's own beginning."""
    end: int


@dataclass(frozen=True, slots=True)
class _Cut:
    """A piece of a tensor, in bytes from the file's own beginning."""

    span: Span
    begin: int
    end: int


class _Stage:
    """A piece of locked memory, and the moment from which it may be written again."""

    def __init__(self, room: torch.Tensor) -> None:
        self.room = room
        self.free = torch.cuda.Event() if torch.cuda.is_available() else None  # type: ignore[no-untyped-call]

    def fetch(self, file: int, begin: int, end: int) -> torch.Tensor:
        """Return the bytes of `file`, fewer where it ends early; waits until the card is done."""
        if self.free:
            self.free.synchronize()
        whole: Any = self.room.numpy()
        view, done = memoryview(whole)[: end - begin], 0
        while done < len(view) and (more := os.preadv(file, [view[done:]], begin + done)):
            done += more
        return self.room[:done]

    def end(self) -> None:
        """Tell that the card was asked for all of it: it may be written when that is done."""
        if self.free:
            self.free.record()


def stream(path: Path, spans: Sequence[Span], device: str) -> Iterator[torch.Tensor]:
    """Yield each tensor on `device`, while the next ones are read.

    Args:
        path: the file.
        spans: its tensors, best in the order in which they lie.
        device: a CUDA device; the processor, for tests.

    Raises:
        BadFile: where the file ends before a tensor does.
    """
    stages = READERS + 2  # two wait for the card while all readers read
    with (
        path.open("rb", buffering=0) as file,
        Locked(stages * PIECE) as memory,
        ThreadPoolExecutor(READERS) as pool,
    ):
        idle = deque(_Stage(room) for room in torch.split(memory.bytes, PIECE))
        coming = _reads(spans)
        under_way: deque[tuple[list[_Cut], _Stage, Future[torch.Tensor]]] = deque()

        def read_ahead() -> None:
            while idle and (cuts := next(coming, None)):
                stage, ends = idle.popleft(), (cuts[0].begin, cuts[-1].end)
                under_way.append((cuts, stage, pool.submit(stage.fetch, file.fileno(), *ends)))

        try:
            read_ahead()
            while under_way:
                cuts, stage, future = under_way.popleft()
                if len(piece := future.result()) < cuts[-1].end - cuts[0].begin:
                    raise BadFile(f"{path}: was cut short while it was read; load it again")
                for cut in cuts:
                    if cut.begin == cut.span.begin:
                        tensor = torch.empty(cut.span.shape, dtype=cut.span.dtype, device=device)
                        flat = tensor.view(-1).view(torch.uint8)
                    part = piece[cut.begin - cuts[0].begin : cut.end - cuts[0].begin]
                    flat[cut.begin - cut.span.begin :][: len(part)].copy_(part, non_blocking=True)
                    if cut.end == cut.span.end:
                        yield tensor
                stage.end()
                idle.append(stage)
                read_ahead()
        finally:
            if torch.cuda.is_available():
                torch.cuda.synchronize()  # before the locked memory goes


def _reads(spans: Sequence[Span]) -> Iterator[list[_Cut]]:
    """Yield what is read at once: pieces of tensors that follow each other, PIECE bytes of them."""
    held: list[_Cut] = []
    for span in spans:
        begin = span.begin
        while True:  # once for a tensor of no bytes, too
            if held and (begin != held[-1].end or begin - held[0].begin == PIECE):
                yield held
                held = []
            room = PIECE - (begin - held[0].begin if held else 0)
            held.append(_Cut(span, begin, min(begin + room, span.end)))
            if (begin := held[-1].end) == span.end:
                break
    if held:
        yield held
