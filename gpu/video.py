"""One clip from one picture, through `WanImageToVideoPipeline`. Knows nothing of files."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from configs.errors import BadInput, Interrupted
from gpu.image import check_sides, check_tokens, to_bytes
from gpu.weights import Weights, WeightsSpec

if TYPE_CHECKING:
    import numpy as np
    from diffusers import DiffusionPipeline
    from numpy.typing import NDArray
    from PIL.Image import Image

    from gpu.lora import LoraFile


@dataclass(frozen=True, slots=True)
class ClipRequest:
    """All that decides a clip's pixels."""

    spec: WeightsSpec
    image: Image
    """Becomes the first frame; RGB, resized straight to the clip's size."""
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
    loras: tuple[LoraFile, ...] = ()
    """Adapters over the model's weights."""


def animate(
    request: ClipRequest,
    weights: Weights,
    *,
    on_step: Callable[[int, int], None] = lambda done, total: None,
    cancelled: Callable[[], bool] = lambda: False,
) -> NDArray[np.uint8]:
    """Return the RGB frames of `request` as (frames, height, width, 3).

    Args:
        request: equal requests give equal bytes on one kind of device.
        weights: the cache to lease the model from.
        on_step: told (done, total) after each denoising step.
        cancelled: asked after each step and before each group of frames is decoded.

    Raises:
        BadInput: where the size, the frames, the prompt or an adapter does not suit the model.
        Interrupted: where `cancelled` said so.
        Rejected: where the model gave values that are no numbers.
    """
    from PIL import Image

    def stop_if_asked(*_: object) -> None:
        if cancelled():
            raise Interrupted("the clip was stopped before it was finished")

    def after_step(_: object, step: int, __: object, state: dict[str, Any]) -> dict[str, Any]:
        on_step(step + 1, request.steps)
        stop_if_asked()
        return state

    size = (request.width, request.height)
    with weights.lease(request.spec) as pipe:
        import torch  # loading imported it first, so that its seconds count as loading

        from gpu.lora import wear

        _check(request, pipe)
        wear(pipe, request.loras)
        watch = pipe.vae.decoder.register_forward_pre_hook(stop_if_asked)
        try:
            frames = pipe(
                image=request.image.convert("RGB").resize(size, Image.Resampling.LANCZOS),
                prompt=request.prompt,
                negative_prompt=request.negative or None,
                width=request.width,
                height=request.height,
                num_frames=request.frames,
                num_inference_steps=request.steps,
                guidance_scale=request.guidance,
                # A generator on the CPU gives the same noise on every kind of device.
                generator=torch.Generator("cpu").manual_seed(request.seed),
                max_sequence_length=request.max_tokens,
                callback_on_step_end=after_step,
                output_type="pt",
            ).frames[0]
        finally:
            watch.remove()
            pipe.vae.clear_cache()
        return to_bytes(frames.permute(0, 2, 3, 1))


def _check(request: ClipRequest, pipe: DiffusionPipeline) -> None:
    """Raise BadInput for what the pipeline would round or cut with a warning only."""
    patch = pipe.transformer.config.patch_size[1]
    check_sides(request.width, request.height, pipe.vae_scale_factor_spatial * patch)
    packed = pipe.vae_scale_factor_temporal
    if request.frames % packed != 1:
        raise BadInput(f"{request.frames} frames: must be {packed}k + 1")
    tokens = len(pipe.tokenizer(request.prompt).input_ids)
    check_tokens(request.prompt, tokens, request.max_tokens)
