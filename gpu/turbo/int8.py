"""Linear layers of 8-bit weights and activations, as TurboDiffusion's `-quant` files hold them.

Matrices are cut into tiles of 128 x 128 with one float32 scale each:

    scale = max|x| / 128,  q = round(x / scale) held to -128..127,  x ~ q·scale

Weights come so from the file; activations (tokens x channels) are cut so in each call. Products are
summed exactly over 128 channels, then scaled and summed in float32. Source: thu-ml/TurboDiffusion
at aaecff5, turbodiffusion/ops (quant/quant.hpp, gemm/kernel.hpp, core.py).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

TILE = 128


def quantise(x: Tensor) -> tuple[Tensor, Tensor]:
    """Return int8 levels of `x` (rows, columns), and float32 scales (rows / 128, columns / 128).

    Both counts of tiles are rounded up. A value at +max would be level 128 and is held to 127.
    """
    rows, columns = x.shape
    padded = F.pad(x.float(), (0, -columns % TILE, 0, -rows % TILE))
    tiles = torch.unflatten(torch.unflatten(padded, 1, (-1, TILE)), 0, (-1, TILE))
    most = tiles.abs().amax((1, 3)).clamp(min=1e-8)
    levels = (tiles * (TILE / most)[:, None, :, None]).round().clamp(-128, 127)
    return levels.flatten(2).flatten(0, 1)[:rows, :columns].to(torch.int8), most / TILE


def scaled_matmul(a: Tensor, a_scale: Tensor, b: Tensor, b_scale: Tensor) -> Tensor:
    """Return a·b' in float32, (rows of a, rows of b), from what `quantise` gave of both.

    Sums of 128 products of int8 stay below 2^21, so float32 holds them exactly, as int32 would.
    """
    out = a.new_zeros(len(a), len(b), dtype=torch.float32)
    for i in range(a_scale.shape[1]):
        part = slice(i * TILE, (i + 1) * TILE)
        scale = torch.outer(_each_row(a_scale[:, i], len(a)), _each_row(b_scale[:, i], len(b)))
        out += (a[:, part].float() @ b[:, part].float().T) * scale
    return out


def _each_row(scale: Tensor, rows: int) -> Tensor:
    return scale.repeat_interleave(TILE)[:rows]


def multiply(x: Tensor, weight: Tensor, scale: Tensor, bias: Tensor | None) -> Tensor:
    """Return x·W' + b for `x` (rows, in) from 8-bit `weight` (out, in), in the dtype of `x`."""
    if x.is_cuda:
        from gpu.turbo.triton_int8 import fused_multiply

        return fused_multiply(x, weight, scale, bias)
    out = scaled_matmul(*quantise(x), weight, scale)
    return (out if bias is None else out + bias).to(x.dtype)


class Int8Linear(nn.Module):
    """A linear layer over 8-bit weights; its tensors have the names of the files.

    Args:
        int8_weight: levels, (out, in); `in` divides by 128.
        scale: float32, (out / 128 rounded up, in / 128).
        bias: (out,), or none.

    Raises:
        ValueError: where dtypes or shapes don't fit together.
    """

    int8_weight: Tensor
    scale: Tensor

    def __init__(self, int8_weight: Tensor, scale: Tensor, bias: Tensor | None) -> None:
        super().__init__()
        if int8_weight.dtype != torch.int8 or int8_weight.ndim != 2:
            raise ValueError(f"int8_weight is {_kind(int8_weight)}, not int8 (out, in)")
        rows, columns = int8_weight.shape
        if columns % TILE:
            raise ValueError(f"int8_weight has {columns} inputs, which don't divide by {TILE}")
        tiles = (-(-rows // TILE), columns // TILE)
        if scale.dtype != torch.float32 or scale.shape != tiles:
            raise ValueError(f"scale is {_kind(scale)}, not float32 {tiles}")
        if bias is not None and bias.shape != (rows,):
            raise ValueError(f"bias is {_kind(bias)}, not ({rows},)")
        self.register_buffer("int8_weight", int8_weight)
        self.register_buffer("scale", scale)
        self.bias = None if bias is None else nn.Parameter(bias, requires_grad=False)

    def forward(self, x: Tensor) -> Tensor:
        """Return x·W' + b over the last dimension of `x`.

        Tiles of activations span 128 tokens, those of a batch laid end to end: as the reference.
        """
        out = multiply(x.flatten(0, -2), self.int8_weight, self.scale, self.bias)
        return torch.unflatten(out, 0, x.shape[:-1])

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        """Move like any module, but keep the scales float32: `.to(bfloat16)` would round them."""
        scale = self.scale
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        self.scale = scale.to(self.int8_weight.device)
        return self


def _kind(tensor: Tensor) -> str:
    return f"{str(tensor.dtype).removeprefix('torch.')} {tuple(tensor.shape)}"
