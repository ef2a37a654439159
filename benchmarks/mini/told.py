"""Figures as the project records them: shares with their uncertainty, the machine, one table."""

import datetime as dt
import json
import platform
import resource
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib import import_module
from pathlib import Path

import torch

from benchmarks.figures import Figure, machine

LIBRARIES = ("torch", "diffusers", "transformers")


def wilson(right: int, n: int, z: float = 1.96) -> tuple[float, float]:
    """The 95 % interval of a share (Wilson 1927): (0, 1) where nothing was counted."""
    if not n:
        return 0.0, 1.0
    p, w = right / n, z * z / n
    middle, wide = p + w / 2, z * ((p * (1 - p) + w / 4) / n) ** 0.5
    return max(0.0, (middle - wide) / (1 + w)), min(1.0, (middle + wide) / (1 + w))


def share(metric: str, rights: Sequence[bool], bar: float | None = None) -> Figure:
    """A share of rights in percent, with n and its interval in the note; ``bar`` in percent."""
    right, n = sum(rights), len(rights)
    low, high = wilson(right, n)
    value = 100 * right / max(n, 1)
    note = f"n {n}, 95 % {100 * low:.1f}-{100 * high:.1f}"
    if bar is None:
        return Figure(metric, value, "%", note=note)
    return Figure(metric, value, "%", f">= {bar:g}", bool(n) and value >= bar, note)


def shares(
    prefix: str, rights: Mapping[str, Sequence[bool]], bars: Mapping[str, float]
) -> list[Figure]:
    """A share by question; questions that were never asked are left out."""
    return [
        share(f"{prefix}: {name}", hits, bars.get(name)) for name, hits in rights.items() if hits
    ]


def device() -> str:
    """Where models run: ``cuda`` where there is one."""
    return "cuda" if torch.cuda.is_available() else "cpu"


def dtype() -> torch.dtype:
    """bfloat16 where the hardware multiplies it, else float32.

    As `gpu.device.dtype_for`, which a machine without pydantic cannot import.
    """
    if torch.cuda.is_available():
        return torch.bfloat16
    flags = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    return torch.bfloat16 if "amx_bf16" in flags or "avx512_bf16" in flags else torch.float32


def peak_gb() -> float:
    """The most memory held, in gigabytes: of the card, or of RAM."""
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated() / 1e9
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9  # Linux counts KiB


def record(figures: Sequence[Figure], **more: object) -> dict[str, object]:
    """The record of a measurement, in the form that `benchmarks.report` reads."""
    name = torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu"
    versions = {one: str(import_module(one).__version__) for one in LIBRARIES}
    versions = {"python": platform.python_version()} | versions
    return {
        "machine": machine(), "device": name, "date": dt.datetime.now(dt.UTC).date().isoformat(),
        "versions": versions, "figures": [asdict(one) for one in figures], **more,
    }  # fmt: skip


def write(path: Path, told: Mapping[str, object]) -> None:
    """Saves a record as JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(told, indent=1, ensure_ascii=False, default=str)
    path.write_text(text + "\n", encoding="utf-8")


def table(figures: Sequence[Figure]) -> None:
    """Prints all figures, one a line."""
    wide = max(len(one.metric) for one in figures)
    for one in figures:
        mark = {True: "met", False: "NOT MET", None: ""}[one.met]
        print(
            f"{one.metric:{wide}}  {one.value:9.4g} {one.unit:<4} {one.bar:<9} {mark:<8} {one.note}"
        )
