"""Colour differences that an eye sees, and a palette of names that lie well apart.

`configs.colour` has the same formula, but imports pydantic; what runs here needs torch, diffusers
and numpy alone, so that a bare GPU machine can measure.
"""

import functools
import math

import numpy as np
from numpy.typing import NDArray

from gpu.mini.vocabulary import vocabulary

Floats = NDArray[np.float64]
APART = 12.0
"""CIEDE2000 between any two names of the palette: shades of one colour are no two answers."""


def lab(rgb: Floats) -> Floats:
    """Colours from sRGB in 0..1 to CIE L*a*b* (D65)."""
    light = np.where(rgb > 0.04045, ((rgb + 0.055) / 1.055) ** 2.4, rgb / 12.92)
    to_xyz = np.array(
        [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
    )
    x = light @ to_xyz.T / np.array([0.95047, 1.0, 1.08883])
    f = np.where(x > 216 / 24389, np.cbrt(x), (24389 / 27 * x + 16) / 116)
    return np.stack(
        [116 * f[..., 1] - 16, 500 * (f[..., 0] - f[..., 1]), 200 * (f[..., 1] - f[..., 2])], -1
    )


def delta_e(a: Floats, b: Floats) -> float:
    """CIEDE2000 of two L*a*b* colours (Sharma, Wu, Dalal 2005)."""
    c = (math.hypot(a[1], a[2]) + math.hypot(b[1], b[2])) / 2
    g = 0.5 * (1 - math.sqrt(c**7 / (c**7 + 25**7)))
    a1, a2 = a[1] * (1 + g), b[1] * (1 + g)
    c1, c2 = math.hypot(a1, a[2]), math.hypot(a2, b[2])
    h1, h2 = math.degrees(math.atan2(a[2], a1)) % 360, math.degrees(math.atan2(b[2], a2)) % 360
    dh = (h2 - h1 + 180) % 360 - 180 if c1 * c2 else 0.0
    mean_h = (h1 + dh / 2) % 360
    big_h = 2 * math.sqrt(c1 * c2) * math.sin(math.radians(dh / 2))
    mean_l, mean_c = (a[0] + b[0]) / 2, (c1 + c2) / 2
    cos = [
        math.cos(math.radians(d))
        for d in (mean_h - 30, 2 * mean_h, 3 * mean_h + 6, 4 * mean_h - 63)
    ]
    t = 1 - 0.17 * cos[0] + 0.24 * cos[1] + 0.32 * cos[2] - 0.20 * cos[3]
    sl = 1 + 0.015 * (mean_l - 50) ** 2 / math.sqrt(20 + (mean_l - 50) ** 2)
    sc, sh = 1 + 0.045 * mean_c, 1 + 0.015 * mean_c * t
    turn = 60 * math.exp(-(((mean_h - 275) / 25) ** 2))
    rt = -2 * math.sqrt(mean_c**7 / (mean_c**7 + 25**7)) * math.sin(math.radians(turn))
    dl, dc, dh = (b[0] - a[0]) / sl, (c2 - c1) / sc, big_h / sh
    return math.sqrt(dl * dl + dc * dc + dh * dh + rt * dc * dh)


def named(id: str) -> Floats:
    """A named product colour in L*a*b*."""
    code = vocabulary().word("colour", id).hex or "#888888"
    return lab(np.array([int(code[i : i + 2], 16) / 255 for i in (1, 3, 5)]))


@functools.cache
def palette(apart: float = APART) -> tuple[str, ...]:
    """Names pairwise at least ``apart``: each of the vocabulary, in order, that fits those before.

    It is maximal: every name left out is nearer than ``apart`` to one that is in.
    """
    kept: list[str] = []
    for id in vocabulary().ids("colour"):
        if all(delta_e(named(id), named(other)) >= apart for other in kept):
            kept.append(id)
    return tuple(kept)
