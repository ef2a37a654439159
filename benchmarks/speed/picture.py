"""Z-Image-Turbo's pictures: ours beside plain diffusers, each stage, and each speed-up's error.

FLOP of a forward at 1024x1024 with 128 tokens of words (d 3,840, ffn 10,240; 30 blocks of 4,224
tokens, 2 of 4,096): 2·L·(4·d² + 3·d·ffn) a block in linears, 47.8 TFLOP, and 4·L²·d in attention,
8.7 TFLOP. `gpu.turbo.zimage` has the floors of the other stages.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import BytesIO
from itertools import count
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import torch

from benchmarks.figures import Figure, at_most
from benchmarks.random_weights import make
from benchmarks.speed import cold
from benchmarks.speed.realistic import realistic, rendered, words_of
from gpu.checkpoint.assemble import ARCHITECTURES
from gpu.fit import Fit
from gpu.image import PictureRequest, draw
from gpu.watch import Watch
from gpu.weights import Weights, WeightsSpec

PLAIN = Fit()
FAST = Fit(attention="_native_cudnn", compile=True)
"""As the profile of 80 GB has it."""
FP8 = Fit(attention="_native_cudnn", compile=True, quantisation="fp8")
STEPS, RUNS = 8, 5
FLOORS = {"none": (47.8 + 8.7) / 989, "fp8": 47.8 / 1979 + 8.7 / 989}
"""Seconds of a forward at an H100's dense peaks of 989 and 1,979 TFLOP/s, by quantisation."""
NUMBERS = count()


@dataclass(frozen=True, slots=True)
class Bench:
    """Where pictures are drawn, and how large."""

    tiny: bool
    device: str
    side: int
    steps: int
    runs: int
    """Of which the median is told."""

    def spec(self, fit: Fit) -> WeightsSpec:
        """Return the recipe of the model with a fit; a processor has no cuDNN."""
        if self.device == "cpu":
            fit = Fit(quantisation=fit.quantisation)
        folder = ARCHITECTURES / "z-image-turbo"
        dtype = "float32" if self.device == "cpu" else "bfloat16"
        return WeightsSpec(folder, "ZImagePipeline", "z", dtype, self.device, fit=fit)

    def weights(self) -> Weights:
        """Return a cache whose models are random, but alike trained ones."""

        def load(spec: WeightsSpec) -> Any:  # noqa: ANN401  (a pipeline of diffusers)
            pipe = make(WeightsSpec(*_plain(spec)), tiny=self.tiny)
            realistic(pipe.transformer)
            from gpu import fit

            fit.apply(pipe, spec.fit, spec.device)
            return pipe

        return Weights(1e9, load=load, weigh=lambda _: 1)


def _plain(spec: WeightsSpec) -> tuple[Any, ...]:
    return spec.folder, spec.pipeline, spec.fingerprint, spec.dtype, spec.device


def bench(quick: bool) -> Bench:
    """Return the place of measurement: the card, or whatever is here at a small size."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    return Bench(True, device, 64, 2, 1) if quick else Bench(False, device, 1024, STEPS, RUNS)


def synchronise() -> None:
    """Wait for the card."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()


@dataclass(slots=True)
class Clock:
    """When the stages of one picture began; peaks of memory in each."""

    at: dict[str, float] = field(default_factory=dict)
    peak: dict[str, float] = field(default_factory=dict)

    def tick(self, stage: str) -> None:
        """A stage begins for the first time, and the last one ends; waits for the card."""
        if stage in self.at:
            return
        synchronise()
        for last in list(self.at)[-1:]:
            if torch.cuda.is_available():
                self.peak[last] = torch.cuda.max_memory_allocated() / 1e9
                torch.cuda.reset_peak_memory_stats()
        self.at[stage] = time.perf_counter()

    def seconds(self) -> dict[str, float]:
        """Return how long each stage took."""
        names, times = list(self.at), list(self.at.values())
        return {name: b - a for name, a, b in zip(names, times, times[1:], strict=False)}


@contextmanager
def clocked(pipe: Any, clock: Clock) -> Iterator[None]:  # noqa: ANN401
    """Let the pipeline's networks tell when they begin."""
    hooks = [
        part.register_forward_pre_hook(lambda *_, stage=stage: clock.tick(stage))
        for stage, part in (
            ("words", pipe.text_encoder.embed_tokens),
            ("steps", pipe.transformer.t_embedder),
            ("decoding", pipe.vae.decoder),
        )
    ]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


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
    began: list[float] = []
    with weights.lease(bench.spec(fit)) as pipe:
        hook = pipe.transformer.register_forward_pre_hook(
            lambda *_: began.append(time.perf_counter())
        )
    started = time.perf_counter()
    picture(bench, fit, weights)
    hook.remove()
    return began[0] - started


def stages(bench: Bench, fit: Fit, name: str, bar: float | None) -> Iterator[Figure]:
    """Yield seconds of a picture, of its stages, and peaks, each the median of RUNS."""
    weights = bench.weights()
    cold = picture(bench, fit, weights)
    picture(bench, fit, weights)
    took = median(picture(bench, fit, weights) for _ in range(bench.runs))
    begun = median(latency(bench, fit, weights) for _ in range(bench.runs))
    note = f"first with making and compiling {cold:.0f} s"
    if bar is None:
        yield Figure(f"{name}: picture", took, "s", note=note)
    else:
        yield at_most(f"{name}: picture", took, "s", bar, note)
    yield at_most(f"{name}: from the call to the first step", begun, "s", 0.05)
    yield from _parts(bench, fit, name, weights)
    yield from batch(bench, fit, name, weights)
    weights.release_all()


def _parts(bench: Bench, fit: Fit, name: str, weights: Weights) -> Iterator[Figure]:
    clocks = []
    for _ in range(bench.runs):
        clock = Clock()
        with weights.lease(bench.spec(fit)) as pipe:
            hooked = clocked(pipe, clock)
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


def batch(bench: Bench, fit: Fit, name: str, weights: Weights, size: int = 4) -> Iterator[Figure]:
    """Yield the seconds a picture of one call for `size`, beside those of one alone."""
    with weights.lease(bench.spec(fit)) as pipe:

        def run(size: int) -> float:
            words = [words_of(next(NUMBERS)) for _ in range(size)]
            synchronise()
            started = time.perf_counter()
            made = pipe(
                words, width=bench.side, height=bench.side, num_inference_steps=bench.steps,
                guidance_scale=0.0, generator=torch.Generator().manual_seed(1), output_type="pt",
            ).images  # fmt: skip
            made.mul(255).byte().cpu()
            return (time.perf_counter() - started) / size

        times = {}
        for pictures in (1, size):
            run(pictures)
            times[pictures] = median(run(pictures) for _ in range(bench.runs))
    share = times[size] / times[1]
    note = f"{times[size]:.3f} s each; {times[1]:.3f} s alone"
    yield at_most(f"{name}: batch of {size}, time a picture", share, "x", 0.85, note)


def forward(pipe: Any, side: int) -> Callable[[], torch.Tensor]:  # noqa: ANN401
    """Return a call of the transformer on latents and words with the spread of real ones."""
    given = pipe.transformer.all_x_embedder["2-1"].weight
    chance = torch.Generator().manual_seed(5)
    noise = torch.randn(16, 1, side // 8, side // 8, generator=chance).to(given)
    words = torch.randn(64, pipe.transformer.config.cap_feat_dim, generator=chance)
    words[:, ::97] *= 40  # a language model's hidden states have a few channels that large
    time = torch.tensor([0.3], device=given.device)
    return lambda: pipe.transformer(
        [noise], time, [words.to(given)], return_dict=False
    )[0][0].float()  # fmt: skip


def latents(pipe: Any, bench: Bench) -> torch.Tensor:  # noqa: ANN401
    """Return the last latents of one picture of given words."""
    chance = torch.Generator().manual_seed(5)
    given = pipe.transformer.all_x_embedder["2-1"].weight
    words = torch.randn(64, pipe.transformer.config.cap_feat_dim, generator=chance)
    words[:, ::97] *= 40
    made: torch.Tensor = pipe(
        prompt_embeds=[words.to(given)], width=bench.side, height=bench.side, guidance_scale=0.0,
        num_inference_steps=bench.steps, generator=chance, output_type="latent",
    ).images  # fmt: skip
    return made.float()


def off(ours: torch.Tensor, right: torch.Tensor) -> float:
    """Error of all values together, in units of the right answer's."""
    return float((ours - right).norm() / right.norm())


def errors(bench: Bench) -> Iterator[Figure]:
    """Yield each speed-up's error of one forward and of last latents, against float32."""
    fits = {
        "plain": PLAIN,
        "cuDNN": Fit(attention="_native_cudnn"),
        "compiled": Fit(compile=True),
        "fp8": Fit(quantisation="fp8"),
        "all of it, bfloat16": FAST,
        "all of it, fp8": FP8,
    }
    found: dict[str, tuple[torch.Tensor, torch.Tensor]] = {}
    for name, fit in fits.items():
        found[name] = _answers(bench, fit)
    with torch.no_grad():
        wide = _wide(bench)
    for name, answers in found.items():
        for what, ours, plain, right in zip(
            ("one forward", "last latents"), answers, found["plain"], wide, strict=True
        ):
            note = f"against plain bfloat16 {off(ours, plain):.2e}"
            yield Figure(f"error of {what}, {name}", off(ours, right), "", note=note)


@torch.no_grad()
def _answers(bench: Bench, fit: Fit) -> tuple[torch.Tensor, torch.Tensor]:
    weights = bench.weights()
    with weights.lease(bench.spec(fit)) as pipe:
        answers = forward(pipe, bench.side)(), latents(pipe, bench)
    weights.release_all()
    return answers


def _wide(bench: Bench) -> tuple[torch.Tensor, torch.Tensor]:
    """The answers of the same weights, computing in float32."""
    weights = bench.weights()
    with weights.lease(bench.spec(PLAIN)) as pipe:
        pipe.transformer.float()
        answers = forward(pipe, bench.side)(), latents(pipe, bench)
    weights.release_all()
    return answers


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


def first(bench: Bench) -> Iterator[Figure]:
    """Yield how long a new process takes to its first picture."""
    weights = bench.weights()
    with TemporaryDirectory() as folder:
        with weights.lease(bench.spec(PLAIN)) as pipe:
            pipe.save_pretrained(folder)
        del pipe
        weights.release_all()
        yield from cold.figures(Path(folder), bench.side)


def measure(quick: bool) -> list[Figure]:
    """Return all figures of pictures.

    Args:
        quick: small networks and pictures, on any device.
    """
    place = bench(quick)
    ways = (("plain diffusers", PLAIN, None), ("bfloat16", FAST, 0.95), ("fp8", FP8, 0.72))
    made: list[Figure] = []
    for name, fit, bar in ways:
        made += stages(place, fit, name, bar)
    return [*made, *errors(place), *files(place.side, place.runs), *first(place)]
