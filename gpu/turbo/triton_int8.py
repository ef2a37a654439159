"""8-bit linears on a graphics card: two Triton kernels, and what they should cost.

Activations are cut into int8 tiles by one kernel, multiplied and scaled by the other, bias added
before the one rounding. `torch._int_mm` knows no scales inside the sum, so it would write and read
an int32 matrix for every 128 channels.

Floor, for M tokens and a layer of N x K: 2·M·N·K operations at the card's int8 peak, and
3·M·K + N·K + 2·M·N bytes (activations read as bfloat16, their levels written, the product). A layer
of TurboWan2.1-1.3B at 480x832x81 (M 32,760, N = K = 1,536): 0.155 TOP, 0.08 ms at an H100's 1,979
TOP/s; 0.25 GB, 0.08 ms at 3.35 TB/s.

What 8 bits save on an H100 is memory. M 32,760, milliseconds, torch 2.11 with Triton 3.6:

    layer K -> N       bfloat16    here, of it cutting    cuBLAS's int8 product, no scales
    1536 -> 1536         0.21          0.31   0.09                    0.23
    1536 -> 8960         1.21          1.46   0.10                    1.33
    8960 -> 1536         1.12          1.41   0.32                    1.05
    5120 -> 5120         2.18          2.28   0.19                    2.02
    5120 -> 13824        6.87          6.16   0.19                    5.21
    13824 -> 5120        6.26          6.07   0.49                    5.04

So the product alone is as fast as cuBLAS's, and cutting moves no more bytes than it must: the 1.3B
model's layers are slower than bfloat16, the 14B's even. Tiles of 256 x 128 took 7 % off the widest;
four stages 2 %, but no other card's shared memory; TMA, 4 warps and narrower tiles were slower.
"""

from __future__ import annotations

import torch
from torch import Tensor

from gpu.turbo.int8 import TILE

GROUP = 8
"""Tiles that programs go down before across."""

WARPS, STAGES = 8, 3
"""Of 32 threads for each tile of the product; pairs of tiles in flight, 32 KB each."""


@torch.library.custom_op("keyreel::quantise_tiles", mutates_args=())
def fused_quantise(x: Tensor) -> tuple[Tensor, Tensor]:
    """Return what `int8.quantise` gives of `x` (rows, columns).

    An operator of its own: a compiler leaves it whole, and runs it once for layers of one input.
    """
    from gpu.turbo import kernels

    rows, columns = x.shape
    levels, scales = _room(x)
    with torch.cuda.device_of(x):  # type: ignore[no-untyped-call]
        kernels.quantise_tiles[tuple(scales.shape)](
            x.contiguous(), levels, scales, rows, columns, TILE=TILE, num_warps=8
        )
    return levels, scales


@fused_quantise.register_fake
def _room(x: Tensor) -> tuple[Tensor, Tensor]:
    tiles = [(side + TILE - 1) // TILE for side in x.shape]
    levels = torch.empty(x.shape, dtype=torch.int8, device=x.device)
    return levels, torch.empty(tiles, dtype=torch.float32, device=x.device)


@torch.library.custom_op("keyreel::scaled_matmul", mutates_args=())
def _multiply(
    levels: Tensor,
    scales: Tensor,
    weight: Tensor,
    scale: Tensor,
    bias: Tensor | None,
    dtype: torch.dtype,
) -> Tensor:
    from gpu.turbo import kernels

    rows, columns = len(levels), len(weight)
    out = torch.empty((rows, columns), dtype=dtype, device=levels.device)
    grid = (-(-rows // TILE) * -(-columns // TILE),)
    with torch.cuda.device_of(levels):  # type: ignore[no-untyped-call]
        kernels.scaled_matmul[grid](
            levels, scales, weight, scale, weight if bias is None else bias, out,
            rows, columns, levels.shape[1],
            BIAS=bias is not None, TILE=TILE, GROUP=GROUP, num_warps=WARPS, num_stages=STAGES,
        )  # fmt: skip
    return out


@_multiply.register_fake
def _(
    levels: Tensor,
    scales: Tensor,
    weight: Tensor,
    scale: Tensor,
    bias: Tensor | None,
    dtype: torch.dtype,
) -> Tensor:
    return torch.empty((levels.shape[0], weight.shape[0]), dtype=dtype, device=levels.device)


def fused_multiply(x: Tensor, weight: Tensor, scale: Tensor, bias: Tensor | None) -> Tensor:
    """Return what `int8.multiply` gives, up to rounding.

    Args:
        x: (rows, in).
        weight: int8, (out, in).
        scale: float32, one for each tile of `weight`.
        bias: (out,), or none.
    """
    out: Tensor = _multiply(*fused_quantise(x), weight, scale, bias, x.dtype)
    return out
