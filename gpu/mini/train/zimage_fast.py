"""ZImageTransformer2DModel's forward over its own weights, for training: one compiled block.

The library takes lists of pictures and pads them; here all pictures of a batch have one size and
one caption width. `tests/test_mini_fast.py` holds both forwards equal.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from gpu.mini.untyped import Untyped

Table = tuple[Tensor, Tensor]


def _rotary(model: Untyped, places: Tensor) -> Table:
    """Cos and sin [1, L, 1, D/2] of 3-d places [L, 3] (caption or picture, row, column)."""
    parts = []
    for i, d in enumerate(model.axes_dims):
        rate = 1.0 / model.rope_theta ** (torch.arange(0, d, 2, dtype=torch.float64) / d)
        parts.append(torch.outer(places[:, i].double(), rate))
    angle = torch.cat(parts, -1).float()
    return angle.cos()[None, :, None], angle.sin()[None, :, None]


def tables(model: Untyped, grid: tuple[int, int], width: int, device: Untyped) -> Table:
    """Rotary tables of picture tokens (rows, columns = ``grid``) then ``width`` caption tokens."""
    rows, columns = grid
    ones = torch.arange(1, width + 1)
    caption = torch.stack([ones, torch.zeros_like(ones), torch.zeros_like(ones)], -1)
    y, x = torch.meshgrid(torch.arange(rows), torch.arange(columns), indexing="ij")
    picture = torch.stack([torch.full((rows * columns,), width + 1), y.flatten(), x.flatten()], -1)
    cos, sin = _rotary(model, torch.cat([picture, caption]))
    return cos.to(device), sin.to(device)


def _rms(x: Tensor, w: Tensor) -> Tensor:
    x = x.float()
    return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-5) * w


def _rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    a, b = torch.unflatten(x.float(), -1, (-1, 2)).unbind(-1)
    return torch.stack([a * cos - b * sin, a * sin + b * cos], -1).flatten(3)


def block(
    x: Tensor, cos: Tensor, sin: Tensor, time: Tensor, heads: int, w: tuple[Tensor, ...]
) -> Tensor:
    """One ZImageTransformerBlock with modulation; ``w`` as `weights` lists it."""
    n1, n2, n3, n4, nq, nk, wq, wk, wv, wo, w1, w2, w3, mw, mb = w
    scale1, gate1, scale2, gate2 = F.linear(time, mw, mb).float().unsqueeze(1).chunk(4, 2)
    h = _rms(x, n1) * (1 + scale1)
    # One product instead of three (and below instead of two): the tokens are read once.
    qkv = F.linear(h, torch.cat([wq, wk, wv])).chunk(3, 2)
    q, k, v = (torch.unflatten(m, -1, (heads, -1)) for m in qkv)
    q, k = _rotate(_rms(q, nq), cos, sin).to(v.dtype), _rotate(_rms(k, nk), cos, sin).to(v.dtype)
    q, k, v = q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2)
    o = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
    x = (x + gate1.tanh() * _rms(F.linear(o, wo), n3)).to(x.dtype)
    h = _rms(x, n2) * (1 + scale2)
    # 320 wide makes 853 hidden: rows that start off 16 bytes take a GPU's slow path, so pad.
    more = -len(w1) % 32
    a, b = F.linear(h, torch.cat([F.pad(m, (0, 0, 0, more)) for m in (w1, w3)])).chunk(2, 2)
    o = F.linear(F.silu(a) * b, F.pad(w2, (0, more)))
    return (x + gate2.tanh() * _rms(o, n4)).to(x.dtype)


def weights(b: Untyped) -> tuple[Tensor, ...]:
    """A library block's tensors in the order that `block` takes them."""
    a, f, m = b.attention, b.feed_forward, b.adaLN_modulation[0]
    return (
        b.attention_norm1.weight, b.ffn_norm1.weight, b.attention_norm2.weight,
        b.ffn_norm2.weight, a.norm_q.weight, a.norm_k.weight, a.to_q.weight, a.to_k.weight,
        a.to_v.weight, a.to_out[0].weight, f.w1.weight, f.w2.weight, f.w3.weight, m.weight, m.bias,
    )  # fmt: skip


def text_states(text: Untyped, ids: Tensor) -> Tensor:
    """Qwen3's states before its last layer (what Z-Image reads), causal, padding to the right."""
    h = text.embed_tokens(ids)
    places = torch.arange(ids.shape[1], device=ids.device)[None]
    turns = text.rotary_emb(h, places)
    for layer in text.layers[:-1]:
        h = layer(h, attention_mask=None, position_ids=places, position_embeddings=turns)
        h = h[0] if isinstance(h, tuple) else h
    return h  # type: ignore[no-any-return]


def forward(
    model: Untyped, x: Tensor, t: Tensor, states: Tensor, lengths: Tensor, table: Table,
    run: Callable[..., Tensor] = block,
) -> Tensor:  # fmt: skip
    """Prediction for latents [B, C, H, W] at times [B] (1 is clean), captions [B, L, D]."""
    b, _, height, width = x.shape
    gh, gw, length = height // 2, width // 2, states.shape[1]
    heads = model.config.n_heads
    caption = model.cap_embedder(states)
    real = (torch.arange(length, device=x.device)[None] < lengths[:, None])[..., None]
    caption = torch.where(real, caption, model.cap_pad_token.to(caption.dtype))
    time = model.t_embedder(t * model.t_scale).float()
    tokens = x.reshape(b, -1, gh, 2, gw, 2).permute(0, 2, 4, 3, 5, 1)
    tokens = model.all_x_embedder["2-1"](tokens.reshape(b, gh * gw, -1))
    h = torch.cat([tokens, caption.to(tokens.dtype)], 1)
    for tensor in (h, *table):  # one graph for every picture shape and caption width
        torch._dynamo.mark_dynamic(tensor, 1)
    for layer in model.layers:
        h = run(h, *table, time, heads, weights(layer))
    out = model.all_final_layer["2-1"](h, c=time)[:, : gh * gw]
    out = out.view(b, gh, gw, 2, 2, -1).permute(0, 5, 1, 3, 2, 4)
    return out.reshape(b, -1, height, width)  # type: ignore[no-any-return]
