"""Z-Image's networks written so that a compiler can fuse them, or a card run them without waiting.

The same formulas as in diffusers and transformers; only the order of rounding differs.

- Rotation as (x0 + i·x1)(cos + i·sin) over real pairs: complex numbers are not compiled, and cost
  two passes over (tokens, channels) in float32 and two more to come back.
- The text encoder up to the layer that is read, with a causal mask alone: behind a prompt there is
  only padding, which no earlier token sees. So the card is asked for no count of tokens.
- The decoder's weights with channels last, as tensor cores read them: faster where it is compiled,
  slower where it is not (142 ms in place of 91).

Floors on an H100 (989 TFLOP/s, 3.35 TB/s) for 1024x1024, 4,096 tokens and 128 of words: a
transformer's forward has 47.8 TFLOP in linears and 8.7 in attention, 57 ms, with fp8 linears 33;
its weights, 12.3 GB or 6.3, are read in 4 or 2 ms. The text encoder's 7.2 GB: 2 ms. The decoder has
10.5 TFLOP: 11 ms.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import torch
from diffusers.models.attention_dispatch import dispatch_attention_fn
from diffusers.models.transformers.transformer_z_image import ZSingleStreamAttnProcessor
from torch import Tensor
from transformers.modeling_outputs import BaseModelOutput

if TYPE_CHECKING:
    from diffusers import ZImagePipeline, ZImageTransformer2DModel
    from diffusers.models.attention_processor import Attention
    from transformers import Qwen3Model


def make_fusible(pipe: ZImagePipeline) -> None:
    """Put the forms of this file into `pipe`, in place of diffusers' own."""
    rotate_reals(pipe.transformer)
    pipe.vae.decoder.to(memory_format=torch.channels_last)
    if pipe.tokenizer.padding_side == "right":
        pipe.text_encoder.forward = partial(read_words, pipe.text_encoder)


def rotate(x: Tensor, table: Tensor) -> Tensor:
    """Rotate channel pairs (2i, 2i + 1) of (B, L, H, D) by `table` (B, L, D / 2, 2), in float32."""
    even, odd = torch.unflatten(x.float(), -1, (-1, 2)).unbind(-1)
    cos, sin = table[:, :, None].unbind(-1)
    return torch.stack([even * cos - odd * sin, even * sin + odd * cos], -1).flatten(-2).type_as(x)


class RealRotation(ZSingleStreamAttnProcessor):  # type: ignore[misc]
    """A block's self-attention, with rotation by real numbers."""

    def __init__(self, backend: str | None) -> None:
        super().__init__()
        self._attention_backend = backend

    def __call__(
        self,
        attn: Attention,
        hidden_states: Tensor,
        encoder_hidden_states: None = None,
        attention_mask: Tensor | None = None,
        freqs_cis: Tensor | None = None,
    ) -> Tensor:
        """Return the block's self-attention of `hidden_states` (B, L, channels)."""
        q, k, v = (
            torch.unflatten(layer(hidden_states), -1, (attn.heads, -1))
            for layer in (attn.to_q, attn.to_k, attn.to_v)
        )
        q, k = attn.norm_q(q), attn.norm_k(k)
        if freqs_cis is not None:
            q, k = rotate(q, freqs_cis), rotate(k, freqs_cis)
        if attention_mask is not None:
            attention_mask = attention_mask[:, None, None]
        seen = dispatch_attention_fn(
            q, k, v, attn_mask=attention_mask, backend=self._attention_backend
        )
        out: Tensor = attn.to_out[0](seen.flatten(2))
        return out


def rotate_reals(transformer: ZImageTransformer2DModel) -> None:
    """Let all blocks rotate by real numbers, and the table of angles give them."""
    for part in transformer.modules():
        if isinstance(getattr(part, "processor", None), ZSingleStreamAttnProcessor):
            part.set_processor(RealRotation(part.processor._attention_backend))
    angles = transformer.rope_embedder
    transformer.rope_embedder = lambda ids: torch.view_as_real(angles(ids))


@torch.no_grad()
def read_words(
    encoder: Qwen3Model, input_ids: Tensor, attention_mask: Tensor, **_: object
) -> BaseModelOutput:
    """Return the hidden states before the last layer, as second to last; of padding, anything.

    Args:
        encoder: Qwen3.
        input_ids: (B, L), padded behind.
        attention_mask: (B, L); not looked at.
    """
    words = encoder.embed_tokens(input_ids)
    angles = encoder.rotary_emb(words, torch.arange(words.shape[1], device=words.device)[None])
    for layer in encoder.layers[:-1]:
        words = layer(words, attention_mask=None, position_embeddings=angles)
    return BaseModelOutput(hidden_states=(words, None))
