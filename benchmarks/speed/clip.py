"""TurboDiffusion's clips: ours beside plain diffusers of as many steps, stage by stage.

FLOP of a forward, by L tokens, d channels, n layers: linears n·L·(12·d² + 4·d·ffn), attention
n·4·L²·d of which a tenth is kept. 1.3B at 480x832x81: 82 + 20; A14B at 720x1280x81: 1,810 + 468.
`gpu.turbo.wan_vae` has the autoencoder's. Random weights make noise, on which no encoder's time
means anything: as each group of frames arrives, as many of a rendered clip are encoded in their
place. Without ffmpeg, times end at frames in main memory, and say so.
"""

from __future__ import annotations

import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import cache, partial
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import torch

from benchmarks import turbo_kernels
from benchmarks.figures import Figure, at_most
from benchmarks.speed import clip_errors
from benchmarks.speed.bench import FAST, FP8, PLAIN
from benchmarks.speed.clip_bench import KINDS, NUMBERS, STEPS, Bench
from benchmarks.speed.clock import Clock, of_clip, synchronise, to_first_step
from benchmarks.speed.realistic import words_of
from gpu.fit import Fit
from gpu.video import ClipRequest, animate
from gpu.watch import Watch
from gpu.weights import Weights
from tasks.ffmpeg import binary, write_clip
from tasks.recording import Recording

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

FPS = 16


def clip(bench: Bench, request: ClipRequest, weights: Weights, watch: Watch | None = None) -> float:
    """Make a clip; return the seconds to its file, or to its frames where there is no encoder."""
    shown = bench.shown()
    synchronise()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "clip.mp4"
        started = time.perf_counter()
        with Recording(partial(_write, bench, path)) as recording:

            def take(first: int, frames: NDArray[np.uint8]) -> None:
                recording.take(first, shown[first : first + len(frames)])

            animate(request, weights, watch or Watch(), take)
        return time.perf_counter() - started


@cache
def encoder() -> str:
    """Return the version of the ffmpeg that is here; empty where there is none."""
    if find_spec("imageio_ffmpeg") is None:
        return ""
    said = subprocess.run([binary(), "-version"], capture_output=True, text=True, check=True)
    return " ".join(said.stdout.split()[:3])


def ending() -> str:
    """Return where a clip's seconds end, for people."""
    return f"to the MP4, by {encoder()}" if encoder() else "to frames in memory: no encoder here"


def _write(bench: Bench, path: Path, frames: Any) -> None:  # noqa: ANN401
    if encoder():
        write_clip(path, frames, size=bench.size[:2], fps=FPS)
    else:
        for _ in frames:
            pass


def ours(bench: Bench, fit: Fit, name: str) -> Iterator[Figure]:
    """Yield seconds of a clip and of its stages, and peaks of memory."""
    weights = bench.weights()
    cold = sum(clip(bench, bench.request(fit), weights) for _ in range(2))
    clocks = [_clocked(bench, fit, weights) for _ in range(bench.runs)]
    took = median(sum(clock.seconds().values()) for clock in clocks)
    note = f"{ending()}; the first two with making and compiling {cold:.0f} s"
    yield at_most(f"{name}: clip", took, "s", bench.kind.bar, note)
    begun = median(latency(bench, fit, weights) for _ in range(bench.runs))
    yield _began(bench, name, begun)
    for stage in clocks[0].seconds():
        seconds = median(clock.seconds()[stage] for clock in clocks)
        peak = max(clock.peak.get(stage, 0.0) for clock in clocks)
        note = f"peak {peak:.1f} GB"
        if stage == "steps":
            floor = STEPS * bench.kind.tflop / 989
            note += f"; {seconds / STEPS:.3f} s a step; floor of all in bfloat16 {floor:.2f} s"
        yield Figure(f"{name}: {stage}", seconds, "s", note=note)
    weights.release_all()


def _began(bench: Bench, name: str, took: float) -> Figure:
    metric = f"{name}: from the call to the first step"
    if bench.kind.name == "1.3B":
        return at_most(metric, took, "s", 0.05)
    return Figure(metric, took, "s", note="with a keyframe, which the autoencoder reads first")


def latency(bench: Bench, fit: Fit, weights: Weights) -> float:
    """Return the seconds from the call to the first launch of the transformer; one is all."""
    with weights.lease(bench.spec(fit)) as pipe:
        animating = pipe
    stopped = Watch(cancelled=lambda: True)
    return to_first_step(animating, partial(animate, bench.request(fit), weights, stopped))


def _clocked(bench: Bench, fit: Fit, weights: Weights) -> Clock:
    clock = Clock()
    with weights.lease(bench.spec(fit)) as pipe:
        hooked = clock.over(of_clip(pipe))
    watch = Watch(on_step=lambda done, total: clock.tick("decoding") if done == total else None)
    with hooked:
        clock.tick("call")
        clip(bench, bench.request(fit), weights, watch)
        clock.tick("end")
    return clock


def plain(bench: Bench, name: str) -> Iterator[Figure]:
    """Yield seconds of a clip by diffusers alone: dense attention, its own sampler and decoder."""
    pipe = bench.load(bench.spec(PLAIN), turbo=False)
    clocks = [_plain(bench, pipe) for _ in range(bench.plain_runs + 1)][1:]
    took = median(sum(clock.seconds().values()) for clock in clocks)
    yield Figure(f"{name}: clip", took, "s", note=f"{ending()}; median of {len(clocks)}")
    for stage in clocks[0].seconds():
        seconds = median(clock.seconds()[stage] for clock in clocks)
        peak = max(clock.peak.get(stage, 0.0) for clock in clocks)
        yield Figure(f"{name}: {stage}", seconds, "s", note=f"peak {peak:.1f} GB")


def _plain(bench: Bench, pipe: Any) -> Clock:  # noqa: ANN401
    clock, shown = Clock(), bench.shown()
    width, height, frames = bench.size
    with (
        tempfile.TemporaryDirectory() as folder,
        clock.over(of_clip(pipe) | {"decoding": pipe.vae.post_quant_conv}),
    ):
        clock.tick("call")
        made = pipe(
            prompt=words_of(next(NUMBERS)), width=width, height=height, num_frames=frames,
            num_inference_steps=STEPS, guidance_scale=1.0, output_type="pt", **bench.picture(),
        ).frames  # fmt: skip
        made.float().mul(255).round().byte().cpu()
        clock.tick("encoding")
        _write(bench, Path(folder) / "clip.mp4", shown)
        clock.tick("end")
    return clock


def files(quick: bool) -> Iterator[Figure]:
    """Yield how long a rendered clip takes to its file, on this machine's processor."""
    for kind in KINDS.values():
        bench = Bench(kind, quick, "cpu")
        width, height, _ = bench.size
        shown = bench.shown()
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "clip.mp4"
            took = []
            for _ in range(bench.runs):
                started = time.perf_counter()
                _write(bench, path, shown)
                took.append(time.perf_counter() - started)
            size = path.stat().st_size / 1e6
        note = f"{size:.1f} MB, by {encoder()}; a rendered clip, all frames there at once"
        yield Figure(f"file: H.264, {width}x{height}", median(took), "s", note=note)


def kernels() -> Iterator[Figure]:
    """Yield errors and times of the Triton kernels."""
    with torch.device("cuda"), torch.no_grad():
        for one in turbo_kernels.figures():
            yield Figure(f"kernels: {one.metric}", one.value, one.unit, one.bar, one.met, one.note)


def pieces(quick: bool) -> dict[str, Callable[[], Iterator[Figure]]]:
    """Return what can be measured of clips; each piece's figures begin with its name.

    Args:
        quick: small networks and clips, on any device.
    """
    device = "cuda" if torch.cuda.is_available() else "cpu"
    small, large = (Bench(KINDS[kind], quick, device) for kind in ("1.3B", "A14B"))
    made: dict[str, Callable[[], Iterator[Figure]]] = {}
    # Two experts of 28.6 GB in bfloat16 leave no room for the work beside them.
    for bench, name, fit in ((small, "bfloat16", FAST), (small, "fp8", FP8), (large, "fp8", FP8)):
        made[f"{bench.kind.name} {name}"] = partial(ours, bench, fit, f"{bench.kind.name} {name}")
    for bench in (small, large):
        name = f"{bench.kind.name} plain diffusers"
        made[name] = partial(plain, bench, name)
    made["errors"] = partial(clip_errors.figures, small)
    made["A14B errors"] = partial(clip_errors.experts, large)
    if device == "cuda":
        made["kernels"] = kernels
    if encoder():
        made["file"] = partial(files, quick)
    return made
