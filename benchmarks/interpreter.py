"""Triton's interpreter with bfloat16, for checking kernels on a machine without a graphics card.

Triton 3.9's own multiplies the bits of bfloat16 as if they were integers, and cuts where hardware
rounds to the nearest. With `TRITON_INTERPRET=1` and inside `with bfloat16():` products are exact,
sums float32, and roundings those of torch.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING
from unittest import mock

import torch

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@contextlib.contextmanager
def bfloat16() -> Iterator[None]:
    """Let interpreted kernels compute with bfloat16 as a card does."""
    import triton.language as tl
    from triton.runtime.interpreter import InterpreterBuilder, TensorHandle

    cast, dot = InterpreterBuilder.cast_impl, InterpreterBuilder.create_dot

    def rounding_cast(self: InterpreterBuilder, source: TensorHandle, to: tl.dtype) -> TensorHandle:
        if (source.dtype.scalar, to.scalar) == (tl.float32, tl.bfloat16):
            return TensorHandle(_rounded(source.data), tl.bfloat16)
        return cast(self, source, to)

    def widening_dot(
        self: InterpreterBuilder, a: TensorHandle, b: TensorHandle, *rest: object
    ) -> TensorHandle:
        wide = (
            cast(self, one, tl.float32) if one.dtype.scalar == tl.bfloat16 else one
            for one in (a, b)
        )
        return dot(self, *wide, *rest)

    with (
        mock.patch.object(InterpreterBuilder, "cast_impl", rounding_cast),
        mock.patch.object(InterpreterBuilder, "create_dot", widening_dot),
    ):
        yield


def _rounded(data: NDArray[np.float32]) -> NDArray[np.uint16]:
    """The bits of `data` in bfloat16."""
    bits = torch.from_numpy(data.copy()).bfloat16().view(torch.int16)
    return bits.numpy().view("uint16")
