"""Clips in the shape of their picture."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from configs.errors import BadInput
from gpu.turbo.size import LONGEST, adaptive_size


@pytest.mark.parametrize(
    ("picture", "area", "clip"),
    [
        ((1280, 720), 1280 * 720, (1280, 720)),
        ((3840, 2160), 832 * 480, (848, 480)),
        ((1200, 800), 1280 * 720, (1168, 784)),
        ((800, 1200), 1280 * 720, (784, 1168)),
        ((1, 1), 1280 * 720, (960, 960)),
    ],
)
def test_known_sizes(picture: tuple[int, int], area: int, clip: tuple[int, int]):
    """By hand: 1200 x 800 is sqrt(921600 * 1.5) = 1175.8 wide, 73.5 strides."""
    assert adaptive_size(*picture, area) == clip


@given(st.integers(100, 8000), st.floats(0.25, 4))
def test_shape_and_area_are_kept(width: int, ratio: float):
    """Sides divide by 16, and lie within half a stride of the exact ones."""
    height = max(1, round(width * ratio))
    wide, high = adaptive_size(width, height, 832 * 480)
    assert wide % 16 == high % 16 == 0
    assert abs(wide - (832 * 480 * width / height) ** 0.5) <= 8
    assert abs(high - (832 * 480 * height / width) ** 0.5) <= 8


def test_a_banner_is_refused():
    """A 10:1 picture: the error says its size, what it would become, and what to do."""
    with pytest.raises(BadInput, match=rf"3000 x 300 would become .* {LONGEST} pixels: crop"):
        adaptive_size(3000, 300, 1280 * 720)
