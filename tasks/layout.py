"""Where letters stand in a frame, and how large: pure numbers, worked out at plan time.

Text keeps inside the platform's safe box and off what lies over it (logo, label); it grows smaller
until it fits, and is refused below what can be read.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from configs.base import Declaration
from configs.title import LEAST
from tasks.font import Font
from tasks.lines import break_lines
from tasks.spot import Area

Role = Literal["title", "second", "price", "caption", "caption-second"]
Align = Literal["left", "center", "right"]

ABOVE, BELOW = 0.88, 0.20
"""Ems that ink reaches above and below the baseline: hanzi fill 0.88 and 0.12, a g hangs 0.2."""

PITCH = 1.28
"""Ems from one line to the next of the same text."""

PAD = (0.42, 0.30)
"""Ems of the first line's letters between a plate's edge and the text, aside and above."""

OPENING, CLOSING = "（《〈「『【〔［｛", "，。、：；！？）》〉」』】〕］｝"
"""Full-width signs whose ink is in one half of their square."""

ASIDE = 0.36
"""Of the frame's width, for letters beside what is shown, which stands in the middle."""

GAP = 0.018
"""Of the short side, between a plate and what lies there already."""

SHRINK = 0.95
"""Each try is that much smaller."""


@dataclass(frozen=True, slots=True)
class Item:
    """One text of a block."""

    role: Role
    text: str
    scale: float
    """Of the block's size."""
    most: int
    """Lines that it may have."""
    gap: float
    """Ems of its own between it and what is above it."""


class Line(Declaration):
    """One line of letters."""

    role: Role
    text: str
    x: int
    """Of its left end, middle or right end, as the block is aligned; a full-width sign that ends
    or begins it hangs out by its empty half."""
    baseline: int


class Block(Declaration):
    """Texts that belong together, on one ground."""

    lines: tuple[Line, ...]
    sizes: dict[Role, int]
    """Pixels of an em."""
    align: Align
    ink: Area
    """What the letters cover."""
    plate: Area
    """What a plate beneath them covers."""
    start: float = 0.0
    end: float | None = None
    """In seconds; None: to the end."""

    def lowered(self, by: int) -> Block:
        """Return it `by` pixels further down."""
        lines = (line.model_copy(update={"baseline": line.baseline + by}) for line in self.lines)
        moved = {
            name: (left, top + by, right, bottom + by)
            for name in ("ink", "plate")
            for left, top, right, bottom in [getattr(self, name)]
        }
        return self.model_copy(update={"lines": tuple(lines), **moved})


@dataclass(frozen=True, slots=True)
class Zone:
    """Where text may stand in a frame."""

    size: tuple[int, int]
    """Width and height of the frame."""
    inner: Area
    taken: tuple[Area, ...] = ()
    """What lies there already."""

    @property
    def side(self) -> int:
        """The frame's short side."""
        return min(self.size)

    def column(self, position: str) -> tuple[int, int]:
        """Return left and right of the lines: in the frame's own middle where they are centred."""
        left, _, right, _ = self.inner
        wide, high = self.size
        if align_of(position) == "center":
            aside = max(left, wide - right)
            roomy = wide - 2 * aside >= (right - left) // 2
            return (aside, wide - aside) if roomy else (left, right)
        narrow = position in ("left", "right") or wide > high
        width = min(right - left, round(ASIDE * wide)) if narrow else right - left
        return (left, left + width) if "left" in position else (right - width, right)

    def top(
        self, height: int, column: tuple[int, int], position: str, pad: tuple[int, int]
    ) -> int | None:
        """Return where a block of that height and column starts, or None where it has no room.

        It stands at the top, the bottom or between, and is moved inwards off what is there, as
        far as a plate beneath it may reach (`pad`, aside and above).
        """
        first, last = self.inner[1] + pad[1], self.inner[3] - pad[1]
        gap = round(GAP * self.side)
        left, right = column[0] - pad[0] - gap, column[1] + pad[0] + gap
        blocks = [box for box in self.taken if box[0] < right and box[2] > left]
        gap += pad[1]
        up = position.startswith("bottom")
        middle = (first + last - height) // 2
        y = last - height if up else first if position.startswith("top") else middle
        for box in sorted(blocks, key=lambda box: -box[3] if up else box[1]):
            if y < box[3] + gap and y + height > box[1] - gap:
                y = box[1] - gap - height if up else box[3] + gap
        return y if first <= y and y + height <= last else None


def align_of(position: str) -> Align:
    """Return how lines are aligned in a place."""
    return "left" if "left" in position else "right" if "right" in position else "center"


@lru_cache(maxsize=4096)  # many shots have the same words in frames of the same size
def fit(
    items: tuple[Item, ...], font: Font, zone: Zone, size: float, position: str
) -> Block | None:
    """Return `items` beneath each other as large as they fit, `size` at most.

    Args:
        items: from top to bottom.
        font: which measures them.
        zone: where they may stand.
        size: ems of scale 1 as a fraction of the frame's short side.
        position: such as `top-left`; `left`, `center` and `right` are between top and bottom.
    """
    while True:
        em = size * zone.side
        if block := _set(items, font, zone, em, position):
            return block
        if size <= LEAST:
            return None
        size = max(LEAST, size * SHRINK)


def _set(items: tuple[Item, ...], font: Font, zone: Zone, em: float, position: str) -> Block | None:
    """Return the block at one size, or None where it does not fit."""
    align = align_of(position)
    sizes: dict[Role, int] = {
        item.role: max(round(em * item.scale), round(LEAST * zone.side)) for item in items
    }
    pad = tuple(round(part * sizes[items[0].role]) for part in PAD)
    left, right = zone.column(position)
    left, right = left + pad[0], right - pad[0]  # a plate's edge stands where a logo's does
    rows, height = _rows(items, font, sizes, right - left)
    if not rows:
        return None
    wide = round(max(font.width(text) * sizes[role] for role, text, _ in rows))
    x = {"left": left, "center": (left + right) // 2, "right": right}[align]
    start = {"left": x, "center": x - wide // 2, "right": x - wide}[align]
    across = (left, right) if align == "center" else (start, start + wide)
    top = zone.top(height, across, position, (pad[0], pad[1]))
    if top is None:
        return None
    ink = (start, top, start + wide, top + height)
    return Block(
        lines=tuple(
            Line(role=r, text=text, x=x + round(_hang(text, align) * sizes[r]), baseline=top + down)
            for r, text, down in rows
        ),
        sizes=sizes,
        align=align,
        ink=ink,
        plate=_plate(ink, pad[0], pad[1], zone.size),
    )


def _rows(
    items: tuple[Item, ...], font: Font, sizes: dict[Role, int], width: int
) -> tuple[list[tuple[Role, str, int]], int]:
    """Return role, text and baseline of each line, and the height of all; no lines: too wide."""
    rows: list[tuple[Role, str, int]] = []
    y = 0.0
    for item in items:
        own = sizes[item.role]
        lines = break_lines(item.text, font.width, width / own, item.most)
        if lines is None:
            return [], 0
        y += item.gap * own if rows else 0.0
        for number, text in enumerate(lines):
            y += (PITCH if number else ABOVE) * own
            rows.append((item.role, text, round(y)))
        y += BELOW * own
    return rows, round(y)


def _hang(text: str, align: Align) -> float:
    """Return the ems by which a line moves so that its ink, not its blanks, is aligned."""
    begins, ends = 0.5 * (text[0] in OPENING), 0.5 * (text[-1] in CLOSING)
    return {"left": -begins, "center": (ends - begins) / 2, "right": ends}[align]


def _plate(ink: Area, aside: int, above: int, frame: tuple[int, int]) -> Area:
    left, top, right, bottom = ink
    return (
        max(0, left - aside),
        max(0, top - above),
        min(frame[0], right + aside),
        min(frame[1], bottom + above),
    )
