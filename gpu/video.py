"""One clip from one picture, or from words alone, through Wan's pipelines. Knows no files."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from configs.errors import BadInput
from gpu.euler import straight
from gpu.fit import fitted
from gpu.image import check_sides, check_tokens
from gpu.watch import SILENT, Watch
from gpu.weights import Weights, WeightsSpec

if TYPE_CHECKING:
    import numpy as np
    from diffusers import DiffusionPipeline
    from numpy.typing import NDArray
    from PIL.Image import Image
    from torch import Tensor

    from gpu.embeddings import Embeddings
    from gpu.lora import LoraFile


@dataclass(frozen=True, slots=True)
class ClipRequest:
    """All that decides a clip's pixels."""

    spec: WeightsSpec
    image: Image | None
    """Becomes the first frame; RGB, resized straight to the clip's size. None: words alone."""
    prompt: str
    width: int
    height: int
    frames: int
    """4k + 1: the video autoencoder packs four frames into one after the first."""
    steps: int
    seed: int
    guidance: float = 0.0
    """At most 1: off. Unlike Z-Image's scale, 1 is the plain prompt."""
    negative: str = ""
    max_tokens: int = 512
    euler_shift: float | None = None
    """Plain Euler steps on a grid of this shift, in place of the model's own sampler."""
    loras: tuple[LoraFile, ...] = ()
    """Adapters over the model's weights."""


Take = Callable[[int, "NDArray[np.uint8]"], None]
"""Is given the number of a first frame, and frames from it on; 0 begins the clip, or begins it anew
where memory had run out."""


def animate(
    request: ClipRequest,
    weights: Weights,
    watch: Watch = SILENT,
    take: Take = lambda first, frames: None,
) -> NDArray[np.uint8]:
    """Return the RGB frames of `request` as (frames, height, width, 3).

    Args:
        request: equal requests give equal bytes on one kind of device.
        weights: the cache to lease the model from.
        watch: told of steps, previews and fallbacks; may stop the work, also between groups of
            frames.
        take: is given each group of frames while the next is decoded.

    Raises:
        BadInput: where the size, the frames, the prompt or an adapter does not suit the model.
        Interrupted: where `watch` said so.
        Rejected: where the model gave values that are no numbers.
        StageFailed: where the device has not the memory, however little was asked of it.
    """

    def work(pipe: DiffusionPipeline) -> NDArray[np.uint8]:
        return _animate(request, pipe, weights.embeddings, watch, take)

    shape = request.width, request.height, request.frames
    return fitted(request.spec, weights, shape, work, watch.on_fallback)


def _animate(
    request: ClipRequest,
    pipe: DiffusionPipeline,
    embeddings: Embeddings,
    watch: Watch,
    take: Take,
) -> NDArray[np.uint8]:
    import torch  # loading imported it first, so that its seconds count as loading

    from gpu.lora import wear

    _check(request, pipe)
    wear(pipe, request.loras)
    try:
        with (
            straight(pipe, request.euler_shift, request.steps),
            watch.over(pipe, request.steps) as watched,
            ThreadPoolExecutor(1) as aside,
        ):
            beginning = aside.submit(_beginning, request, pipe)  # while a card reads the words
            negative = request.negative if request.guidance > 1 else None
            words = embeddings.given(
                pipe, request.spec, request.prompt, negative, request.max_tokens
            )
            latents = pipe(
                width=request.width,
                height=request.height,
                num_frames=request.frames,
                guidance_scale=request.guidance,
                # A generator on the CPU gives the same noise on every kind of device.
                generator=torch.Generator("cpu").manual_seed(request.seed),
                output_type="latent",
                **words,
                **beginning.result(),
                **watched,
            ).frames
            return _decode(request, pipe, latents, watch, take)
    finally:
        pipe.vae.clear_cache()


def _decode(
    request: ClipRequest, pipe: DiffusionPipeline, latents: Tensor, watch: Watch, take: Take
) -> NDArray[np.uint8]:
    import numpy as np

    from gpu import decode

    clip = np.empty((request.frames, request.height, request.width, 3), np.uint8)
    spec, first = request.spec, 0
    for frames in decode.frames(
        pipe,
        latents,
        spec.dtype,
        compiled=spec.fit.compile,
        before_group=watch.before_decoding,
    ):
        take(first, frames)
        clip[first : first + len(frames)] = frames
        first += len(frames)
    return clip


def _beginning(request: ClipRequest, pipe: DiffusionPipeline) -> dict[str, Any]:
    """Return what a clip starts from: its picture, and the noise where the sampler owns it."""
    from PIL import Image

    from gpu.turbo.rcm import RCMScheduler
    from gpu.turbo.wan_still import encode_stills

    given: dict[str, Any] = {}
    if request.image is not None:
        size = request.width, request.height
        given["image"] = request.image.convert("RGB").resize(size, Image.Resampling.LANCZOS)
        encode_stills(pipe.vae)
    if isinstance(pipe.scheduler, RCMScheduler):
        long = (request.frames - 1) // pipe.vae_scale_factor_temporal + 1
        sides = (side // pipe.vae_scale_factor_spatial for side in (request.height, request.width))
        shape = (1, pipe.vae.config.z_dim, long, *sides)
        given["latents"] = pipe.scheduler.start(shape, request.seed)
    return given


def _check(request: ClipRequest, pipe: DiffusionPipeline) -> None:
    """Raise BadInput for what the pipeline would round or cut with a warning only, or fail at."""
    if (request.spec.pipeline == "WanPipeline") != (request.image is None):
        needs = "a picture to start from" if request.image is None else "words alone, no picture"
        raise BadInput(f"image: the model makes clips from {needs}")
    patch = pipe.transformer.config.patch_size[1]
    check_sides(request.width, request.height, pipe.vae_scale_factor_spatial * patch)
    packed = pipe.vae_scale_factor_temporal
    if request.frames % packed != 1:
        raise BadInput(f"{request.frames} frames: must be {packed}k + 1")
    tokens = len(pipe.tokenizer(request.prompt).input_ids)
    check_tokens(request.prompt, tokens, request.max_tokens)
