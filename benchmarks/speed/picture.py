"""Z-Image-Turbo's pictures: ours beside plain diffusers, each stage, and each speed-up's error.

FLOP of a forward at 1024x1024 with 128 tokens of words (d 3,840, ffn 10,240; 30 blocks of 4,224
tokens, 2 of 4,096): 2·L·(4·d² + 3·d·ffn) a block in linears, 47.8 TFLOP, and 4·L²·d in attention,
8.7 TFLOP. `gpu.turbo.zimage` has the floors of the other stages.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import partial
from io import BytesIO
from itertools import count
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import torch

from benchmarks.figures import Figure, at_most
from benchmarks.speed import cold, errors
from benchmarks.speed.bench import FAST, FP8, PLAIN, Bench, bench
from benchmarks.speed.clock import Clock, joules, of_picture, synchronise, to_first_step
from benchmarks.speed.realistic import rendered, words_of
from gpu.fit import Fit
from gpu.image import PictureRequest, draw
from gpu.watch import Watch
from gpu.weights import Weights

FLOORS = {"none": (47.8 + 8.7) / 989, "fp8": 47.8 / 1979 + 8.7 / 989}
"""Seconds of a forward at an H100's dense peaks of 989 and 1,979 TFLOP/s, by quantisation."""
NUMBERS = count()


def picture(bench: Bench, fit: Fit, weights: Weights, watch: Watch | None = None) -> float:
    """Draw a picture of words not drawn before; return the seconds to its bytes in main memory."""
    asked = PictureRequest(
        bench.spec(fit), words_of(next(NUMBERS)), bench.side, bench.side, bench.steps, 7
    )
    synchronise()
    started = time.perf_counter()
    draw(asked, weights, watch or Watch())
    return time.perf_counter() - started


def latency(bench: Bench, fit: Fit, weights: Weights) -> float:
    """Return the seconds from the call to the first launch of the transformer."""
    with weights.lease(bench.spec(fit)) as pipe:
        drawing = pipe
    return to_first_step(drawing, partial(picture, bench, fit, weights))


def stages(bench: Bench, fit: Fit, name: str, bar: float | None) -> Iterator[Figure]:
    """Yield seconds of a picture, of its stages, and peaks, each the median of RUNS."""
    weights = bench.weights()
    first = picture(bench, fit, weights)
    picture(bench, fit, weights)
    took = median(picture(bench, fit, weights) for _ in range(bench.runs))
    begun = median(latency(bench, fit, weights) for _ in range(bench.runs))
    note = f"first with making and compiling {first:.0f} s"
    if bar is None:
        yield Figure(f"{name}: picture", took, "s", note=note)
        yield Figure(f"{name}: from the call to the first step", begun, "s")
    else:
        yield at_most(f"{name}: picture", took, "s", bar, note)
        yield at_most(f"{name}: from the call to the first step", begun, "s", 0.05)
    yield from _parts(bench, fit, name, weights)
    yield from batch(bench, fit, name, weights, None if bar is None else 0.85)
    weights.release_all()


def _parts(bench: Bench, fit: Fit, name: str, weights: Weights) -> Iterator[Figure]:
    clocks = []
    for _ in range(bench.runs):
        clock = Clock()
        with weights.lease(bench.spec(fit)) as pipe:
            hooked = clock.over(of_picture(pipe))
        with hooked:
            clock.tick("call")
            picture(bench, fit, weights)
            clock.tick("end")
        clocks.append(clock)
    for stage in clocks[0].seconds():
        took = median(clock.seconds()[stage] for clock in clocks)
        peak = max(clock.peak.get(stage, 0.0) for clock in clocks)
        note = f"peak {peak:.1f} GB"
        if stage == "steps":
            floor = 1e3 * bench.steps * FLOORS[fit.quantisation]
            note += f"; {1e3 * took / bench.steps:.1f} ms a step; floor of all {floor:.0f} ms"
        yield Figure(f"{name}: {stage}", 1e3 * took, "ms", note=note)


def batch(
    bench: Bench, fit: Fit, name: str, weights: Weights, bar: float | None, size: int = 4
) -> Iterator[Figure]:
    """Yield the seconds a picture where `size` go through the steps at once, beside those alone.

    A card that draws all the power it may cannot be faster than its energy a picture allows.
    """
    with weights.lease(bench.spec(fit)) as pipe:
        (alone, used_alone), (each, used) = (_each(bench, pipe, n) for n in (1, size))
    metric = f"{name}: batch of {size}, time a picture"
    note = f"{each:.3f} s and {used:.0f} J each; {alone:.3f} s and {used_alone:.0f} J alone"
    if bar is None:
        yield Figure(metric, each / alone, "x", note=note)
    else:
        yield at_most(metric, each / alone, "x", bar, note)


def _each(bench: Bench, pipe: Any, size: int) -> tuple[float, float]:  # noqa: ANN401
    """Return seconds and joules of one picture, of `size` that are drawn together."""
    _together(bench, pipe, size)
    before = joules()
    took = median(_together(bench, pipe, size) for _ in range(bench.runs))
    return took / size, (joules() - before) / (bench.runs * size)


@torch.no_grad()
def _together(bench: Bench, pipe: Any, size: int) -> float:  # noqa: ANN401
    words = [words_of(next(NUMBERS)) for _ in range(size)]
    synchronise()
    started = time.perf_counter()
    latents = pipe(
        words, width=bench.side, height=bench.side, num_inference_steps=bench.steps,
        guidance_scale=0.0, generator=torch.Generator().manual_seed(1), output_type="latent",
    ).images  # fmt: skip
    for one in latents.to(pipe.vae.dtype).split(1):  # as large as the decoder's graph knows it
        pipe.vae.decode(one, return_dict=False)[0].mul(255).byte().cpu()
    return time.perf_counter() - started


def files(side: int, runs: int) -> Iterator[Figure]:
    """Yield how long a rendered picture takes to its file, by encoder, and how large it is."""
    made = rendered(side, side)
    for name, options in ENCODERS.items():
        out = BytesIO()
        took = []
        for _ in range(runs):
            out = BytesIO()
            started = time.perf_counter()
            made.save(out, **options)
            took.append(time.perf_counter() - started)
        note = f"{len(out.getvalue()) / 1e6:.2f} MB"
        yield at_most(f"file: {name}", 1e3 * median(took), "ms", 100, note)


ENCODERS: dict[str, dict[str, Any]] = {
    "PNG, level 1": {"format": "PNG", "compress_level": 1},
    "PNG, level 1, runs": {"format": "PNG", "compress_level": 1, "compress_type": 3},
    "WebP lossless, method 0": {"format": "WEBP", "lossless": True, "method": 0, "quality": 0},
}


def new_process(bench: Bench) -> Iterator[Figure]:
    """Yield how long a new process takes to its first picture."""
    weights = bench.weights()
    with TemporaryDirectory() as folder:
        with weights.lease(bench.spec(PLAIN)) as pipe:
            pipe.save_pretrained(folder)
        del pipe
        weights.release_all()
        yield from cold.figures(Path(folder), bench.side)


def pieces(quick: bool) -> dict[str, Callable[[], Iterator[Figure]]]:
    """Return what can be measured of pictures; each piece's figures begin with its name.

    Args:
        quick: small networks and pictures, on any device.
    """
    place = bench(quick)
    return {
        "plain diffusers": partial(stages, place, PLAIN, "plain diffusers", None),
        "bfloat16": partial(stages, place, FAST, "bfloat16", 0.95),
        "fp8": partial(stages, place, FP8, "fp8", 0.72),
        "errors": partial(errors.figures, place),
        "file": partial(files, place.side, place.runs),
        "new process": partial(new_process, place),
    }
