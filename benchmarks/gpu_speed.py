"""How fast a graphics card makes pictures and clips: ours beside plain diffusers, stage by stage.

Full-size pipelines of random weights, so that nothing is downloaded; every figure is the median of
five runs after the first. Errors are measured beside each speed-up, on weights and inputs with the
spread and the outliers of trained ones.

    python -m benchmarks.gpu_speed [image | video]      # both without a word
    python -m benchmarks.gpu_speed --quick              # small networks, on any device
"""

from __future__ import annotations

import argparse
from importlib import import_module
from pathlib import Path

import torch

from benchmarks.figures import RESULTS
from benchmarks.mini.told import record, table, write

PARTS = {"image": "benchmarks.speed.picture", "video": "benchmarks.speed.clip"}
"""Modules with `measure(quick: bool) -> list[Figure]`."""


def main() -> None:
    """Measure, print all figures, and write `results/gpu_speed_PART.json` where a card did it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("parts", nargs="*", metavar="image|video", help="both without a word")
    parser.add_argument("--quick", action="store_true", help="small networks, on any device")
    parser.add_argument("--to", type=Path, default=RESULTS, help="folder of the records")
    words = parser.parse_args()
    if unknown := set(words.parts) - set(PARTS):
        parser.error(f"{', '.join(sorted(unknown))}: not one of {', '.join(PARTS)}")
    if not (words.quick or torch.cuda.is_available()):
        parser.error("there is no CUDA card here; --quick runs the same code on a processor")
    for part in words.parts or PARTS:
        figures = import_module(PARTS[part]).measure(words.quick)
        table(figures)
        if not words.quick:
            write(words.to / f"gpu_speed_{part}.json", record(figures))


if __name__ == "__main__":
    main()
