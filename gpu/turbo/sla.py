"""SLA: self-attention in which each block of queries attends to its best few blocks of keys only.

For queries, keys and values of one head, after normalisation and rotation:

    out = sparse + W·linear + b
    sparse = softmax(q·k / sqrt(D)) v       over the keys of the chosen blocks
    linear = f(q)·(f(k)'v) / (1e-5 + f(q)·sum f(k))    over all keys, f = softmax over D channels

A block of keys is chosen where its mean key agrees most with the mean query. W and b (`proj_l`) are
learnt, one pair for all heads of a layer. Source: SLA (arXiv 2509.24006) and thu-ml/TurboDiffusion
at aaecff5, turbodiffusion/SLA.

Tensors are (batch, tokens, heads, channels), as diffusers' processors have them. All is plain
PyTorch; `triton_sla` computes the same on a graphics card.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from configs.errors import BadInput

if TYPE_CHECKING:
    from diffusers import WanTransformer3DModel
    from diffusers.models.transformers.transformer_wan import WanAttention

TINY = 1e-5
"""Added to the linear branch's denominator, as in training."""


@dataclass(frozen=True, slots=True)
class Blocks:
    """How much is attended to; the sizes are those of the reference's inference kernel."""

    share: float = 0.1
    """Of all blocks of keys, rounded down but at least one; 0.15 is slower and better."""
    query: int = 128
    """Tokens in a block of queries."""
    key: int = 64

    def __post_init__(self) -> None:
        if not 0 < self.share <= 1:
            raise BadInput(f"share: {self.share!r} of the blocks is not above 0 and at most 1")


def choose_blocks(q: Tensor, k: Tensor, blocks: Blocks) -> Tensor:
    """Return the blocks of keys for each block of queries: int32, rising, (B, H, blocks, kept).

    A mean key is subtracted, as in the reference: the same for all blocks, it moves no choice, but
    keeps scores small. Means and scores are float32 where the reference rounds to its dtype, so
    blocks of nearly equal score may be chosen otherwise.
    """
    means = _block_means(k, blocks.key)
    scores = _block_means(q, blocks.query) @ (means - means.mean(2, keepdim=True)).mT
    kept = max(1, int(blocks.share * scores.shape[-1]))
    return scores.topk(kept, sorted=False).indices.sort().values.int()


def _block_means(x: Tensor, size: int) -> Tensor:
    """Means over blocks of tokens, the last over those it has: float32, (B, H, blocks, D)."""
    if _has_kernels(x):
        from gpu.turbo.triton_sla import block_means

        return block_means(x, size)
    whole = x.shape[1] // size * size
    means = torch.unflatten(x[:, :whole], 1, (-1, size)).mean(2, dtype=torch.float32)
    if whole < x.shape[1]:
        rest = x[:, whole:].mean(1, keepdim=True, dtype=torch.float32)
        means = torch.cat([means, rest], 1)
    return means.transpose(1, 2)


def sparse_attention(q: Tensor, k: Tensor, v: Tensor, chosen: Tensor, blocks: Blocks) -> Tensor:
    """Return softmax attention of each block of queries over its `chosen` blocks of keys."""
    out, length = torch.empty_like(q), k.shape[1]
    keys, values = (_in_blocks(x, blocks.key) for x in (k, v))
    for i, picked in enumerate(chosen.long().unbind(2)):
        rows = slice(i * blocks.query, (i + 1) * blocks.query)
        tokens = picked[..., None] * blocks.key + torch.arange(blocks.key, device=q.device)
        where = picked[..., None, None].expand(*picked.shape, blocks.key, q.shape[-1])
        some_keys, some_values = (x.gather(2, where).flatten(2, 3) for x in (keys, values))
        mask = (tokens < length).flatten(2)[:, :, None] if length % blocks.key else None
        attended = F.scaled_dot_product_attention(
            q[:, rows].transpose(1, 2), some_keys, some_values, attn_mask=mask
        )
        out[:, rows] = attended.transpose(1, 2)
    return out


def _in_blocks(x: Tensor, size: int) -> Tensor:
    """(B, L, H, D) as (B, H, blocks, size, D), zeros after the end."""
    padded = F.pad(x, (0, 0, 0, 0, 0, -x.shape[1] % size))
    return torch.unflatten(padded, 1, (-1, size)).permute(0, 3, 1, 2, 4)


def linear_state(k: Tensor, v: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    """Return what the linear branch keeps of all keys and values.

    W is multiplied in here, on D x D values a head, rather than on every token: it is linear too.

    Returns:
        W·f(k)'v as (B, H, D, D) in the dtype of `v`, and sum f(k) as (B, H, D) in float32
        (or float64, as `k` is).
    """
    wide = torch.promote_types(k.dtype, torch.float32)
    if _has_kernels(k):
        from gpu.turbo.triton_sla import key_state

        state, total = key_state(k, v)
    else:
        features = k.softmax(-1)
        state = (features.permute(0, 2, 3, 1) @ v.transpose(1, 2)).to(wide)
        total = features.sum(1, dtype=wide)
    return (state @ weight.to(wide).T).to(v.dtype), total


def linear_attention(q: Tensor, state: Tensor, total: Tensor, bias: Tensor) -> Tensor:
    """Return W·linear + b for `q`, from what `linear_state` gave."""
    features = q.softmax(-1, dtype=total.dtype)
    top = features.to(q.dtype).transpose(1, 2) @ state
    below = TINY + (features.transpose(1, 2) @ total[..., None])
    return (top / below + bias).transpose(1, 2).to(q.dtype)


def attend(
    q: Tensor, k: Tensor, v: Tensor, proj: nn.Linear, blocks: Blocks, chosen: Tensor | None = None
) -> Tensor:
    """Return SLA of `q`, `k`, `v` (B, L, H, D), through the Triton kernel on a graphics card.

    Args:
        q: normalised and rotated, like `k`.
        k: of the shape of `q`.
        v: of the shape of `q`.
        proj: W and b.
        blocks: how much to attend to.
        chosen: blocks as `choose_blocks` gives them; chosen by means where none.
    """
    if _has_kernels(q) and chosen is None:
        from gpu.turbo.triton_sla import attention

        sizes = blocks.share, blocks.query, blocks.key
        out: Tensor = attention(q, k, v, proj.weight, proj.bias, *sizes)
        return out
    if chosen is None:
        chosen = choose_blocks(q, k, blocks)
    state, total = linear_state(k, v, proj.weight)
    if _has_kernels(q):
        from gpu.turbo.triton_sla import fused_attention

        return fused_attention(q, k, v, chosen, state, total, proj.bias, blocks)
    sparse = sparse_attention(q, k, v, chosen, blocks)
    return sparse + linear_attention(q, state, total, proj.bias)


def _has_kernels(x: Tensor) -> bool:
    """Whether Triton's kernels compute `x`: of float32 they would round products to tf32."""
    return x.is_cuda and x.dtype in (torch.bfloat16, torch.float16)


class SLAProcessor:
    """Computes a Wan block's self-attention; `add_sla` puts one on every block."""

    def __init__(self, blocks: Blocks, chosen: Tensor | None = None) -> None:
        self.blocks = blocks
        self.chosen = chosen
        """A fixed map of blocks, for comparisons; none: chosen anew in each call."""

    def __call__(
        self,
        attn: WanAttention,
        hidden_states: Tensor,
        encoder_hidden_states: None = None,
        attention_mask: None = None,
        rotary_emb: tuple[Tensor, Tensor] | None = None,
    ) -> Tensor:
        """Return the block's self-attention of `hidden_states` (B, L, channels)."""
        q, k = attn.norm_q(attn.to_q(hidden_states)), attn.norm_k(attn.to_k(hidden_states))
        q, k, v = (
            torch.unflatten(x, 2, (attn.heads, -1)) for x in (q, k, attn.to_v(hidden_states))
        )
        if rotary_emb is not None:
            q, k = _rotate(q, *rotary_emb), _rotate(k, *rotary_emb)
        out: Tensor = attn.to_out[0](attn.proj_l(q, k, v, self.blocks, self.chosen).flatten(2))
        return out


class Learnt(nn.Linear):
    """W and b of a layer. Called with all that is attended, so that an offload brings them in."""

    def forward(  # type: ignore[override]
        self, q: Tensor, k: Tensor, v: Tensor, blocks: Blocks, chosen: Tensor | None = None
    ) -> Tensor:
        """Return what `attend` does."""
        return attend(q, k, v, self, blocks, chosen)


class Wide(nn.Linear):
    """The last layer, in float32 as the reference's: rounding its velocities costs 6 % of error."""

    def forward(self, x: Tensor) -> Tensor:
        """Return x·W' + b, not rounded to the format of `x`."""
        wide = torch.promote_types(x.dtype, torch.float32)
        return F.linear(x.to(wide), self.weight.to(wide), self.bias.to(wide))


def _rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotate channel pairs (2i, 2i + 1) of (B, L, H, D), by diffusers' doubled tables, in float32.

    diffusers' own is a closure inside its processor.
    """
    even, odd = torch.unflatten(x.float(), -1, (-1, 2)).unbind(-1)
    cos, sin = cos[..., 0::2], sin[..., 1::2]
    return torch.stack([even * cos - odd * sin, even * sin + odd * cos], -1).flatten(-2).type_as(x)


def add_sla(transformer: WanTransformer3DModel, blocks: Blocks) -> None:
    """Give every block of `transformer` SLA for its self-attention, and all a wide last layer.

    Blocks without `attn1.proj_l` (D x D and D) get one of zeros, so that loading a state dict
    fills it like any other weight.
    """
    for block in transformer.blocks:
        attn, like = block.attn1, block.attn1.norm_q.weight
        if not hasattr(attn, "proj_l"):
            width = attn.inner_dim // attn.heads
            attn.proj_l = Learnt(width, width, device=like.device, dtype=like.dtype)
            nn.init.zeros_(attn.proj_l.weight)
            nn.init.zeros_(attn.proj_l.bias)
        attn.set_processor(SLAProcessor(blocks))
    head = transformer.proj_out
    transformer.proj_out = Wide(head.in_features, head.out_features, device="meta")
    transformer.proj_out.weight, transformer.proj_out.bias = head.weight, head.bias
