"""Weights put out of a card wait in main memory, and come back from there rather than from disk.

Only those that lie on a card whole: with an offload they wait in main memory anyway.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from gpu.device import usable_ram

if TYPE_CHECKING:
    import torch
    from diffusers import DiffusionPipeline

    from gpu.weights import WeightsSpec

SHARE = 0.5
"""Of main memory, and of what is free of it: the rest is for files, frames and others."""


class Parked:
    """A pipeline and main memory for its weights, which stays its own: locking is what takes time.

    Args:
        pipe: on any device.

    Raises:
        MemoryError: where there is not so much main memory.
    """

    def __init__(self, pipe: DiffusionPipeline) -> None:
        from gpu.locked import Locked

        self.pipe = pipe
        self.waiting = False
        """Whether the weights are here."""
        self.bytes = measure(pipe)
        self._memory = Locked(max(self.bytes, 1))

    def put(self) -> None:
        """Move the weights here. What else lies on the card goes: adapters, recorded launches."""
        from gpu.lora import wear
        from gpu.turbo import replay

        wear(self.pipe, ())
        replay.forget(self.pipe)
        self._memory.hold(_tensors(self.pipe))
        self.waiting = True

    def bring(self, device: str) -> DiffusionPipeline:
        """Return the pipeline, its weights on `device` again."""
        import torch

        self.waiting = False
        for tensor in _tensors(self.pipe):
            tensor.data = tensor.to(device, non_blocking=True, copy=True)
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        return self.pipe

    def close(self) -> None:
        """Give the memory back."""
        self._memory.close()


class Parking:
    """All parked weights, of one cache.

    Args:
        share: of main memory that they may take.
    """

    def __init__(self, share: float = SHARE) -> None:
        self.share = share
        self._places: OrderedDict[object, Parked] = OrderedDict()

    def put(self, spec: WeightsSpec, pipe: DiffusionPipeline) -> bool:
        """Park the weights of a pipeline that nobody leases; returns whether there was room."""
        if spec.device != "cuda" or spec.fit.offload != "none":
            return False
        place = self._places.pop(spec.key, None)
        if place is None or place.pipe is not pipe:
            place = self._reserve(pipe)
        if place is None:
            return False
        self._places[spec.key] = place
        place.put()
        return True

    def take(self, spec: WeightsSpec) -> DiffusionPipeline | None:
        """Return the pipeline of `spec` on its device, none where it is not parked.

        Raises:
            OutOfMemoryError: where the device has no room; the weights are given up then.
        """
        place = self._places.get(spec.key)
        if place is None or not place.waiting:
            return None
        try:
            return place.bring(spec.device)
        except BaseException:
            self._places.pop(spec.key).close()
            raise

    def clear(self) -> None:
        """Give all memory back; pipelines that are in use stay where they are."""
        while self._places:
            self._places.popitem()[1].close()

    @property
    def bytes(self) -> int:
        """Taken of main memory."""
        return sum(place.bytes for place in self._places.values())

    def _reserve(self, pipe: DiffusionPipeline) -> Parked | None:
        """Return memory for a pipeline, at the cost of those parked longest ago."""
        size, least = measure(pipe), usable_ram() * self.share
        if size > least:
            return None
        while self._places and self.bytes + size > least:
            self._places.popitem(last=False)[1].close()
        if size > self.share * _free_ram():
            return None
        with suppress(MemoryError):
            return Parked(pipe)
        return None


def measure(pipe: DiffusionPipeline) -> int:
    """Return the bytes of main memory that a pipeline's weights take when parked."""
    from gpu.locked import room_for

    return room_for(_tensors(pipe))


def _tensors(pipe: DiffusionPipeline) -> list[torch.Tensor]:
    from gpu.locked import parameters

    return parameters(pipe.components.values())


def _free_ram() -> int:
    """Bytes that can be had without others being put out."""
    text = Path("/proc/meminfo").read_text(encoding="utf-8")
    found = re.search(r"^MemAvailable: +(\d+) kB$", text, re.MULTILINE)
    return int(found[1]) * 1024 if found else 0
