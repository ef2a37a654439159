"""What every benchmark writes: figures with their bars, and the machine they were measured on."""

from __future__ import annotations

import datetime as dt
import json
import os
import platform
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"
LIBRARIES = ("torch", "diffusers", "prefect", "duckdb", "pillow", "imageio-ffmpeg")


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured number; `met` is none where there is no bar."""

    metric: str
    value: float
    unit: str
    bar: str = ""
    met: bool | None = None
    note: str = ""


def at_most(metric: str, value: float, unit: str, bar: float, note: str = "") -> Figure:
    """Return a figure that is met where it is not above its bar."""
    return Figure(metric, value, unit, f"<= {bar:g}", value <= bar, note)


def at_least(metric: str, value: float, unit: str, bar: float, note: str = "") -> Figure:
    """Return a figure that is met where it is not below its bar."""
    return Figure(metric, value, unit, f">= {bar:g}", value >= bar, note)


def write(name: str, figures: Sequence[Figure], *, device: str = "cpu") -> Path:
    """Write `results/NAME.json`, print the figures, and return the file's path.

    Args:
        name: The benchmark's.
        figures: What it measured.
        device: Where the models ran, e.g. "cpu" or the GPU's name.
    """
    told = {
        "machine": machine(),
        "device": device,
        "date": dt.datetime.now(dt.UTC).date().isoformat(),
        "versions": dict(versions()),
        "figures": [asdict(figure) for figure in figures],
    }
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    path.write_text(json.dumps(told, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    for one in figures:
        mark = {True: "met", False: "NOT MET", None: ""}[one.met]
        print(f"{one.metric}: {one.value:.4g} {one.unit}  {one.bar} {mark}  {one.note}")
    return path


def alike(one: Mapping[str, object], other: Mapping[str, object]) -> bool:
    """Return whether two records may stand in one table: a kind of card, a day, the libraries.

    The machine beside the card may be another, as `moved` tells: cards are lent in several.
    """
    beside = {"machine": None, "figures": None}
    return {**one, **beside} == {**other, **beside}


def moved(told: Mapping[str, Any], to: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return a record's figures for another's table; those of another machine say so."""
    if told["machine"] == to["machine"]:
        return list(told["figures"])
    beside = f"beside {told['machine']['cores']} cores"
    return [
        {**one, "note": "; ".join(filter(None, (one["note"], beside)))} for one in told["figures"]
    ]


def versions() -> Iterator[tuple[str, str]]:
    """Yield the libraries that are here: a machine with a card may lack those it has no use for."""
    yield "python", platform.python_version()
    for one in LIBRARIES:
        with suppress(PackageNotFoundError):
            yield one, version(one)


def machine() -> Mapping[str, str | int | float | bool]:
    """Return what of this machine decides its speed; AMX multiplies bfloat16 several times over."""
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    told = (line.partition(":") for line in lines)
    facts = {name.strip(): value.strip() for name, _, value in told}
    return {
        "cpu": facts.get("model name", platform.machine()),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1),
        "amx": "amx_tile" in facts.get("flags", "").split(),
    }
