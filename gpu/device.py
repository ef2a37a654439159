"""What this machine can compute on, and which profile and number format suit it.

Loads no weights. torch is imported only where an NVIDIA driver is present, so that a machine
without one plans its work in a second.
"""

from __future__ import annotations

import os
import re
import resource
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from configs.errors import BadInput
from configs.model import Profile
from gpu.fit import ROOMY, Fit

if TYPE_CHECKING:
    from torch.nn import Module

NVIDIA = ("/dev/nvidiactl", "/dev/dxg", "/proc/driver/nvidia/version")
"""Any of these means a driver; `/dev/dxg` is WSL2's."""

GB = 1e9
"""Makers' gigabytes: a "24 GB" card reports 25.4e9 bytes, which is 23.7 GiB."""

SMALL = 10_000_000
"""Weights of a network; the shipped text encoder has 1 million, the least of the large 600."""

LOADING = threading.RLock()
"""Held while weights load. The libraries change torch for the whole process meanwhile: its default
number format, and what a new network's parameters are (accelerate makes them empty). A thread that
builds a network of its own beside that gets one that was never filled: a still came out black."""

SEGMENTS = "expandable_segments:True"
"""For torch's allocator: blocks of a card's memory that grow. Blocks of fixed sizes leave gaps, by
which a clip that takes 22.4 GB ran out of 24."""

HEADROOM = 0.95
"""Of a card's memory; CUDA itself takes half a gigabyte, a desktop as much again."""


@dataclass(frozen=True, slots=True)
class Device:
    """A processor or graphics card."""

    kind: Literal["cpu", "cuda"]
    name: str
    memory_gb: float
    """Gigabytes of 1e9 bytes: the card's own memory, or what this process may use of RAM."""
    capability: tuple[int, int] = (0, 0)
    """CUDA compute capability."""
    amx: bool = False
    avx512_bf16: bool = False


@cache
def detect() -> Device:
    """Return the first CUDA device that torch can use, else the processor."""
    if any(Path(path).exists() for path in NVIDIA):
        _choose_allocator()
        import torch

        if torch.cuda.is_available():
            card = torch.cuda.get_device_properties(0)
            return Device(
                "cuda", card.name, card.total_memory / GB, capability=(card.major, card.minor)
            )
    return processor()


def _choose_allocator() -> None:
    """Ask for SEGMENTS where the user asked for nothing; torch reads it with its first block."""
    if "PYTORCH_CUDA_ALLOC_CONF" not in os.environ:  # the name of old
        os.environ.setdefault("PYTORCH_ALLOC_CONF", SEGMENTS)


def cards() -> tuple[str, ...]:
    """Return this machine's cards as CUDA_VISIBLE_DEVICES would name them; imports no torch."""
    if told := os.environ.get("CUDA_VISIBLE_DEVICES"):
        return tuple(told.split(","))
    there = list(Path("/proc/driver/nvidia/gpus").glob("*")) or list(Path("/dev").glob("dxg"))
    return tuple(map(str, range(len(there))))


def processor() -> Device:
    """Return this machine's processor, whether or not it has a card."""
    return read_cpu(Path("/proc/cpuinfo").read_text(encoding="utf-8"), usable_ram() / GB)


def read_cpu(cpuinfo: str, memory_gb: float) -> Device:
    """Return the processor that the text of `/proc/cpuinfo` describes."""
    fields = dict(re.findall(r"^([^\t\n:]+?)\s*: (.*)$", cpuinfo, flags=re.MULTILINE))
    flags = set(fields.get("flags", "").split())
    return Device(
        "cpu",
        fields.get("model name", "CPU"),
        memory_gb,
        amx="amx_bf16" in flags,
        avx512_bf16="avx512_bf16" in flags,
    )


def pick_profile(device: Device, profiles: Mapping[str, Profile]) -> str:
    """Return the id of the last profile that fits `device`; a card too small uses the processor.

    Profiles are written from small to large.

    Raises:
        BadInput: where no profile fits.
    """
    for kind in (device.kind, "cpu"):
        fitting = [
            name
            for name, profile in profiles.items()
            if profile.device == kind and profile.min_memory_gb <= device.memory_gb
        ]
        if fitting:
            return fitting[-1]
    raise BadInput(
        f"no profile fits {device.name} with {device.memory_gb:.1f} GB; "
        f"profiles.yaml has {', '.join(profiles)}"
    )


def dtype_for(device: Device, dtype: str = "auto") -> str:
    """Return the number format to compute in: bfloat16 where the hardware multiplies it.

    float16 is never chosen: Z-Image overflows in it and gives black pictures.
    """
    if dtype != "auto":
        return dtype
    fast = device.capability >= (8, 0) or device.amx or device.avx512_bf16
    return "bfloat16" if fast else "float32"


def pixels(device: Device, dtype: str = "auto", fit: Fit = ROOMY) -> dict[str, str]:
    """Return the choices of a device that change pixels: a part of the content key."""
    return {
        "dtype": dtype_for(device, dtype),
        "quantisation": "none",
        "device": device.kind,
        **fit.pixels,
    }


def fit_for(profile: Profile) -> Fit:
    """Return how a profile fits its models, but for the offload: see `offload_for`."""
    return Fit(
        tiling=profile.vae_tiling,
        attention=profile.attention,
        compile=profile.compile,
        quantisation=profile.quantisation,
    )


def offload_for(device: Device, wanted: str, memory_gb: float) -> str:
    """Return how weights are offloaded: `auto` keeps a model on a device that has room for it.

    Args:
        device: a processor has no memory of its own to be short of.
        wanted: as a profile says it.
        memory_gb: what the model's weights and their work take together.
    """
    if device.kind == "cpu":
        return "none"
    if wanted == "auto":
        return "none" if memory_gb <= HEADROOM * device.memory_gb else "model"
    return wanted


def use_allowed_cores() -> None:
    """Give torch a thread for each core that this process may use, unless told by the user.

    torch itself counts the machine's cores, which in a container are more than it is given.
    """
    import torch

    if "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(len(os.sched_getaffinity(0)))


@contextmanager
def one_thread(network: Module) -> Iterator[None]:
    """Compute in one thread inside the block, if `network` is small; nothing else is to compute.

    The shipped text encoder's products are too short to share: it takes 9 ms so, in two threads 26,
    and 200 to 480 where other work has the cores. Its bits are the same.
    """
    import torch

    before = torch.get_num_threads()
    if sum(each.numel() for each in network.parameters()) < SMALL:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def threads() -> int:
    """Return how many threads torch computes with: float32 sums, and so bytes, depend on it."""
    import torch

    return torch.get_num_threads()


def peak_bytes(kind: str) -> int:
    """Return the most memory this process has held: of the card, or of RAM."""
    if kind == "cuda":
        import torch

        return int(torch.cuda.max_memory_allocated())
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024  # Linux counts in KiB


def usable_ram() -> float:
    """Bytes of RAM, or of the container's limit where that is lower."""
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    limit = Path("/sys/fs/cgroup/memory.max")
    text = limit.read_text(encoding="utf-8").strip() if limit.exists() else "max"
    return min(total, float("inf") if text == "max" else int(text))
