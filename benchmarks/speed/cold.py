"""From the start of a process to its first picture: weights on disk, the compiler's cache filled.

A whole model of random weights is saved once; then processes of their own load it as a run would,
and draw. The first fills the compiler's cache, the second is told.

    python -m benchmarks.speed.cold FOLDER    # one such process
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.figures import Figure, at_most

BAR = 25.0
FASTER = {"attention": "_native_cudnn", "compile": True}
"""Of the profile of 80 GB; a processor has no cuDNN."""


def figures(folder: Path, side: int) -> Iterator[Figure]:
    """Yield what the second new process took for a picture of a saved model, and by stage."""
    first, second = (_process(folder, side) for _ in range(2))
    total = second["first picture"]
    stages = ", ".join(f"{name} {at:.1f}" for name, at in second.items())
    note = f"seconds since the start: {stages}; the process before {first['first picture']:.1f}"
    yield at_most("process start to first picture", total, "s", BAR, note)
    yield Figure("another size, its first picture", second["other size"] - total, "s")


def _process(folder: Path, side: int) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.speed.cold", str(folder), str(side)]
    started = time.time()
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr[-2000:])
    told: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return {name: at - started for name, at in told.items()}


def main() -> None:
    """Draw the first picture, and one of another size; print when each was there."""
    at: dict[str, float] = {}
    folder, side = Path(sys.argv[1]), int(sys.argv[2])
    import torch

    from gpu.fit import Fit
    from gpu.image import PictureRequest, draw
    from gpu.weights import Weights, WeightsSpec, import_libraries

    import_libraries("ZImagePipeline")
    at["imports"] = time.time()
    card = torch.cuda.is_available()
    spec = WeightsSpec(
        folder, "ZImagePipeline", "z", "bfloat16" if card else "float32",
        "cuda" if card else "cpu", fit=Fit(**FASTER) if card else Fit(),
    )  # fmt: skip
    weights = Weights(1e9)
    with weights.lease(spec):
        at["weights"] = time.time()
    for name, width in (("first picture", side), ("other size", side * 3 // 4)):
        draw(PictureRequest(spec, f"a mug, {name}", width, side, 8, 1), weights)
        at[name] = time.time()
    print(json.dumps(at))


if __name__ == "__main__":
    main()
