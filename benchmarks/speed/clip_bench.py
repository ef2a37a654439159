"""Where and how TurboDiffusion's clips are measured: the recipes, and models of random weights."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import count
from typing import TYPE_CHECKING, Any

from PIL import Image

from benchmarks.random_weights import make
from benchmarks.speed.realistic import moving, realistic, words_of
from gpu import fit as fits
from gpu.checkpoint.assemble import ARCHITECTURES
from gpu.fit import Fit
from gpu.turbo.rcm import RCMScheduler
from gpu.turbo.sla import Blocks, add_sla
from gpu.video import ClipRequest
from gpu.weights import Weights, WeightsSpec

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

STEPS, RUNS = 4, 5
SHARE = 0.1
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

    @property
    def plain_runs(self) -> int:
        """Of plain diffusers: a clip of the large model takes it a minute."""
        return self.runs if self.kind.name == "1.3B" else 1

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

    def shown(self) -> NDArray[np.uint8]:
        """Return rendered frames of a clip's size."""
        return moving(*self.size)

    def picture(self) -> dict[str, Image.Image]:
        """Return what a clip begins with, as a pipeline's argument; none for one from words."""
        return {"image": Image.fromarray(self.shown()[0])} if self.kind.name == "A14B" else {}

    def request(self, fit: Fit) -> ClipRequest:
        """Return a clip of words not asked for before."""
        width, height, frames = self.size
        picture = self.picture().get("image")
        words = words_of(next(NUMBERS))
        return ClipRequest(self.spec(fit), picture, words, width, height, frames, STEPS, 7)


def sparse(network: Any) -> None:  # noqa: ANN401
    """Give a transformer SLA, its projections in float32 as in the published files."""
    add_sla(network, Blocks(SHARE))
    for block in network.blocks:
        block.attn1.proj_l.float().requires_grad_(False)
