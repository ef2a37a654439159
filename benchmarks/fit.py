"""Which profile runs on which card, how long it takes and how much memory at most.

Full-size pipelines of random weights (nothing is downloaded) draw and animate under a hard cap on
the card's memory: what a smaller card would refuse is refused here. Pixels are noise; time and
memory are as with real weights. Of caps for which a profile fits the model alike, the smallest is
run: what ran there within its memory runs on the others in the same way. Blocks are not compiled:
that takes a minute for each shape, and the memory is about the same.

A cap is of torch's allocator, in gigabytes of 1e9 bytes: a card sold with as many has a little more
(SOLD), of which CUDA itself takes half a gigabyte. Caps above the card's memory are left out.

    python -m benchmarks.fit [--caps 12 16 24 40 80] [--models z-image-turbo@1024x1024 ...]
    python -m benchmarks.fit --join FILE...   # results of several runs, on alike cards, into one
    python -m benchmarks.fit --tiny           # the same code on a processor: does it run?
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

import torch
from PIL import Image

from benchmarks.figures import RESULTS, Figure, alike, moved, write
from benchmarks.random_weights import make
from configs.errors import KeyreelError, Rejected
from configs.home import Home
from configs.library import Library
from configs.model import Model, Profile
from gpu.checkpoint.assemble import ARCHITECTURES, Files
from gpu.device import GB, Device, detect, fit_for, offload_for, peak_bytes, pick_profile
from gpu.fit import Fallback, Fit
from gpu.image import PictureRequest, draw
from gpu.video import ClipRequest, animate
from gpu.watch import Watch
from gpu.weights import Weights, WeightsSpec

CAPS = (12, 16, 24, 40, 80)
SOLD = 1.05
"""A card reports at least so many times the gigabytes it is sold with: those are of 2^30 bytes."""
MODELS = (
    "z-image-turbo@1024x1024", "wan2.2-ti2v-5b", "wan2.2-i2v-a14b-comfyui",
    "wan2.1-t2v-1.3b-comfyui", "turbowan2.1-t2v-1.3b",
)  # fmt: skip
WORDS = "A matte lipstick on white marble, morning light from the left, shallow depth of field."


@dataclass(frozen=True, slots=True)
class Case:
    """A model at a size."""

    name: str
    model: Model
    shape: tuple[int, ...]
    """Width, height, frames (0: a picture)."""
    steps: int
    tiny: bool = False

    @classmethod
    def of(cls, told: str, library: Library, steps: int, *, tiny: bool) -> Case:
        """Return what `MODEL[@WIDTHxHEIGHT]` says."""
        name, _, size = told.partition("@")
        model = library.models[name]
        sides = tuple(int(side) for side in size.split("x")) if size else model.sizes["landscape"]
        shape = (64, 64, 5) if tiny else (*sides, model.frames)
        return cls(name, model, shape, steps, tiny)

    def spec(self, cap: float, kind: str, profile: Profile) -> WeightsSpec:
        """Return the recipe that a card of this size would have; a processor is fitted like one."""
        files = self.model.files
        room = ARCHITECTURES / (files.architecture if files else self.model.folder)
        card = Device("cuda", "a card", SOLD * cap)
        offload = offload_for(card, profile.offload, self.model.memory_gb)
        fit = replace(fit_for(profile), offload=offload, compile=False)
        if kind == "cpu":
            fit = replace(fit, attention="native")  # the only one there
        return WeightsSpec(
            room,
            self.model.pipeline,
            self.name,
            "bfloat16",
            kind,
            files=Files(room, (), self.packed, self.model.turbo),
            fit=fit,
        )

    @property
    def packed(self) -> bool:
        """Whether weights are of 8 bits; TurboDiffusion's `-quant` files always stay so."""
        files = self.model.files
        return files is not None and (files.keep_packed or "-quant" in files.transformer)


@dataclass(frozen=True, slots=True)
class Ran:
    """What one model did under a cap."""

    caps: tuple[float, ...]
    """The cap it ran under, and those that would fit it alike."""
    profile: str
    model: str
    shape: str
    fit: str
    """What ran; where memory ran out first, with the way there."""
    steps: int = 0
    load: float = 0.0
    """Seconds of making random weights: not those of reading real ones."""
    seconds: float = 0.0
    """Of a picture or clip of so few steps, all told; of a picture the second."""
    step: float = 0.0
    """Seconds of one denoising step, the median without the first."""
    peak: float = 0.0
    """Gigabytes of 1e9 bytes, at most."""
    error: str = ""


def measure(caps: Sequence[float], case: Case, library: Library) -> Ran:
    """Draw or animate under the first cap, and return the figures.

    Args:
        caps: gigabytes of 1e9 bytes, of cards that are fitted alike; a processor is held to none.
        case: what to make.
        library: of profiles.
    """
    kind = detect().kind
    if kind == "cuda":
        torch.cuda.set_per_process_memory_fraction(caps[0] * GB / torch.cuda.mem_get_info()[1])
        torch.cuda.reset_peak_memory_stats()
    name = profile_for(caps[0], library)
    spec = case.spec(caps[0], kind, library.profiles[name])
    weights = Weights(1e9, load=partial(make, tiny=case.tiny), weigh=lambda _: 1)
    told: list[Fallback] = []
    shape = "x".join(str(n) for n in case.shape if n)
    ran = Ran(tuple(caps), name, case.name, shape, str(spec.fit), case.steps)
    try:
        times = _timed(case, spec, weights, told)
        if case.model.makes == "picture" or told:
            times = _timed(case, spec, weights, told)
    except (KeyreelError, RuntimeError) as error:
        return replace(ran, error=(str(error).splitlines() or [repr(error)])[0][:200])
    finally:
        weights.release_all()
    between = [after - before for before, after in pairwise(times[-1 - case.steps : -1])]
    return replace(
        ran,
        fit=str(told[-1]) if told else ran.fit,
        load=weights.stats().seconds,
        seconds=times[-1] - times[0],
        step=median(between),
        peak=peak_bytes(kind) / GB,
    )


def _timed(case: Case, spec: WeightsSpec, weights: Weights, told: list[Fallback]) -> list[float]:
    """Return the times of the beginning, of each step's, of the last one's end, and of the end."""
    times = [time.perf_counter()]

    def on_step(_done: int, _total: int) -> None:
        if spec.device == "cuda":
            torch.cuda.synchronize()
        times.append(time.perf_counter())

    loaded = weights.stats().seconds
    _work(case, spec, weights, Watch(on_step=on_step, on_fallback=told.append))
    times[0] += weights.stats().seconds - loaded
    return [*times, time.perf_counter()]


def profile_for(cap: float, library: Library) -> str:
    """Return the profile that a card of this size takes."""
    return pick_profile(Device("cuda", "a card", cap), library.profiles)


def _work(case: Case, spec: WeightsSpec, weights: Weights, watch: Watch) -> None:
    width, height, frames = case.shape
    asked: dict[str, Any] = {
        "spec": spec, "prompt": WORDS, "width": width, "height": height, "steps": case.steps,
        "seed": 1, "guidance": case.model.guidance,
    }  # fmt: skip
    try:
        if case.model.makes == "picture":
            draw(PictureRequest(**asked), weights, watch)
        else:
            grey = Image.linear_gradient("L").convert("RGB") if case.model.makes == "clip" else None
            asked |= {"frames": frames, "euler_shift": case.model.euler_shift}
            animate(ClipRequest(image=grey, **asked), weights, watch)
    except Rejected:
        pass  # random weights may overflow; they took the same time


def rows(caps: Sequence[float], case: Case, library: Library) -> Iterator[Ran]:
    """Measure a model under the smallest cap of each way to fit it, and where that fell short."""
    left = list(caps)
    while left:
        fits = {cap: _fit(cap, case, library) for cap in left}
        alike = [cap for cap in left if fits[cap] == fits[left[0]]]
        ran = measure(alike, case, library)
        if ran.error or "->" in ran.fit:  # a larger card may do better
            ran, alike = replace(ran, caps=ran.caps[:1]), alike[:1]
        yield ran
        left = [cap for cap in left if cap not in alike]


def _fit(cap: float, case: Case, library: Library) -> Fit:
    return case.spec(cap, "cuda", library.profiles[profile_for(cap, library)]).fit


def under(ran: Ran) -> str:
    """Return the caps of a row for people."""
    return ", ".join(f"{cap:g}" for cap in ran.caps) + " GB"


def show(ran: Ran) -> str:
    """Return a row for people."""
    if ran.error:
        return f"{under(ran):<14} {ran.profile:<5} {ran.model:<16} does not run: {ran.error}"
    return (
        f"{under(ran):<14} {ran.profile:<5} {ran.model:<16} {ran.shape:<12} {ran.seconds:8.1f} s  "
        f"{ran.step:6.2f} s a step of {ran.steps}  peak {ran.peak:5.1f} GB  "
        f"weights {ran.load:.0f} s  {ran.fit}"
    )


def figures(ran: Ran) -> Iterator[Figure]:
    """Yield what goes into RESULTS.md."""
    name = f"{ran.model} {ran.shape} under {under(ran)}"
    note = ran.error or f"profile {ran.profile}: {ran.fit}; {ran.steps} steps"
    yield Figure(f"{name}: a step", ran.step, "s", note=note)
    yield Figure(f"{name}: all told", ran.seconds, "s")
    yield Figure(f"{name}: peak", ran.peak, "GB")


def join(paths: Sequence[Path]) -> None:
    """Write `results/fit.json` from what several runs wrote; a row again replaces the one before.

    Raises:
        ValueError: where they ran on unlike cards or libraries, which one table can't tell.
    """
    told = [json.loads(path.read_text(encoding="utf-8")) for path in paths]
    for path, one in zip(paths, told, strict=True):
        if not alike(one, told[0]):
            ran = [{**head, "figures": "..."} for head in (one, told[0])]
            raise ValueError(f"{path}: ran on {ran[0]}, {paths[0]} on {ran[1]}")
    figures = {figure["metric"]: figure for one in told for figure in moved(one, told[0])}
    whole = {**told[0], "figures": list(figures.values())}
    text = json.dumps(whole, indent=1, ensure_ascii=False) + "\n"
    (RESULTS / "fit.json").write_text(text, encoding="utf-8")


def main() -> None:
    """Measure, print a row each, and write `results/fit.json` where a card did it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--caps", type=float, nargs="+", default=list(CAPS), help="gigabytes")
    parser.add_argument("--models", nargs="+", default=MODELS, help="MODEL or MODEL@WIDTHxHEIGHT")
    parser.add_argument("--steps", type=int, default=4, help="denoising steps, at least 2")
    parser.add_argument("--tiny", action="store_true", help="small networks, on any device")
    parser.add_argument("--join", type=Path, nargs="+", metavar="FILE", help="measure nothing")
    words = parser.parse_args()
    if words.join:
        return join(words.join)
    if words.steps < 2:
        parser.error("--steps: at least 2, to have one after the first")
    card = detect()
    if card.kind == "cpu" and not words.tiny:
        parser.error("there is no CUDA card here; --tiny runs the same code on a processor")
    library = Library.open(Home(Path("no-home")))
    caps = [cap for cap in words.caps if words.tiny or cap <= card.memory_gb]
    done: list[Ran] = []
    for told in words.models:
        for ran in rows(caps, Case.of(told, library, words.steps, tiny=words.tiny), library):
            done.append(ran)
            print(show(ran), flush=True)
            if not words.tiny:
                write("fit", [figure for one in done for figure in figures(one)], device=card.name)
    sys.exit(any(ran.error for ran in done) if words.tiny else 0)


if __name__ == "__main__":
    main()
