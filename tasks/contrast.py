"""Whether letters can be read on what lies beneath them, and what to do where they cannot.

WCAG 2.2, success criterion 1.4.3: 4.5 to 1 between letters and ground, held against the brightest
or darkest part of the ground and not its mean.
"""

from __future__ import annotations

from collections.abc import Sequence

from PIL import Image

from tasks.ass import Colour, Look
from tasks.spot import Area
from tasks.watermark import LINEAR, contrast

LEGIBLE = 4.5
"""The least contrast of text with its ground."""

EXTREME = 0.02
"""Of the ground's area that may be brighter, or darker, than what is held against the letters."""

WHITE: Colour = (255, 255, 255)
INK: Colour = (16, 16, 16)
BLACK: Colour = (0, 0, 0)

SOFT = 0.35
"""A shadow stands in for a plate of this opacity; where more is needed, it looks like dirt."""

SHADOW = 0.75
"""Opacity of a shadow before it is blurred, which leaves at least SOFT of it beside a stroke."""

CALM = 3.0
"""The contrast within a ground up to which a shadow is enough: patterns ask for a plate."""

DARKER = 0.1
"""Opacity by which a dark plate beneath light letters may exceed a light one beneath dark."""

ROOM = 0.06
"""Opacity of a plate above what is needed: video codecs and platforms move levels a little."""

LEAST_PLATE, LEAST_PATTERNED = 0.42, 0.66
"""A fainter plate looks like a mistake; on a pattern, what shows through disturbs the letters."""

Levels = tuple[float, float]
"""The darkest and the brightest of a ground: relative luminance, 0 to 1."""


def levels(frames: Sequence[Image.Image], area: Area, stroke: int) -> Levels:
    """Return how dark and how bright the ground of `area` is in any of `frames`.

    Args:
        frames: RGB, of one size.
        area: in pixels.
        stroke: pixels of a letter's stroke: what is smaller disturbs no letter.
    """
    import numpy as np

    linear = np.array(LINEAR, dtype=np.float32)
    weights = np.array([0.2126, 0.7152, 0.0722], dtype=np.float32)  # ITU-R BT.709
    lows, highs = [], []
    for frame in frames:
        part = frame.crop(area).convert("RGB").reduce(max(1, stroke))
        luminance = linear[np.asarray(part)] @ weights
        low, high = np.quantile(luminance, [EXTREME, 1 - EXTREME])
        lows.append(float(low))
        highs.append(float(high))
    return min(lows), max(highs)


def choose(ground: Levels, colour: str, help_: str) -> tuple[Look, float]:
    """Return how letters stand out on a ground, and the contrast that they have then.

    Args:
        ground: what lies beneath.
        colour: `auto`, or `#RRGGBB`.
        help_: `auto`, `none`, `shadow` or `plate`, as the setting `title.ground`.
    """
    letters = (WHITE, INK) if colour == "auto" else (_rgb(colour),)
    plain = max(letters, key=lambda one: _least(one, ground))
    if help_ == "none" or (help_ == "auto" and _least(plain, ground) >= LEGIBLE):
        return Look(plain), _least(plain, ground)
    helped = [(_needed(one, under, ground), one, under) for one in letters for under in _under(one)]
    needed, one, under = min(helped, key=lambda each: each[0] - DARKER * (each[2] == BLACK))
    calm = contrast(*ground) <= CALM
    if help_ == "shadow" or (help_ == "auto" and calm and needed <= SOFT):
        opacity = max(SHADOW, needed)
        look = Look(one, shadow=under, shadow_opacity=opacity)
        return look, _least(one, _covered(ground, under, min(needed, SOFT)))
    opacity = min(1.0, max(LEAST_PLATE if calm else LEAST_PATTERNED, needed + ROOM))
    look = Look(one, plate=under, plate_opacity=opacity)
    return look, _least(one, _covered(ground, under, opacity))


def _under(letters: Colour) -> tuple[Colour, ...]:
    """Return what may lie beneath letters: whichever of black and white they stand out on."""
    light = _luminance(letters)
    return (BLACK,) if contrast(light, 0.0) >= contrast(light, 1.0) else (WHITE,)


def _needed(letters: Colour, under: Colour, ground: Levels) -> float:
    """Return the least opacity of a plate that makes letters legible; 1 where none does."""
    return next(
        (
            step / 100
            for step in range(101)
            if _least(letters, _covered(ground, under, step / 100)) >= LEGIBLE
        ),
        1.0,
    )


def _least(letters: Colour, ground: Levels) -> float:
    """Return the least contrast of letters with a ground; 1 where it is brighter and darker."""
    light, (low, high) = _luminance(letters), ground
    if low <= light <= high:
        return 1.0
    return contrast(light, high if light > high else low)


def _covered(ground: Levels, under: Colour, opacity: float) -> Levels:
    """Return a ground beneath a plate: mixed as players mix, in sRGB's own levels."""
    low, high = (
        _to_light(_to_level(light) * (1 - opacity) + under[0] / 255 * opacity) for light in ground
    )
    return low, high


def _to_light(level: float) -> float:
    return level / 12.92 if level <= 0.04045 else ((level + 0.055) / 1.055) ** 2.4


def _to_level(light: float) -> float:
    return light * 12.92 if light <= 0.0031308 else 1.055 * light ** (1 / 2.4) - 0.055


def _luminance(colour: Colour) -> float:
    red, green, blue = (LINEAR[level] for level in colour)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _rgb(text: str) -> Colour:
    return int(text[1:3], 16), int(text[3:5], 16), int(text[5:7], 16)
