"""Where and how Z-Image's pictures are measured: the recipes, and models of random weights."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import torch

from benchmarks.random_weights import make
from benchmarks.speed.realistic import realistic
from gpu import fit as fits
from gpu.checkpoint.assemble import ARCHITECTURES
from gpu.fit import Fit
from gpu.weights import Weights, WeightsSpec

PLAIN = Fit()
FAST = Fit(attention="_native_cudnn", compile=True)
"""As the profile of 80 GB has it."""
FP8 = Fit(attention="_native_cudnn", compile=True, quantisation="fp8")
STEPS, RUNS = 8, 5


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
            pipe = make(replace(spec, fit=PLAIN), tiny=self.tiny)
            realistic(pipe.transformer)
            fits.apply(pipe, spec.fit, spec.device)
            return pipe

        return Weights(1e9, load=load, weigh=lambda _: 1)


def bench(quick: bool) -> Bench:
    """Return the place of measurement: the card, or whatever is here at a small size."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    return Bench(True, device, 64, 2, 1) if quick else Bench(False, device, 1024, STEPS, RUNS)
