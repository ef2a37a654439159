"""Where something stands in a delivery's frame: in the box that the platform leaves free.

Pure numbers, shared by all that lies over a picture.
"""

from __future__ import annotations

from configs.base import Declaration
from configs.delivery import Box

Area = tuple[int, int, int, int]
"""Left, top, right, bottom in pixels; the last two are just outside."""


class Spot(Declaration):
    """A named place in a frame."""

    width: int
    height: int
    safe: Box
    position: str
    """Such as `top-left`, `bottom` or `center`."""
    margin: float
    """Distance to the edge as a fraction of the frame's short side."""

    @property
    def zone(self) -> Area:
        """Return where anything may stand."""
        margin = round(self.margin * min(self.width, self.height))
        return (
            max(margin, self.safe.left),
            max(margin, self.safe.top),
            self.width - max(margin, self.safe.right),
            self.height - max(margin, self.safe.bottom),
        )

    def corner(self, size: tuple[int, int]) -> tuple[int, int]:
        """Return x and y of the upper left corner of a thing of `size`."""
        left, top, right, bottom = self.zone
        width, height = size
        x, y = (self.width - width) // 2, (self.height - height) // 2
        if "left" in self.position:
            x = left
        elif "right" in self.position:
            x = right - width
        if "top" in self.position:
            y = top
        elif "bottom" in self.position:
            y = bottom - height
        return max(left, min(x, right - width)), max(top, min(y, bottom - height))

    def area(self, size: tuple[int, int]) -> Area:
        """Return what a thing of `size` covers."""
        x, y = self.corner(size)
        return x, y, x + size[0], y + size[1]


def apart(one: Area, other: Area, gap: int) -> bool:
    """Say whether two areas have at least `gap` pixels between them."""
    return (
        one[2] + gap <= other[0]
        or other[2] + gap <= one[0]
        or one[3] + gap <= other[1]
        or other[3] + gap <= one[1]
    )
