"""When the stages of a picture or clip begin, and how much of the card's memory each takes."""

from __future__ import annotations

import ctypes
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import torch

from configs.errors import Interrupted


def synchronise() -> None:
    """Wait for the card."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def joules() -> float:
    """Return what the card has used since its driver began; zero where there is no NVML."""
    used, card = ctypes.c_ulonglong(), ctypes.c_void_p()
    try:
        driver = ctypes.CDLL("libnvidia-ml.so.1")
    except OSError:
        return 0.0
    name = f"GPU-{torch.cuda.get_device_properties(0).uuid}".encode()
    driver.nvmlInit_v2()
    driver.nvmlDeviceGetHandleByUUID(name, ctypes.byref(card))
    driver.nvmlDeviceGetTotalEnergyConsumption(card, ctypes.byref(used))
    return used.value / 1000  # it counts in mJ


@dataclass(slots=True)
class Clock:
    """When the stages began; peaks of memory in each."""

    at: dict[str, float] = field(default_factory=dict)
    peak: dict[str, float] = field(default_factory=dict)

    def tick(self, stage: str) -> None:
        """A stage begins for the first time, and the last one ends; waits for the card."""
        if stage in self.at:
            return
        synchronise()
        for last in list(self.at)[-1:]:
            if torch.cuda.is_available():
                self.peak[last] = torch.cuda.max_memory_allocated() / 1e9
                torch.cuda.reset_peak_memory_stats()
        self.at[stage] = time.perf_counter()

    def seconds(self) -> dict[str, float]:
        """Return how long each stage took."""
        names, times = list(self.at), list(self.at.values())
        return {name: b - a for name, a, b in zip(names, times, times[1:], strict=False)}

    @contextmanager
    def over(self, parts: Mapping[str, Any]) -> Iterator[None]:
        """Tick where a network is first called, by the stage that it begins."""
        hooks = [
            part.register_forward_pre_hook(lambda *_, stage=stage: self.tick(stage))
            for stage, part in parts.items()
        ]
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()


def to_first_step(pipe: Any, work: Callable[[], object]) -> float:  # noqa: ANN401
    """Return the seconds from the call of `work` to the first launch of the pipeline's network.

    What follows may be interrupted.
    """
    began: list[float] = []
    hook = pipe.transformer.register_forward_pre_hook(lambda *_: began.append(time.perf_counter()))
    synchronise()
    started = time.perf_counter()
    with suppress(Interrupted):
        work()
    hook.remove()
    return began[0] - started


def of_picture(pipe: Any) -> dict[str, Any]:  # noqa: ANN401  (a pipeline of diffusers)
    """Return the networks of a picture by the stage that each begins."""
    return {
        "words": pipe.text_encoder,
        "steps": pipe.transformer.t_embedder,
        "decoding": pipe.vae.decoder,
    }


def of_clip(pipe: Any) -> dict[str, Any]:  # noqa: ANN401
    """Return the networks of a clip by the stage that each begins; its decoder is a function."""
    return {
        "words": pipe.text_encoder,
        "keyframe": pipe.vae.encoder.down_blocks[0].norm1,
        "steps": pipe.transformer.condition_embedder,
    }
