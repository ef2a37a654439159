"""Where a title hides least of what a picture shows: chosen among all places that the plan allows.

What stands out (`saliency`) is what is shown; a calm ground carries letters best. Both are summed
up front, so that a place costs no more than a few additions and some 400 can be tried.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from PIL import Image

from configs.base import Declaration
from configs.title import LEAST
from tasks.font import Font
from tasks.layout import GAP, Block, Item, Zone, fit
from tasks.saliency import salience
from tasks.spot import Area, apart

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

SIZES = (1.0, 0.85, 0.7)
"""Of the size that was asked for; smaller words may stand beside what larger ones would cover."""

STEP = 0.02
"""Of the frame's height, between two heights that are tried."""

CELL = 8
"""Pixels of a cell whose colour is looked at: about a stroke of the letters."""

PEAK = 0.995
"""The share of a map that stands out less than what counts as fully shown: a glint counts for no
more than the product it lies on."""

SHOWN, SMALLER, BROKEN, ASTRAY = 80.0, 40.0, 15.0, 20.0
"""What covering the product, a title of no size, each line that another place would spare it and a
frame's height between a title and its own place count for, beside the spread of a ground's colours
from 0 to 255; a busy room has 50."""


class Loose(Declaration):
    """Words whose place the picture decides."""

    items: tuple[Item, ...]
    size: float
    """Ems of scale 1 as a fraction of the frame's short side."""
    places: tuple[str, ...]
    """Such as `top` or `left`; where it is only one, nothing is left to decide."""
    inner: Area
    """Where they may stand."""
    layers: tuple[Area, ...] = ()
    """What logo and label cover there."""
    start: float = 0.0
    end: float | None = None
    """In seconds; None: to the end."""

    def zone(self, size: tuple[int, int], taken: Sequence[Area] = ()) -> Zone:
        """Return where they may stand in a frame of that size, off logo, label and `taken`."""
        return Zone(size, self.inner, (*self.layers, *taken))

    def fits(self, font: Font, zone: Zone) -> bool:
        """Say whether there is a place where they can be read."""
        return any(fit(self.items, font, zone, self.size, place) for place in self.places)

    def settle(self, font: Font, zone: Zone, frames: Sequence[Image.Image]) -> Block:
        """Return them where they hide least.

        Args:
            font: which measures them.
            zone: in which they fit.
            frames: RGB, what lies beneath at several times, each of the frame's size.
        """
        sizes = SIZES if len(self.places) > 1 else (1.0,)
        blocks = [
            block
            for place in self.places
            for share in sizes
            if (block := fit(self.items, font, zone, max(LEAST, self.size * share), place))
        ]
        times = {"start": self.start, "end": self.end}
        if len(self.places) == 1:
            return blocks[0].model_copy(update=times)
        ground, worse = Ground(frames), [_worse(block, blocks) for block in blocks]
        high = zone.size[1]
        _, number, top = min(
            (
                ground.cost(plate) + worse[number] + ASTRAY * abs(plate[1] - block.plate[1]) / high,
                number,
                plate[1],
            )
            for number, block in enumerate(blocks)
            for plate in _heights(block, zone)
        )
        block = blocks[number]
        return block.lowered(top - block.plate[1]).model_copy(update=times)


def _worse(block: Block, blocks: Sequence[Block]) -> float:
    """Return what it counts for that words are smaller or in more lines than they could be."""
    largest = max(max(one.sizes.values()) for one in blocks)
    lines = len(block.lines) - min(len(one.lines) for one in blocks)
    return SMALLER * (1 - max(block.sizes.values()) / largest) + BROKEN * lines


def _heights(block: Block, zone: Zone) -> Iterator[Area]:
    """Yield the block's plate where it was set, and at each height of its column off all else."""
    yield block.plate
    left, top, right, bottom = block.plate
    gap = round(GAP * zone.side)
    first, last = zone.inner[1], zone.inner[3] - (bottom - top)
    for y in range(first, last + 1, max(1, round(STEP * zone.size[1]))):
        plate = (left, y, right, y + bottom - top)
        if all(apart(plate, box, gap) for box in zone.taken):
            yield plate


class Ground:
    """What lies beneath in several frames, ready to be asked of any area."""

    def __init__(self, frames: Sequence[Image.Image]) -> None:
        import numpy as np

        self.size = frames[0].size
        small = [frame.convert("RGB").reduce(CELL) for frame in frames]
        colours = np.stack([np.asarray(one, np.float64) for one in small])
        self.colours, self.squares = _summed(colours), _summed(colours**2)
        shown = np.max([salience([one], rim=True) for one in small], axis=0)
        peak = float(np.quantile(shown, PEAK)) or 1.0
        self.shown = _summed(np.minimum(shown / peak, 1.0)[None, :, :, None] ** 2)

    def cost(self, area: Area) -> float:
        """Return how much would be lost beneath letters in `area` (pixels).

        That is the spread of its colours in the worst frame, and the root mean square of how much
        stands out in it in any frame: a corner of the product counts, a shade of the ground hardly.
        """
        import numpy as np

        mean = self._mean(self.colours, area)
        spread = np.sqrt(np.maximum(self._mean(self.squares, area) - mean**2, 0))
        shown = np.sqrt(max(self._mean(self.shown, area)[0, 0], 0))
        return round(float(spread.mean(axis=1).max() + SHOWN * shown), 3)  # sums end in noise

    def _mean(self, sums: Array, area: Area) -> Array:
        """Return the mean in an area of each channel of each frame (frames x channels)."""
        import numpy as np

        _, rows, columns, _ = sums.shape
        wide, high = self.size
        left, right = area[0] * (columns - 1) // wide, -(-area[2] * (columns - 1) // wide)
        top, bottom = area[1] * (rows - 1) // high, -(-area[3] * (rows - 1) // high)
        held = sums[:, bottom, right] - sums[:, top, right]
        held = held - sums[:, bottom, left] + sums[:, top, left]
        return np.asarray(held / ((right - left) * (bottom - top)))


def _summed(values: Array) -> Array:
    """Return sums of all above and to the left: frames x rows + 1 x columns + 1 x channels."""
    import numpy as np

    return np.pad(values, ((0, 0), (1, 0), (1, 0), (0, 0))).cumsum(1).cumsum(2)
