"""From the start of a process to its first picture: weights on disk, the compiler's cache filled.

A whole model of random weights is saved once; then processes of their own load it as a run would,
and draw. The first fills the compiler's cache, the second is told.

    python -m benchmarks.speed.cold FOLDER SIDE    # one such process
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.figures import Figure, at_most

BAR = 25.0
FASTER: dict[str, Any] = {"attention": "_native_cudnn", "compile": True}
"""Of the profile of 80 GB; a processor has no cuDNN."""


def figures(folder: Path, side: int) -> Iterator[Figure]:
    """Yield what the second new process took for a picture of a saved model, and by stage."""
    first, second = (_process(folder, side) for _ in range(2))
    took, before = (sum(one["stages"].values()) for one in (second, first))
    note = (
        f"on {len(os.sched_getaffinity(0))} cores; the process before, which filled what the "
        f"caches lacked: {before:.1f}"
    )
    yield at_most("new process: first picture", took, "s", BAR, note)
    for stage, seconds in second["stages"].items():
        yield Figure(f"new process: {stage}", seconds, "s")
    note = f"{second['other size']:.2f} s for its first picture"
    yield at_most("new process: graphs for another size", second["graphs"], "", 0, note)


def _process(folder: Path, side: int) -> dict[str, Any]:
    started = time.time()
    command = [sys.executable, "-m", "benchmarks.speed.cold", str(folder), str(side), str(started)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr[-2000:])
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return told


def main() -> None:
    """Draw the first picture, and one of another size; print how long each stage took."""
    folder, side, started = Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
    python, begun = time.time() - started, time.perf_counter()
    import torch
    from torch._dynamo.utils import counters

    from benchmarks.speed.clock import Clock, of_picture
    from gpu.fit import Fit
    from gpu.image import PictureRequest, draw
    from gpu.weights import Weights, WeightsSpec, import_libraries

    clock = Clock({"imports": begun})
    import_libraries("ZImagePipeline")
    clock.tick("weights")
    card = torch.cuda.is_available()
    spec = WeightsSpec(
        folder, "ZImagePipeline", "z", "bfloat16" if card else "float32",
        "cuda" if card else "cpu", fit=Fit(**FASTER) if card else Fit(),
    )  # fmt: skip
    weights = Weights(1e9)
    with weights.lease(spec) as pipe:
        parts = of_picture(pipe)
    clock.tick("call")
    with clock.over(parts):
        draw(PictureRequest(spec, "a mug", side, side, 8, 1), weights)
    clock.tick("end")
    graphs = counters["stats"]["unique_graphs"]
    draw(PictureRequest(spec, "a mug, wide", side * 3 // 4, side, 8, 1), weights)
    told = {
        "stages": {"python": python, **clock.seconds()},
        "other size": time.perf_counter() - clock.at["end"],
        "graphs": counters["stats"]["unique_graphs"] - graphs,
    }
    print(json.dumps(told))


if __name__ == "__main__":
    main()
