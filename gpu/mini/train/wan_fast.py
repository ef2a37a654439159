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


def _modulated(x: Tensor, shift: Tensor, scale: Tensor) -> Tensor:
    """Normed tokens [B, L, D] under modulations [B, T, D] of their latent frames."""
    h = torch.unflatten(_norm(x), 1, (shift.shape[1], -1))
    return (h * (1 + scale[:, :, None]) + shift[:, :, None]).flatten(1, 2)


def _gated(x: Tensor, change: Tensor, gate: Tensor) -> Tensor:
    """The residual sum, in the stream's own precision."""
    frames = torch.unflatten(change.float(), 1, (gate.shape[1], -1)) * gate[:, :, None]
    return (x.float() + frames.flatten(1, 2)).to(x.dtype)


def block(
    x: Tensor, text: Tensor, times: Tensor, cos: Tensor, sin: Tensor, heads: int,
    w: tuple[Tensor, ...],
) -> Tensor:  # fmt: skip
    """One WanTransformerBlock; ``w`` as `weights` lists it, ``times`` [B, T, 6, D].

    The stream ``x`` [B, L, D] keeps its precision (bf16 under autocast, as in the library's own
    bf16 inference); norms, rotations and gates are computed in fp32 whatever it is.
    """
    (table, qw, qb, kw, kb, vw, vb, ow, ob, nq, nk, n2w, n2b, cqw, cqb, ckw, ckb, cvw, cvb, cow,
     cob, cnq, cnk, f1w, f1b, f2w, f2b) = w  # fmt: skip
    shift1, scale1, gate1, shift2, scale2, gate2 = (table.unsqueeze(0) + times).unbind(2)
    h = _modulated(x, shift1, scale1)
    # One product instead of three: the tokens are read once.
    q, k, v = F.linear(h, torch.cat([qw, kw, vw]), torch.cat([qb, kb, vb])).chunk(3, 2)
    v = torch.unflatten(v, 2, (heads, -1))
    q, k = (
        _rotate(torch.unflatten(_rms(m, n), 2, (heads, -1)), cos, sin).to(v.dtype)
        for m, n in ((q, nq), (k, nk))
    )
    x = _gated(x, F.linear(_attend(q, k, v), ow, ob), gate1)
    h = _norm(x) * n2w + n2b
    q = torch.unflatten(_rms(F.linear(h, cqw, cqb), cnq), 2, (heads, -1))
    k, v = F.linear(text, torch.cat([ckw, cvw]), torch.cat([ckb, cvb])).chunk(2, 2)
    v = torch.unflatten(v, 2, (heads, -1))
    k = torch.unflatten(_rms(k, cnk), 2, (heads, -1)).to(v.dtype)
    x = (x + F.linear(_attend(q.to(v.dtype), k, v), cow, cob)).to(x.dtype)
    h = F.linear(_modulated(x, shift2, scale2), f1w, f1b)
    return _gated(x, F.linear(F.gelu(h, approximate="tanh"), f2w, f2b), gate2)


def ending(x: Tensor, shift: Tensor, scale: Tensor, w: Tensor, b: Tensor) -> Tensor:
    """The last norm and projection, modulated frame by frame [B, T, D]."""
    return F.linear(_modulated(x, shift, scale), w, b)


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


Run = tuple[Callable[..., Tensor], Callable[..., Tensor]]
"""`block` and `ending`, compiled or not."""


def forward(
    model: Untyped, x: Tensor, t: Tensor, text: Tensor, tables: tuple[Tensor, Tensor],
    run: Run = (block, ending),
) -> Tensor:  # fmt: skip
    """Velocity for latents [B, Z, T, H, W]; the first latent frame is clean (its time is 0)."""
    b, z, frames, height, width = x.shape
    gh, gw, heads = height // 2, width // 2, model.config.num_attention_heads
    times = torch.stack([torch.zeros_like(t), t], 1).flatten()
    temb, proj, said, _ = model.condition_embedder(times, text, None, timestep_seq_len=2)
    proj, temb = (
        torch.cat([m[:, :1], m[:, 1:].expand(-1, frames - 1, -1)], 1).float() for m in (proj, temb)
    )
    tokens = x.reshape(b, z, frames, gh, 2, gw, 2).permute(0, 2, 3, 5, 1, 4, 6)
    tokens = tokens.reshape(b, frames * gh * gw, -1)
    h = F.linear(tokens, model.patch_embedding.weight.flatten(1), model.patch_embedding.bias)
    proj = torch.unflatten(proj, 2, (6, -1))
    for layer in model.blocks:
        h = run[0](h, said, proj, *tables, heads, weights(layer))
    shift, scale = (model.scale_shift_table.unsqueeze(0) + temb.unsqueeze(2)).unbind(2)
    out = run[1](h, shift, scale, model.proj_out.weight, model.proj_out.bias)
    out = out.view(b, frames, gh, gw, 2, 2, z).permute(0, 6, 1, 2, 4, 3, 5)
    return out.reshape(b, z, frames, height, width)
