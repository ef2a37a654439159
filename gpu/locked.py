"""Main memory that a card reads and writes by itself, at the bus's full speed."""

from __future__ import annotations

import mmap
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import Any

import torch

from gpu.device import usable_ram

ALIGNED = 256
"""Bytes."""
BLOCK = 1 << 30
"""Bytes that `hold` takes at once: what moves into a block is in memory twice meanwhile."""
SHARE = 0.8
"""Of main memory that may be locked: a larger model stays mapped from its files, and runs so."""


class Locked:
    """A block of main memory, page-locked where the driver grants it; plain memory where not.

    torch's own allocator of locked memory rounds each piece up to a power of two, and gives none
    back: a parked model would take up to twice its size for good.

    Args:
        size: bytes, at least 1.

    Raises:
        MemoryError: where there is not so much memory at all.
    """

    held = 0
    """Bytes of all blocks together."""

    def __init__(self, size: int) -> None:
        self.locked, self.bytes = False, torch.empty(0, dtype=torch.uint8)
        try:
            self._map = mmap.mmap(-1, size)
        except OSError as error:
            raise MemoryError(f"{size / 1e9:.1f} GB of main memory are not to be had") from error
        with suppress(OSError):  # a kernel without large pages
            self._map.madvise(mmap.MADV_HUGEPAGE)  # 500 times fewer pages to lock
        self.bytes = torch.frombuffer(self._map, dtype=torch.uint8)
        self.bytes.zero_()  # all cores touch the pages first: the driver would, with one
        Locked.held += size
        self.locked = _lock(self.bytes)

    def hold(self, tensors: Iterable[torch.Tensor]) -> None:
        """Move the numbers of `tensors` here, one after the other; they are the same tensors."""
        begin = 0
        for tensor in tensors:
            place = self.bytes[begin : begin + tensor.nbytes]
            # In its own order: a decoder whose channels are not last is another form to a compiler.
            order = torch.empty_like(tensor.as_subclass(torch.Tensor), device="meta").stride()
            here = place.view(tensor.dtype).as_strided(tensor.shape, order)
            tensor.data = here.copy_(tensor, non_blocking=True)
            begin += aligned(tensor.nbytes)
        if torch.cuda.is_available():
            torch.cuda.synchronize()

    def close(self) -> None:
        """Give the memory back; no copy may be under way."""
        if self.locked:
            _driver().cudaHostUnregister(self.bytes.data_ptr())
        self.locked = False
        Locked.held -= len(self.bytes)
        self.bytes = torch.empty(0, dtype=torch.uint8)  # the last view to go frees the map

    def __del__(self) -> None:
        self.close()  # a block that is unmapped while locked could not be locked again

    def __enter__(self) -> Locked:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def fits(tensors: Iterable[torch.Tensor]) -> bool:
    """Return whether this machine has main memory in which to lock `tensors`, beside what is."""
    return Locked.held + room_for(tensors) <= SHARE * usable_ram()


def hold(tensors: Iterable[torch.Tensor]) -> list[Locked]:
    """Move the numbers of `tensors` into blocks of their own, which live as long as what is given.

    Raises:
        MemoryError: where there is not so much main memory.
    """
    blocks: list[Locked] = []
    for some in _blocks(tensors):
        blocks.append(Locked(max(room_for(some), 1)))
        blocks[-1].hold(some)
    return blocks


def _blocks(tensors: Iterable[torch.Tensor]) -> Iterator[list[torch.Tensor]]:
    """Yield runs of `tensors` of at most BLOCK bytes, or of one that is larger."""
    some: list[torch.Tensor] = []
    for tensor in tensors:
        if some and room_for(some) + tensor.nbytes > BLOCK:
            yield some
            some = []
        some.append(tensor)
    if some:
        yield some


def room_for(tensors: Iterable[torch.Tensor]) -> int:
    """Return the bytes in which `tensors` can be held."""
    return sum(aligned(tensor.nbytes) for tensor in tensors)


def aligned(size: int) -> int:
    """Return `size` rounded up to what torch aligns its own memory on a card to."""
    return -(-size // ALIGNED) * ALIGNED


def parameters(networks: Iterable[object]) -> list[torch.Tensor]:
    """Return parameters and buffers of those that are networks, each once, also where shared."""
    found = [
        tensor
        for network in networks
        if isinstance(network, torch.nn.Module)
        for tensor in (*network.parameters(), *network.buffers())
    ]
    return list({id(tensor): tensor for tensor in found}.values())


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
