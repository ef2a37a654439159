"""WanTransformer3DModel's forward over its own weights, for training: one compiled block.

The library's forward branches in Python and keeps norms in modules; this one is plain functions,
so that all blocks share one compiled graph. `tests/test_mini_fast.py` holds both equal.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from gpu.mini.untyped import Untyped


def _rms(x: Tensor, w: Tensor) -> Tensor:
    x = x.float()
    return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6) * w


def _norm(x: Tensor) -> Tensor:
    return F.layer_norm(x.float(), (x.shape[-1],), eps=1e-6)


def _rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    a, b = torch.unflatten(x, -1, (-1, 2)).unbind(-1)
    return torch.stack([a * cos - b * sin, a * sin + b * cos], -1).flatten(3)


def _attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    q, k, v = q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2)
    return F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)


def _spread(m: Tensor, first: int, total: int) -> Tensor:
    """Modulation [B, 2, D] (clean first frame, noisy rest) to tokens [B, total, D]."""
    return torch.cat([m[:, :1].expand(-1, first, -1), m[:, 1:].expand(-1, total - first, -1)], 1)


def block(
    x: Tensor, text: Tensor, times: Tensor, cos: Tensor, sin: Tensor, first: int, heads: int,
    w: tuple[Tensor, ...],
) -> Tensor:  # fmt: skip
    """One WanTransformerBlock; ``w`` as `weights` lists it, ``times`` [B, 2, 6, D]."""
    (table, qw, qb, kw, kb, vw, vb, ow, ob, nq, nk, n2w, n2b, cqw, cqb, ckw, ckb, cvw, cvb, cow,
     cob, cnq, cnk, f1w, f1b, f2w, f2b) = w  # fmt: skip
    total = x.shape[1]
    parts = (table.unsqueeze(0) + times.float()).unbind(2)
    shift1, scale1, gate1, shift2, scale2, gate2 = (_spread(p, first, total) for p in parts)
    h = _norm(x) * (1 + scale1) + shift1
    v = torch.unflatten(F.linear(h, vw, vb), 2, (heads, -1))
    q = _rotate(torch.unflatten(_rms(F.linear(h, qw, qb), nq), 2, (heads, -1)), cos, sin).to(
        v.dtype
    )
    k = _rotate(torch.unflatten(_rms(F.linear(h, kw, kb), nk), 2, (heads, -1)), cos, sin).to(
        v.dtype
    )
    x = x + F.linear(_attend(q, k, v), ow, ob) * gate1
    h = _norm(x) * n2w + n2b
    v = torch.unflatten(F.linear(text, cvw, cvb), 2, (heads, -1))
    q = torch.unflatten(_rms(F.linear(h, cqw, cqb), cnq), 2, (heads, -1)).to(v.dtype)
    k = torch.unflatten(_rms(F.linear(text, ckw, ckb), cnk), 2, (heads, -1)).to(v.dtype)
    x = x + F.linear(_attend(q, k, v), cow, cob)
    h = _norm(x) * (1 + scale2) + shift2
    h = F.linear(F.gelu(F.linear(h, f1w, f1b), approximate="tanh"), f2w, f2b)
    return x + h.float() * gate2


def weights(b: Untyped) -> tuple[Tensor, ...]:
    """A library block's tensors in the order that `block` takes them."""
    a, c, f = b.attn1, b.attn2, b.ffn.net

    def pair(m: Untyped) -> tuple[Tensor, Tensor]:
        return m.weight, m.bias

    return (
        b.scale_shift_table, *pair(a.to_q), *pair(a.to_k), *pair(a.to_v), *pair(a.to_out[0]),
        a.norm_q.weight, a.norm_k.weight, *pair(b.norm2), *pair(c.to_q), *pair(c.to_k),
        *pair(c.to_v), *pair(c.to_out[0]), c.norm_q.weight, c.norm_k.weight, *pair(f[0].proj),
        *pair(f[2]),
    )  # fmt: skip


def ropes(model: Untyped, latents: Tensor) -> tuple[Tensor, Tensor]:
    """The model's rotary tables for latents of this shape."""
    cos, sin = model.rope(latents)
    return cos[..., 0::2].float(), sin[..., 1::2].float()


def forward(
    model: Untyped, x: Tensor, t: Tensor, text: Tensor, tables: tuple[Tensor, Tensor],
    run: Callable[..., Tensor] = block,
) -> Tensor:  # fmt: skip
    """Velocity for latents [B, Z, T, H, W]; the first latent frame is clean (its time is 0)."""
    b, z, frames, height, width = x.shape
    gh, gw = height // 2, width // 2
    first, heads = gh * gw, model.config.num_attention_heads
    times = torch.stack([torch.zeros_like(t), t], 1).flatten()
    temb, proj, said, _ = model.condition_embedder(times, text, None, timestep_seq_len=2)
    proj, said = torch.unflatten(proj, 2, (6, -1)).float(), said.float()
    tokens = x.reshape(b, z, frames, gh, 2, gw, 2).permute(0, 2, 3, 5, 1, 4, 6)
    tokens = tokens.reshape(b, frames * first, -1)
    h = F.linear(
        tokens, model.patch_embedding.weight.flatten(1), model.patch_embedding.bias
    ).float()
    for layer in model.blocks:
        h = run(h, said, proj, *tables, first, heads, weights(layer))
    ends = (model.scale_shift_table.unsqueeze(0) + temb.float().unsqueeze(2)).unbind(2)
    shift, scale = (_spread(e, first, frames * first) for e in ends)
    out = model.proj_out(_norm(h) * (1 + scale) + shift)
    out = out.view(b, frames, gh, gw, 2, 2, z).permute(0, 6, 1, 2, 4, 3, 5)
    return out.reshape(b, z, frames, height, width)  # type: ignore[no-any-return]
