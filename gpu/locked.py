"""Main memory that a card reads and writes by itself, at the bus's full speed."""

from __future__ import annotations

import mmap
from contextlib import suppress
from typing import Any

import torch


class Locked:
    """A block of main memory, page-locked where the driver grants it; plain memory where not.

    torch's own allocator of locked memory rounds each piece up to a power of two, and gives none
    back: a parked model would take up to twice its size for good.

    Args:
        size: bytes, at least 1.

    Raises:
        MemoryError: where there is not so much memory at all.
    """

    def __init__(self, size: int) -> None:
        try:
            self._map = mmap.mmap(-1, size)
        except OSError as error:
            raise MemoryError(f"{size / 1e9:.1f} GB of main memory are not to be had") from error
        with suppress(OSError):  # a kernel without large pages
            self._map.madvise(mmap.MADV_HUGEPAGE)  # 500 times fewer pages to lock
        self.bytes = torch.frombuffer(self._map, dtype=torch.uint8)
        self.bytes.zero_()  # all cores touch the pages first: the driver would, with one
        self.locked = _lock(self.bytes)

    def close(self) -> None:
        """Give the memory back; no copy may be under way."""
        if self.locked:
            _driver().cudaHostUnregister(self.bytes.data_ptr())
        self.locked = False
        self.bytes = torch.empty(0, dtype=torch.uint8)  # the last view to go frees the map

    def __enter__(self) -> Locked:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _lock(block: torch.Tensor) -> bool:
    """Return whether the driver locked the pages of `block`; WSL2 and containers limit it."""
    if not torch.cuda.is_available():
        return False
    if int(_driver().cudaHostRegister(block.data_ptr(), block.numel(), 0)) == 0:
        return True
    with suppress(RuntimeError):  # the refusal waits to be reported by the next kernel's launch
        torch.zeros(1, device="cuda")
    return False


def _driver() -> Any:  # noqa: ANN401  (torch publishes no types)
    return torch.cuda.cudart()  # type: ignore[no-untyped-call]
