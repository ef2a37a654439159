"""TurboDiffusion's clips: ours beside plain diffusers of as many steps, stage by stage.

FLOP of a forward, by L tokens, d channels, n layers: linears n·L·(12·d² + 4·d·ffn), attention
n·4·L²·d of which a tenth is kept. 1.3B at 480x832x81: 82 + 20; A14B at 720x1280x81: 1,810 + 468.
`gpu.turbo.wan_vae` has the autoencoder's. Without ffmpeg, times end at
frames in main memory.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache, partial
from importlib.util import find_spec
from itertools import count
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from PIL.Image import Image

from benchmarks.figures import Figure, at_most
from benchmarks.random_weights import make
from benchmarks.speed.picture import Clock, synchronise
from benchmarks.speed.realistic import realistic, rendered, words_of
from benchmarks.turbo_kernels import error
from gpu import fit as fits
from gpu.checkpoint.assemble import ARCHITECTURES
from gpu.fit import Fit
from gpu.turbo.rcm import RCMScheduler
from gpu.turbo.sla import Blocks, add_sla
from gpu.video import ClipRequest, animate
from gpu.watch import Watch
from gpu.weights import Weights, WeightsSpec
from tasks.ffmpeg import write_clip
from tasks.recording import Recording

STEPS, RUNS, FPS = 4, 5, 16
SHARE = 0.1
FAST = Fit(attention="_native_cudnn", compile=True)
FP8 = Fit(attention="_native_cudnn", compile=True, quantisation="fp8")
NUMBERS = count()


@dataclass(frozen=True, slots=True)
class Kind:
    """A model's settings, and how long a clip may take."""

    name: str
    architecture: str
    pipeline: str
    sigma_max: float
    size: tuple[int, int]
    bar: float
    tflop: float
    """Of a forward in linears, and in a tenth of the attention."""


KINDS = {
    "1.3B": Kind("1.3B", "wan2.1-t2v-1.3b", "WanPipeline", 80, (832, 480), 2.0, 102.0),
    "A14B": Kind("A14B", "wan2.2-i2v-a14b", "WanImageToVideoPipeline", 200, (1280, 720), 18, 2278),
}


@dataclass(frozen=True, slots=True)
class Bench:
    """Where clips are made, and of what size."""

    kind: Kind
    tiny: bool
    device: str

    @property
    def size(self) -> tuple[int, int, int]:
        """Width, height, frames."""
        return (64, 48, 9) if self.tiny else (*self.kind.size, 81)

    @property
    def runs(self) -> int:
        """Of which the median is told."""
        return 1 if self.tiny else RUNS

    def spec(self, fit: Fit) -> WeightsSpec:
        """Return the recipe of the model with a fit; a processor neither compiles nor has cuDNN."""
        if self.device == "cpu":
            fit = Fit(quantisation=fit.quantisation)
        dtype = "float32" if self.device == "cpu" else "bfloat16"
        folder = ARCHITECTURES / self.kind.architecture
        return WeightsSpec(folder, self.kind.pipeline, "w", dtype, self.device, fit=fit)

    def load(self, spec: WeightsSpec, turbo: bool = True) -> Any:  # noqa: ANN401
        """Return the pipeline with random weights; with TurboDiffusion's attention and sampler."""
        pipe = make(replace(spec, fit=Fit()), tiny=self.tiny)
        for network in (getattr(pipe, name, None) for name in fits.TRANSFORMERS):
            if network is None:
                continue
            if turbo:
                sparse(network)
            realistic(network)
        if turbo:
            pipe.scheduler = RCMScheduler(self.kind.sigma_max, ode=self.kind.name == "A14B")
        fits.apply(pipe, spec.fit, spec.device)
        return pipe

    def weights(self) -> Weights:
        """Return a cache whose models are random."""
        return Weights(1e9, load=self.load, weigh=lambda _: 1)

    def request(self, fit: Fit) -> ClipRequest:
        """Return a clip of words not asked for before."""
        width, height, frames = self.size
        picture = _picture(width, height) if self.kind.name == "A14B" else None
        words = words_of(next(NUMBERS))
        return ClipRequest(self.spec(fit), picture, words, width, height, frames, STEPS, 7)


@cache
def _picture(width: int, height: int) -> Image:
    return rendered(width, height)


def sparse(network: Any) -> None:  # noqa: ANN401
    """Give a transformer SLA, its projections in float32 as in the published files."""
    add_sla(network, Blocks(SHARE))
    for block in network.blocks:
        block.attn1.proj_l.float().requires_grad_(False)


def clip(bench: Bench, request: ClipRequest, weights: Weights, watch: Watch | None = None) -> float:
    """Make a clip; return the seconds to its file, or to its frames where there is no encoder."""
    synchronise()
    width, height, _ = bench.size
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "clip.mp4"
        started = time.perf_counter()
        with Recording(partial(_write, path, size=(width, height), fps=FPS)) as recording:
            animate(request, weights, watch or Watch(), recording.take)
        return time.perf_counter() - started


def encoder() -> bool:
    """Whether clips can be encoded here."""
    return find_spec("imageio_ffmpeg") is not None


def _write(path: Path, frames: Any, **how: Any) -> None:  # noqa: ANN401
    if encoder():
        write_clip(path, frames, **how)
    else:
        for _ in frames:
            pass


def ours(bench: Bench, fit: Fit, name: str, weights: Weights) -> Iterator[Figure]:
    """Yield seconds of a clip and of its stages, and peaks of memory."""
    cold = sum(clip(bench, bench.request(fit), weights) for _ in range(2))
    clocks = [_clocked(bench, fit, weights) for _ in range(bench.runs)]
    took = median(sum(clock.seconds().values()) for clock in clocks)
    to = "to the file" if encoder() else "to the frames in main memory: there is no encoder here"
    note = f"{to}; the first two with making and compiling {cold:.0f} s"
    yield at_most(f"{name}: clip", took, "s", bench.kind.bar, note)
    for stage in clocks[0].seconds():
        seconds = median(clock.seconds()[stage] for clock in clocks)
        peak = max(clock.peak.get(stage, 0.0) for clock in clocks)
        note = f"peak {peak:.1f} GB"
        if stage == "steps":
            floor = STEPS * bench.kind.tflop / 989
            note += f"; {seconds / STEPS:.3f} s a step; floor of all in bfloat16 {floor:.2f} s"
        yield Figure(f"{name}: {stage}", seconds, "s", note=note)


def _clocked(bench: Bench, fit: Fit, weights: Weights) -> Clock:
    clock = Clock()
    with weights.lease(bench.spec(fit)) as pipe:
        hooks = [
            part.register_forward_pre_hook(lambda *_, stage=stage: clock.tick(stage))
            for stage, part in (
                ("words", pipe.text_encoder),
                ("keyframe", pipe.vae.encoder.mid_block.attentions[0]),
                ("steps", pipe.transformer.condition_embedder),
            )
        ]
    clock.tick("call")
    watch = Watch(on_step=lambda done, total: clock.tick("decoding") if done == total else None)
    try:
        clip(bench, bench.request(fit), weights, watch)
    finally:
        for hook in hooks:
            hook.remove()
    clock.tick("end")
    return clock


def plain(bench: Bench) -> Iterator[Figure]:
    """Yield seconds of a clip by diffusers alone: dense attention, its own sampler and decoder."""
    pipe = bench.load(bench.spec(Fit()), turbo=False)
    width, height, frames = bench.size

    def run() -> float:
        synchronise()
        started = time.perf_counter()
        made = pipe(
            words_of(next(NUMBERS)), width=width, height=height, num_frames=frames,
            num_inference_steps=STEPS, guidance_scale=1.0, output_type="pt",
        ).frames  # fmt: skip
        made.float().mul(255).round().byte().cpu()
        return time.perf_counter() - started

    run()
    note = "to the frames in main memory"
    yield Figure("plain diffusers: clip", median(run() for _ in range(bench.runs)), "s", note=note)


def errors(bench: Bench) -> Iterator[Figure]:
    """Yield the error of one forward, each way against float32 with the same blocks rule.

    On a clip of 17 frames: float32 has no kernel, and takes a second for each layer of 81.
    """
    answers = {}
    ways = {"eager": Fit(), "compiled": FAST, "compiled, fp8": FP8}
    for name, fit in ways.items():
        answers[name] = _forward(bench.load(bench.spec(fit)), bench)
    pipe = bench.load(bench.spec(Fit()))
    pipe.transformer.float()
    right = _forward(pipe, bench)
    for name, answer in answers.items():
        note = f"against eager {error(answer, answers['eager']):.2e}"
        yield Figure(f"error of one forward, {name}", error(answer, right), "", note=note)


@torch.no_grad()
def _forward(pipe: Any, bench: Bench) -> torch.Tensor:  # noqa: ANN401
    network, (width, height, _) = pipe.transformer, bench.size
    like, chance = network.patch_embedding.weight, torch.Generator().manual_seed(5)
    shape = 1, network.config.in_channels, 5, height // 8, width // 8
    noise = torch.randn(shape, generator=chance).to(like)
    words = torch.randn(1, 512, network.config.text_dim, generator=chance).to(like)
    told = torch.tensor([932.0], device=like.device)
    made: torch.Tensor = network(noise, told, words, return_dict=False)[0]
    return made.float()


def files(bench: Bench) -> Iterator[Figure]:
    """Yield how long a rendered clip takes to its file, on this machine's processor."""
    width, height, frames = bench.size
    whole = np.asarray(_picture(width + frames, height))
    moving = np.stack([whole[:, i : i + width] for i in range(frames)])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "clip.mp4"
        started = time.perf_counter()
        write_clip(path, moving, size=(width, height), fps=FPS)
        took = time.perf_counter() - started
        note = f"{path.stat().st_size / 1e6:.1f} MB; a panned picture, all frames there at once"
    yield Figure(f"file: H.264, {width}x{height}", took, "s", note=note)


def measure(quick: bool, kinds: tuple[str, ...] = tuple(KINDS)) -> list[Figure]:
    """Return all figures of clips.

    Args:
        quick: small networks and clips, on any device.
        kinds: of KINDS.
    """
    made: list[Figure] = []
    device = "cuda" if torch.cuda.is_available() else "cpu"
    for kind in kinds:
        bench = Bench(KINDS[kind], quick, device)
        for name, fit in (("bfloat16", FAST), ("fp8", FP8)):
            if kind == "A14B" and fit is FAST and not quick:
                continue  # two experts of 28.6 GB leave no room for the work
            weights = bench.weights()
            made += ours(bench, fit, f"{kind} {name}", weights)
            weights.release_all()
        if kind == "1.3B":
            made += [*plain(bench), *errors(bench)]
        if encoder():
            made += files(bench)
    return made
