"""One picture from one request, through `ZImagePipeline`. Knows nothing of files or campaigns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from configs.errors import BadInput, Rejected
from gpu.device import one_thread
from gpu.fit import fitted
from gpu.watch import SILENT, Watch
from gpu.weights import Weights, WeightsSpec

if TYPE_CHECKING:
    import numpy as np
    import torch
    from diffusers import DiffusionPipeline
    from numpy.typing import NDArray
    from PIL.Image import Image

    from gpu.embeddings import Embeddings
    from gpu.lora import LoraFile


@dataclass(frozen=True, slots=True)
class PictureRequest:
    """All that decides a picture's pixels."""

    spec: WeightsSpec
    prompt: str
    width: int
    height: int
    steps: int
    seed: int
    guidance: float = 0.0
    """0: off. diffusers' scale, in which ComfyUI's cfg 4 is 3."""
    negative: str = ""
    max_tokens: int = 512
    loras: tuple[LoraFile, ...] = ()
    """Adapters over the model's weights."""


def draw(request: PictureRequest, weights: Weights, watch: Watch = SILENT) -> Image:
    """Return the RGB picture of `request`, `width` x `height` pixels.

    Args:
        request: equal requests give equal bytes on one kind of device.
        weights: the cache to lease the model from.
        watch: told of steps, previews and fallbacks; may stop the work.

    Raises:
        BadInput: where a side, the prompt's length or an adapter does not suit the model.
        Interrupted: where `watch` said so.
        Rejected: where the model gave values that are no numbers.
        StageFailed: where the device has not the memory, however little was asked of it.
    """
    from PIL import Image

    def work(pipe: DiffusionPipeline) -> Image.Image:
        return Image.fromarray(_draw(request, pipe, weights.embeddings, watch))

    shape = request.width, request.height
    return fitted(request.spec, weights, shape, work, watch.on_fallback)


def _draw(
    request: PictureRequest, pipe: DiffusionPipeline, embeddings: Embeddings, watch: Watch
) -> NDArray[np.uint8]:
    import torch  # loading imported it first, so that its seconds count as loading

    from gpu.lora import wear

    check_sides(request.width, request.height, pipe.vae_scale_factor * 2)
    check_tokens(request.prompt, _count_tokens(pipe, request.prompt), request.max_tokens)
    wear(pipe, request.loras)
    with watch.over(pipe, request.steps) as watched:
        negative = request.negative if request.guidance > 0 else None
        with one_thread(pipe.text_encoder):
            words = embeddings.given(
                pipe, request.spec, request.prompt, negative, request.max_tokens
            )
        picture = pipe(
            width=request.width,
            height=request.height,
            guidance_scale=request.guidance,
            # A generator on the CPU gives the same noise on every kind of device.
            generator=torch.Generator("cpu").manual_seed(request.seed),
            output_type="pt",
            **words,
            **watched,
        ).images[0]
    return to_bytes(picture.permute(1, 2, 0), request.spec.dtype)


def _count_tokens(pipe: DiffusionPipeline, prompt: str) -> int:
    """Return the length of the prompt as the pipeline will wrap it: as a user's chat message."""
    messages = [{"role": "user", "content": prompt}]
    return len(
        pipe.tokenizer(
            pipe.tokenizer.apply_chat_template(
                messages, tokenize=False, add_generation_prompt=True, enable_thinking=True
            )
        ).input_ids
    )


def check_sides(width: int, height: int, multiple: int) -> None:
    """Raise BadInput where a side does not divide by `multiple` pixels."""
    if width % multiple or height % multiple:
        raise BadInput(f"{width}x{height}: both sides must be multiples of {multiple}")


def check_tokens(prompt: str, tokens: int, most: int) -> None:
    """Raise BadInput where a prompt is longer than the model reads; it would be cut silently."""
    if tokens > most:
        raise BadInput(f"the prompt has {tokens} tokens, the model reads {most}: {prompt[:60]!r}…")


def to_bytes(values: torch.Tensor, dtype: str) -> NDArray[np.uint8]:
    """Return a tensor of [0, 1] as a NumPy array of bytes, converted on its own device.

    Args:
        values: of any shape.
        dtype: the number format that they were computed in, for people.

    Raises:
        Rejected: where a value is not finite, as float16 overflow or broken weights give.
    """
    if not values.isfinite().all():
        raise Rejected(
            f"the model gave values that are not numbers (NaN), computing in {dtype}; run "
            "`keyreel models verify`, or set the profile's dtype to float32"
        )
    return values.float().mul(255).round().byte().contiguous().cpu().numpy()
