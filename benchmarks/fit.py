"""Which profile runs on which card, how long it takes and how much memory at most.

Full-size pipelines of random weights (nothing is downloaded) draw and animate at their models' own
sizes, under a hard cap on the card's memory: what a smaller card would refuse is refused here. Each
cap and model has a process of its own. Pixels are noise; time and memory are as with real weights.

A cap is of torch's allocator: CUDA's own half gigabyte comes on top, so a real card of that size
has a little less. Caps above the card's memory are left out.

    python -m benchmarks.fit [--caps 12 16 24 40 80] [--models z-image-turbo …] [--steps 4]
    python -m benchmarks.fit --tiny     # the same code on a processor: does it run?
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

import torch
from PIL import Image

from benchmarks.figures import Figure, write
from benchmarks.random_weights import make
from configs.errors import KeyreelError, Rejected
from configs.home import Home
from configs.library import Library
from configs.model import Model, Profile
from gpu.checkpoint.assemble import ARCHITECTURES
from gpu.device import GB, Device, detect, fit_for, offload_for, peak_bytes, pick_profile
from gpu.fit import Fallback
from gpu.image import PictureRequest, draw
from gpu.video import ClipRequest, animate
from gpu.watch import Watch
from gpu.weights import Weights, WeightsSpec

CAPS = (12, 16, 24, 40, 80)
WORDS = "A matte lipstick on white marble, morning light from the left, shallow depth of field."


@dataclass(frozen=True, slots=True)
class Ran:
    """What one model did under one cap."""

    cap: float
    profile: str
    model: str
    shape: str
    fit: str
    """What ran; where memory ran out first, with the way there."""
    load: float = 0.0
    """Seconds of making random weights: not those of reading real ones."""
    seconds: float = 0.0
    """Of the second picture or clip, all told."""
    step: float = 0.0
    """Seconds of one denoising step, the median."""
    peak: float = 0.0
    """Gigabytes of 1e9 bytes, at most."""
    error: str = ""


def measure(cap: float, model_id: str, *, steps: int, tiny: bool) -> Ran:
    """Draw or animate twice under a cap, and return the second time's figures.

    Args:
        cap: gigabytes of 1e9 bytes, of a card; a processor is not held to it.
        model_id: a row of models.yaml with an architecture of its name.
        steps: denoising steps.
        tiny: small networks and pictures.
    """
    library = Library.open(Home(Path("no-home")))
    card = detect()
    if card.kind == "cuda":
        torch.cuda.set_per_process_memory_fraction(cap * GB / torch.cuda.mem_get_info()[1])
    profile_id = profile_for(cap, library)
    model, profile = library.models[model_id], library.profiles[profile_id]
    spec = _spec(cap, card.kind, model, profile)
    weights = Weights(1e9, load=partial(make, tiny=tiny), weigh=lambda _: 1)
    shape = (64, 64, 5) if tiny else (*model.sizes["landscape"], model.frames)
    told: list[Fallback] = []
    ran = Ran(cap, profile_id, model_id, "x".join(str(n) for n in shape if n), str(spec.fit))
    try:
        _timed(spec, model, shape, steps, weights, told)
        times = _timed(spec, model, shape, steps, weights, told)
    except KeyreelError as error:
        return replace(ran, error=str(error))
    between = [after - before for before, after in pairwise(times[1:-1])]
    return replace(
        ran,
        fit=str(told[-1]) if told else ran.fit,
        load=weights.stats().seconds,
        seconds=times[-1] - times[0],
        step=median(between),
        peak=peak_bytes(card.kind) / GB,
    )


def _timed(
    spec: WeightsSpec,
    model: Model,
    shape: tuple[int, ...],
    steps: int,
    weights: Weights,
    told: list[Fallback],
) -> list[float]:
    """Return the time of the beginning, of the end of each step, and of the end."""
    times = [time.perf_counter()]

    def on_step(_done: int, _total: int) -> None:
        if spec.device == "cuda":
            torch.cuda.synchronize()
        times.append(time.perf_counter())

    _work(spec, model, shape, steps, weights, Watch(on_step=on_step, on_fallback=told.append))
    return [*times, time.perf_counter()]


def profile_for(cap: float, library: Library) -> str:
    """Return the profile that a card of this size takes."""
    return pick_profile(Device("cuda", "a card", cap), library.profiles)


def _spec(cap: float, kind: str, model: Model, profile: Profile) -> WeightsSpec:
    """Return the recipe that a card of this size would have; a processor is fitted like one."""
    offload = offload_for(Device("cuda", "a card", cap), profile.offload, model.memory_gb)
    return WeightsSpec(
        ARCHITECTURES / model.folder,
        model.pipeline,
        model.folder,
        "bfloat16",
        kind,
        fit=replace(fit_for(profile), offload=offload),
    )


def _work(
    spec: WeightsSpec,
    model: Model,
    shape: tuple[int, ...],
    steps: int,
    weights: Weights,
    watch: Watch,
) -> None:
    width, height, frames = shape
    asked: dict[str, Any] = {
        "spec": spec, "prompt": WORDS, "width": width, "height": height, "steps": steps, "seed": 1,
        "guidance": model.guidance,
    }  # fmt: skip
    try:
        if model.makes == "picture":
            draw(PictureRequest(**asked), weights, watch)
        else:
            grey = Image.linear_gradient("L").convert("RGB")
            animate(ClipRequest(image=grey, frames=frames, **asked), weights, watch)
    except Rejected:
        pass  # random weights may overflow; they took the same time


def children(caps: list[float], models: list[str], options: list[str]) -> Iterator[Ran]:
    """Measure each cap and model in a process of its own: none inherits another's memory.

    Args:
        caps: gigabytes.
        models: rows of models.yaml; none: those of each cap's profile.
        options: passed on.
    """
    library = Library.open(Home(Path("no-home")))
    for cap in caps:
        profile = library.profiles[profile_for(cap, library)]
        for model in models or [profile.picture, profile.clip]:
            words = ["--caps", f"{cap:g}", "--models", model, "--child", *options]
            done = subprocess.run(
                [sys.executable, "-m", "benchmarks.fit", *words],
                capture_output=True, text=True, check=False,
            )  # fmt: skip
            try:
                yield Ran(**json.loads(done.stdout.splitlines()[-1]))
            except (IndexError, ValueError, TypeError):
                said = (done.stderr.strip().splitlines() or ["no word"])[-1]
                yield Ran(cap, "", model, "", "", error=f"ended with {done.returncode}: {said}")


def show(ran: Ran) -> str:
    """Return a row for people."""
    if ran.error:
        return f"{ran.cap:4g} GB  {ran.profile:<5} {ran.model:<16} does not run: {ran.error}"
    return (
        f"{ran.cap:4g} GB  {ran.profile:<5} {ran.model:<16} {ran.shape:<12} {ran.seconds:8.1f} s  "
        f"{ran.step:6.2f} s a step  peak {ran.peak:5.1f} GB  {ran.fit}"
    )


def figures(rows: list[Ran]) -> list[Figure]:
    """Return what goes into RESULTS.md."""
    made = []
    for ran in rows:
        name = f"{ran.model} under {ran.cap:g} GB"
        note = ran.error or f"profile {ran.profile}, {ran.shape}: {ran.fit}"
        made += [
            Figure(f"{name}: a step", ran.step, "s", note=note),
            Figure(f"{name}: peak", ran.peak, "GB"),
        ]
    return made


def main() -> None:
    """Measure, print a row each, and write `results/fit.json` where a card did it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--caps", type=float, nargs="+", default=list(CAPS), help="gigabytes")
    parser.add_argument(
        "--models", nargs="+", default=[], help="in place of those of each cap's profile"
    )
    parser.add_argument("--steps", type=int, default=4, help="denoising steps, at least 3")
    parser.add_argument("--tiny", action="store_true", help="small networks, on any device")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    words = parser.parse_args()
    if words.steps < 3:
        parser.error("--steps: at least 3, to have a median between them")
    if words.child:
        ran = measure(words.caps[0], words.models[0], steps=words.steps, tiny=words.tiny)
        print(json.dumps(asdict(ran)))
        return
    card = detect()
    if card.kind == "cpu" and not words.tiny:
        parser.error("there is no CUDA card here; --tiny runs the same code on a processor")
    caps = [cap for cap in words.caps if words.tiny or cap <= card.memory_gb]
    options = ["--steps", str(words.steps), *(["--tiny"] if words.tiny else [])]
    rows = []
    for ran in children(caps, words.models, options):
        rows.append(ran)
        print(show(ran), flush=True)
    if not words.tiny:
        write("fit", figures(rows), device=card.name)
    sys.exit(any(ran.error for ran in rows) if words.tiny else 0)


if __name__ == "__main__":
    main()
