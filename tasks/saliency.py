"""What stands out in a picture, and the window of it that holds the most of that.

The window, not the centre of mass: between two things that stand out lies nothing. Beside the eye's
own colours nothing is known here of faces or products, so a focal point set by hand goes before.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, TypeAlias

from PIL import Image

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Map: TypeAlias = NDArray[np.float64]
    """Height x width; each value is a cell's share of all that stands out."""

SIDE = 96
"""Cells along the longer side: enough to place a crop to 1 %, and half a millisecond to count."""

RIM = 6
"""Cells that a rim is wide."""

ALIKE = 0.99
"""Of windows that hold so much of the best one's share, the most central is taken."""


def salience(pictures: Iterable[Image.Image], *, rim: bool = False) -> Map:
    """Return the map of one picture, or of several frames of one size together.

    A cell stands out by its squared distance from the mean colour, in one light and two opponent
    channels (Achanta, Hemami, Estrada and Süsstrunk: Frequency-tuned Salient Region Detection,
    CVPR 2009).

    Args:
        pictures: of one size.
        rim: whether that mean is the rim's alone: a product that fills most of a frame would be
            taken for its ground (the boundary prior of Wei, Wen, Zhu and Sun: Geodesic Saliency
            Using Background Priors, ECCV 2012).
    """
    import numpy as np

    maps = [_map(picture, rim) for picture in pictures]
    return np.asarray(np.mean(maps, axis=0))


def _map(picture: Image.Image, rim: bool) -> Map:
    import numpy as np

    scale = SIDE / max(picture.size)
    size = max(1, round(picture.width * scale)), max(1, round(picture.height * scale))
    small = picture.convert("RGB").resize(size, Image.Resampling.BOX)
    red, green, blue = np.moveaxis(np.asarray(small, np.float64) / 255, -1, 0)
    channels = np.stack([(red + green + blue) / 3, red - green, (red + green) / 2 - blue])
    ground = np.ones(size[::-1], dtype=bool)
    if rim and min(size) > 2 * RIM:
        ground[RIM:-RIM, RIM:-RIM] = False
    mean = channels[:, ground].mean(1)[:, None, None]
    distance = ((channels - mean) ** 2).sum(0)
    return np.asarray(distance / distance.sum() if distance.any() else distance)


def best_window(cells: Map, width: float, height: float) -> tuple[float, float]:
    """Return the middle of the window that holds the most, as fractions of width and height.

    Args:
        cells: a picture's map.
        width: of the window, as a fraction of the picture's.
        height: of the window, likewise.
    """
    import numpy as np

    rows, columns = cells.shape
    across, down = max(1, round(width * columns)), max(1, round(height * rows))
    summed = np.pad(cells, ((1, 0), (1, 0))).cumsum(0).cumsum(1)
    held = summed[down:, across:] - summed[:-down, across:]
    held = held - summed[down:, :-across] + summed[:-down, :-across]
    tops, lefts = np.nonzero(held >= ALIKE * held.max())
    x, y = (lefts + across / 2) / columns, (tops + down / 2) / rows
    nearest = ((x - 0.5) ** 2 + (y - 0.5) ** 2).argmin()
    return float(x[nearest]), float(y[nearest])
