"""The size of a clip made from a picture of any shape; needs no torch, so that plans can ask."""

from __future__ import annotations

import math

from configs.errors import BadInput

STRIDE = 16
"""Pixels: 8 to a latent, 2 x 2 latents to a token."""

LONGEST = 128 * STRIDE
"""Pixels on a side: the reference refuses more than 128 tokens."""


def adaptive_size(width: int, height: int, area: int) -> tuple[int, int]:
    """Return the width and height nearest the shape of a picture, at about `area` pixels.

    w = sqrt(area·width / height), h = sqrt(area·height / width), each to the nearest multiple of
    16, half to even. The picture is resized straight to it. Source: thu-ml/TurboDiffusion at
    aaecff5, inference/wan2.2_i2v_infer.py.

    Args:
        width: of the picture.
        height: of the picture.
        area: of the clip, e.g. 832 * 480 or 1280 * 720.

    Raises:
        BadInput: where the picture is so long that a side would pass `LONGEST`.
    """
    sides = math.sqrt(area * width / height), math.sqrt(area * height / width)
    wide, high = (round(side / STRIDE) * STRIDE for side in sides)
    if max(wide, high) > LONGEST:
        raise BadInput(
            f"image: {width} x {height} would become a clip of {wide} x {high}; "
            f"a side may have {LONGEST} pixels: crop the picture"
        )
    return wide, high
