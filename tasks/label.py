"""The label stage: the words that say a model made the picture, as an overlay of the frame's size.

White on a black plate, so that they can be read on any ground, and at least as large as
GB 45438-2025 asks: its 5 % of the short side are measured on the ink of the hanzi, the smallest way
to read "text height". Looks at no picture, so that all shots of a delivery share one.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from catalogs.node import Node
from configs.base import Declaration
from configs.delivery import Delivery
from configs.errors import BadPlan
from configs.labels import Label, Waiver, lines
from tasks import watermark
from tasks.font import bundled_file
from tasks.spot import Area, Spot, apart
from tasks.stage import Cell, Decision, Draft, Made, Photo, Stage, Studio

POSITIONS = ("top-left", "top-right", "bottom-left", "bottom-right", "top", "bottom")
"""In which `auto` tries them: the standard asks for a corner or an edge."""

INKED = 128
"""Of 255: a row of pixels counts as ink from half on."""

SMOOTH = 4
"""Times its size at which the plate is drawn."""

ROOM = 0.3
"""Of the letters' size: the plate's rim, and the gap to a logo."""


class LabelFile(Declaration):
    """What decides the pixels of one label; a label node's params."""

    width: int = 1
    height: int = 1
    lines: tuple[str, ...] = ()
    letters: int = 1
    """Font size in pixels."""
    area: Area = (0, 0, 1, 1)
    """Of the plate."""
    plate: float = 0
    """Its opacity."""
    off: Waiver | None = None
    """Who decided that there is none."""


def decide(cell: Cell) -> Decision:
    """Return what decides the label; where it is waived there is one transparent pixel.

    Raises:
        BadPlan: where its words say too little, or find no room in the safe box beside the logo.
    """
    delivery, settings = cell.delivery, cell.settings.label
    assert delivery is not None, "the wiring lets this stage run per delivery only"
    if settings.off:
        file = LabelFile(off=settings.off)
        return Decision(file.model_dump(mode="json"), gives={"label": Photo(1, 1)})
    try:
        said = lines({*delivery.markets, *cell.campaign.brand.markets}, settings.text)
    except ValueError as error:
        raise BadPlan(str(error)) from None
    letters = letters_for("".join(said), math.ceil(settings.height * min(_size(delivery))))
    area = _find_room(cell, delivery, settings, plate_size(said, letters))
    file = LabelFile(
        width=delivery.width,
        height=delivery.height,
        lines=said,
        letters=letters,
        area=area,
        plate=settings.plate,
    )
    given = Photo(delivery.width, delivery.height, until=settings.seconds, box=area)
    return Decision(file.model_dump(mode="json"), gives={"label": given})


def _size(delivery: Delivery) -> tuple[int, int]:
    return delivery.width, delivery.height


def _find_room(cell: Cell, delivery: Delivery, settings: Label, size: tuple[int, int]) -> Area:
    """Return the first of the positions that may be taken where no logo stands."""
    logo = watermark.area_of(cell)
    tried = POSITIONS if settings.position == "auto" else (settings.position,)
    for position in tried:
        spot = Spot(
            width=delivery.width,
            height=delivery.height,
            safe=delivery.safe,
            position=position,
            margin=settings.margin,
        )
        left, top, right, bottom = spot.zone
        if size[0] > right - left or size[1] > bottom - top:
            raise BadPlan(
                f"label.height: the label takes {size[0]}x{size[1]} pixels, and the safe box of "
                f"{cell.delivery_id} has {right - left}x{bottom - top}: give a shorter label.text"
            )
        area = spot.area(size)
        if logo is None or apart(area, logo, round(size[1] * ROOM / 2)):
            return area
    raise BadPlan(
        f"label.position: {' and '.join(tried)}: the logo of {cell.delivery_id} stands there; "
        "give another one, or lower watermark.width"
    )


def run(nodes: Sequence[Node], studio: Studio, workspace: Path) -> Iterator[Made]:
    """Draw each node's label.

    Raises:
        Interrupted: where the run was cancelled.
    """
    for node in nodes:
        studio.heed("label")
        started = time.perf_counter()
        label = draw(LabelFile.model_validate(node.params))
        path = workspace / f"{node.key}.png"
        label.save(path, compress_level=6)
        draft = Draft(path, "overlay", "image/png", *label.size)
        yield Made(node, {"label": draft}, time.perf_counter() - started)


def draw(file: LabelFile) -> Image.Image:
    """Return the overlay, RGBA."""
    overlay = Image.new("RGBA", (file.width, file.height))
    if file.off:
        return overlay
    pen, used = ImageDraw.Draw(overlay), font(file.letters)
    left, top, _, _ = file.area
    rim = _rim(file.letters)
    overlay.putalpha(_ground(file, rim))
    for line in file.lines:
        box = used.getbbox(line)
        top += rim
        pen.text((left + rim - box[0], top - box[1]), line, font=used, fill="white")
        top += math.ceil(box[3] - box[1])
    return overlay


def _ground(file: LabelFile, radius: int) -> Image.Image:
    """Return the plate as an alpha channel; drawn large, since Pillow's own corners are jagged."""
    left, top, right, bottom = file.area
    size = right - left, bottom - top
    large = Image.new("L", (SMOOTH * size[0], SMOOTH * size[1]))
    end = (large.width - 1, large.height - 1)
    level = round(255 * file.plate)
    ImageDraw.Draw(large).rounded_rectangle((0, 0, *end), SMOOTH * radius, fill=level)
    alpha = Image.new("L", (file.width, file.height))
    alpha.paste(large.resize(size, Image.Resampling.BOX), (left, top))
    return alpha


def plate_size(said: Sequence[str], letters: int) -> tuple[int, int]:
    """Return width and height of the plate beneath `said`, both even."""
    boxes = [font(letters).getbbox(line) for line in said]
    rim = _rim(letters)
    width = max(math.ceil(box[2] - box[0]) for box in boxes) + 2 * rim
    height = sum(math.ceil(box[3] - box[1]) + rim for box in boxes) + rim
    return width + width % 2, height + height % 2


def _rim(letters: int) -> int:
    return round(letters * ROOM)


@lru_cache(maxsize=64)
def letters_for(said: str, pixels: int) -> int:
    """Return the least font size at which the words have `pixels` rows of ink.

    Measured on each of 生, 成 and 合 that stands there, since 一 has no height of its own; in words
    without them on each capital, or on each letter.
    """
    counting = set(said) & set("生成合") or set(filter(str.isupper, said)) or set(said) - {" "}
    return next(
        size
        for size in range(pixels, 20 * pixels)
        if min(ink(letter, size) for letter in counting) >= pixels
    )


def ink(letter: str, size: int) -> int:
    """Return how many rows of pixels a letter inks, from its highest to its lowest."""
    drawn = Image.new("L", (2 * size, 2 * size))
    ImageDraw.Draw(drawn).text((0, 0), letter, font=font(size), fill=255)
    box = drawn.point(lambda level: 255 * (level >= INKED)).getbbox()
    return box[3] - box[1] if box else 0


@lru_cache(maxsize=64)
def font(size: int) -> ImageFont.FreeTypeFont:
    """Return the bundled Noto Sans SC."""
    return ImageFont.truetype(str(bundled_file("Noto Sans SC")), size)


STAGE = Stage(
    id="label",
    version=1,
    takes={},
    gives={"label": "overlay"},
    lane="cpu",
    decide=decide,
    run=run,
)
