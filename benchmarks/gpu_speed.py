"""How fast a graphics card makes pictures and clips: ours beside plain diffusers, stage by stage.

Full-size pipelines of random weights, so that nothing is downloaded; every figure is the median of
five runs after the first. Errors are measured beside each speed-up, on weights and inputs with the
spread and the outliers of trained ones.

    python -m benchmarks.gpu_speed [image | video]        # both without a word
    python -m benchmarks.gpu_speed image --only fp8       # a piece of it; may be said again
    python -m benchmarks.gpu_speed --quick                # small networks, on any device

The record is written after each piece. Pieces that a card of the same kind measured on the same
day with the same versions stay in it, so that a card lent for minutes measures them one by one; all
others are dropped.
"""

from __future__ import annotations

import argparse
import gc
import json
from collections.abc import Callable, Iterator, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import torch

from benchmarks.figures import RESULTS, Figure, alike, moved
from benchmarks.mini.told import record, table, write

PARTS = {"image": "benchmarks.speed.picture", "video": "benchmarks.speed.clip"}
"""Modules with `pieces(quick) -> {name: function that yields figures}`."""

Pieces = Mapping[str, Callable[[], Iterator[Figure]]]


def main() -> None:
    """Measure, print all figures, and write `results/gpu_speed_PART.json` where a card did it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("parts", nargs="*", metavar="image|video", help="both without a word")
    parser.add_argument("--only", action="append", metavar="PIECE", help="may be said again")
    parser.add_argument("--quick", action="store_true", help="small networks, on any device")
    parser.add_argument("--to", type=Path, default=RESULTS, help="folder of the records")
    words = parser.parse_args()
    if unknown := set(words.parts) - set(PARTS):
        parser.error(f"{', '.join(sorted(unknown))}: not one of {', '.join(PARTS)}")
    if not (words.quick or torch.cuda.is_available()):
        parser.error("there is no CUDA card here; --quick runs the same code on a processor")
    parts: dict[str, Pieces] = {
        part: import_module(PARTS[part]).pieces(words.quick) for part in words.parts or PARTS
    }
    known = [name for pieces in parts.values() for name in pieces]
    if unknown := set(words.only or ()) - set(known):
        parser.error(f"--only {', '.join(sorted(unknown))}: not one of {', '.join(known)}")
    for part, pieces in parts.items():
        wanted = {name: pieces[name] for name in pieces if name in (words.only or pieces)}
        measure(wanted, None if words.quick else words.to / f"gpu_speed_{part}.json")


def measure(pieces: Pieces, path: Path | None) -> None:
    """Measure `pieces` one after another; print each, and add it to the record at `path`."""
    for name, figures in pieces.items():
        made = list(figures())
        table(made)
        if path is not None:
            before = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
            write(path, merged(before, name, record(made)))
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()


def merged(before: Mapping[str, Any], piece: str, told: Mapping[str, Any]) -> dict[str, Any]:
    """Return a piece's record with the other pieces of the record before, where they go together.

    Args:
        before: what the file holds; may be empty.
        piece: its figures' metrics begin with it and a colon.
        told: the record of that piece alone.
    """
    if not alike(before, told):
        return dict(told)
    others = [one for one in before["figures"] if not one["metric"].startswith(f"{piece}: ")]
    return {**before, "figures": others + moved(told, before)} if others else dict(told)


if __name__ == "__main__":
    main()
