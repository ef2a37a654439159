"""A colour value becomes the colour word that people would use for it, in both languages.

Nearest in CIEDE2000, which follows the eye where distances in RGB do not.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import atan2, cos, degrees, exp, hypot, radians, sin, sqrt
from pathlib import Path
from typing import Annotated

from pydantic import StringConstraints

from configs.base import Declaration
from configs.errors import BadInput
from configs.fill import load
from configs.vocabulary import Term
from configs.wording import nearest

Hex = Annotated[str, StringConstraints(pattern=r"^#[0-9a-fA-F]{6}$")]
Lab = tuple[float, float, float]
"""CIELAB: lightness 0 to 100, then green to red, blue to yellow."""


class Palette(Declaration):
    """Colour words with their values: those of colours.yaml, or a model's own."""

    colours: tuple[Term, ...]


@dataclass(frozen=True, slots=True)
class ColourWords:
    """A colour as people say it."""

    en: str
    zh: str
    id: str
    distance: float
    """CIEDE2000 from the value asked for to the word's own; 0 where a word was asked for."""


@lru_cache(maxsize=4096)
def natural(value: str, palette: tuple[Term, ...] = ()) -> ColourWords:
    """Return the natural words for `value`.

    Args:
        value: `#RRGGBB`, or a colour's name in either language.
        palette: The words to choose from, as of a model's vocabulary; else colours.yaml.

    Raises:
        BadInput: for a name that nobody knows, with the nearest right one.
    """
    words = palette or shipped_colours()
    named = _by_name(value, words)
    if named is not None:
        return ColourWords(en=named.en[0], zh=named.zh[0], id=named.id, distance=0.0)
    return _nearest(_lab(_value(value)), words)


@lru_cache(maxsize=4096)
def difference(first: str, second: str) -> float:
    """Return how far two colours, as `natural` takes them, look apart: CIEDE2000, 0 to about 100.

    Raises:
        BadInput: as `natural`.
    """
    return ciede2000(_lab(_value(first)), _lab(_value(second)))


def _value(colour: str) -> str:
    if _HEX.fullmatch(colour):
        return colour
    named = _by_name(colour, shipped_colours())
    if named is None:
        known = [name for term in shipped_colours() for name in (*term.en, *term.zh)]
        hint = nearest(colour, known) or "; e.g. 'wine red', '酒红色'"
        raise BadInput(f"{colour!r} is no colour: write #RRGGBB or a colour's name{hint}")
    return named.hex


_HEX = re.compile(r"#[0-9a-fA-F]{6}")


@lru_cache(maxsize=1)
def shipped_colours() -> tuple[Term, ...]:
    """Return the colour words of colours.yaml."""
    return load(Path(__file__).with_name("colours.yaml"), Palette)[0].colours


def _by_name(value: str, words: Sequence[Term]) -> Term | None:
    """Find `value` among the names; 酒红 is as good as 酒红色."""
    name = _plain(value)
    return next(
        (word for word in words if name in map(_plain, (word.id, *word.en, *word.zh))), None
    )


def _plain(name: str) -> str:
    plain = name.strip().casefold().replace("-", " ").replace("grey", "gray")
    return plain.removesuffix("色") if len(plain) > 2 else plain


def _nearest(lab: Lab, words: Sequence[Term]) -> ColourWords:
    distance, word = min(
        ((ciede2000(lab, _lab(word.hex)), word) for word in words), key=lambda pair: pair[0]
    )
    return ColourWords(en=word.en[0], zh=word.zh[0], id=word.id, distance=round(distance, 2))


@lru_cache(maxsize=1024)
def _lab(value: str) -> Lab:
    """Return CIELAB (D65, 2 degrees) of an sRGB `#rrggbb`; IEC 61966-2-1 and CIE 15."""
    encoded = [int(value[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    r, g, b = (((c + 0.055) / 1.055) ** 2.4 if c > 0.04045 else c / 12.92 for c in encoded)
    x = (0.4124564 * r + 0.3575761 * g + 0.1804375 * b) / 0.95047
    y = 0.2126729 * r + 0.7151522 * g + 0.0721750 * b
    z = (0.0193339 * r + 0.1191920 * g + 0.9503041 * b) / 1.08883
    fx, fy, fz = (
        t ** (1 / 3) if t > 216 / 24389 else (24389 / 27 * t + 16) / 116 for t in (x, y, z)
    )
    return 116 * fy - 16, 500 * (fx - fy), 200 * (fy - fz)


def ciede2000(first: Lab, second: Lab) -> float:
    """Return the CIEDE2000 difference of two CIELAB colours, kL = kC = kH = 1.

    G. Sharma, W. Wu, E. N. Dalal, "The CIEDE2000 Color-Difference Formula: Implementation Notes,
    Supplementary Test Data, and Mathematical Observations", Color Research and Application 30(1),
    2005; equation numbers are theirs.
    """
    (l1, a1, b1), (l2, a2, b2) = first, second
    mean_ab = (hypot(a1, b1) + hypot(a2, b2)) / 2  # (2), (3)
    g = 0.5 * (1 - sqrt(mean_ab**7 / (mean_ab**7 + 25**7)))  # (4)
    a1, a2 = (1 + g) * a1, (1 + g) * a2  # (5)
    c1, c2 = hypot(a1, b1), hypot(a2, b2)  # (6)
    h1, h2 = degrees(atan2(b1, a1)) % 360, degrees(atan2(b2, a2)) % 360  # (7)
    grey = c1 * c2 == 0  # a grey has no hue
    turn = 0.0 if grey else (h2 - h1 + 180) % 360 - 180  # (10)
    hue = 2 * sqrt(c1 * c2) * sin(radians(turn) / 2)  # (11)
    mean_l, mean_c = (l1 + l2) / 2, (c1 + c2) / 2  # (12), (13)
    mean_h = h1 + h2 if grey else _mean_hue(h1, h2)  # (14)
    t = (
        1
        - 0.17 * cos(radians(mean_h - 30))
        + 0.24 * cos(radians(2 * mean_h))
        + 0.32 * cos(radians(3 * mean_h + 6))
        - 0.20 * cos(radians(4 * mean_h - 63))
    )  # (15)
    s_l = 1 + 0.015 * (mean_l - 50) ** 2 / sqrt(20 + (mean_l - 50) ** 2)  # (18)
    s_c, s_h = 1 + 0.045 * mean_c, 1 + 0.015 * mean_c * t  # (19), (20)
    blue = 30 * exp(-(((mean_h - 275) / 25) ** 2))  # (16)
    r_t = -2 * sqrt(mean_c**7 / (mean_c**7 + 25**7)) * sin(radians(2 * blue))  # (17), (21)
    dl, dc, dh = (l2 - l1) / s_l, (c2 - c1) / s_c, hue / s_h
    return sqrt(dl**2 + dc**2 + dh**2 + r_t * dc * dh)  # (22)


def _mean_hue(h1: float, h2: float) -> float:
    if abs(h1 - h2) <= 180:
        return (h1 + h2) / 2
    return (h1 + h2 + 360) / 2 if h1 + h2 < 360 else (h1 + h2 - 360) / 2
