"""Weights stored in 8 bits or fewer: widened once when loaded, or kept and widened at each use.

Both give the same numbers, so keeping them changes memory and time, never pixels. Formulas:
fp8, w = stored * scale (ComfyUI, comfy/ops.py); GGUF as diffusers unpacks it. TurboDiffusion's
int8 weights are always kept: `gpu.turbo.int8` multiplies them as they were published to be.
"""

from __future__ import annotations

import torch
from torch import nn


def widen_fp8(weight: torch.Tensor, scale: torch.Tensor | None, dtype: torch.dtype) -> torch.Tensor:
    """Return fp8 numbers times their one scale, rounded once, to `dtype`."""
    if scale is None:
        return weight.to(dtype)
    return (weight.to(torch.float32) * scale).to(dtype)


def widen_gguf(weight: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """Return a GGUFParameter's numbers, rounded once, to `dtype`."""
    from diffusers.quantizers.gguf.utils import dequantize_gguf_tensor

    plain: torch.Tensor = dequantize_gguf_tensor(weight)
    return plain.to(dtype)


class Fp8Linear(nn.Linear):
    """A linear layer whose weight stays fp8: one byte a number in place of two."""

    def __init__(self, like: nn.Linear, weight: torch.Tensor, scale: torch.Tensor | None) -> None:
        nn.Module.__init__(self)
        self.in_features, self.out_features = like.in_features, like.out_features
        self.weight = nn.Parameter(weight, requires_grad=False)
        self.register_buffer("weight_scale", scale)
        self.weight_scale: torch.Tensor | None
        self.bias = like.bias

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        """Multiply in the format of `input`."""
        weight = widen_fp8(self.weight, self.weight_scale, input.dtype)
        return nn.functional.linear(input, weight, self.bias)


def gguf_linear(like: nn.Linear, weight: torch.Tensor, dtype: torch.dtype) -> nn.Linear:
    """Return diffusers' linear layer over GGUF blocks, computing in `dtype`."""
    from diffusers.quantizers.gguf.utils import GGUFLinear

    linear: nn.Linear = GGUFLinear(
        like.in_features, like.out_features, like.bias is not None, dtype, device="meta"
    )
    linear.weight, linear.bias = weight, like.bias
    return linear
