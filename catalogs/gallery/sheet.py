"""The contact sheet: all shots of a run as one picture, for a mail, a chat or a README."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pylopdf_fonts_zh_cn
from PIL import Image, ImageDraw, ImageFont, ImageOps

from configs.base import Words

WIDTH = 1600  # pixels: sharp in a README, which is shown about 900 wide
MARGIN, GAP, LABEL = 48, 24, 64
GROUND, INK, SOFT, BLANK = "#fbfaf8", "#1b1a18", "#7a766f", "#e9e5de"


@dataclass(frozen=True, slots=True)
class Cell:
    """One shot on the sheet."""

    poster: Path | None
    name: Words
    day: str


def write_sheet(cells: Sequence[Cell], target: Path) -> None:
    """Draw `cells` in rows, in their order, as a JPEG that is `WIDTH` pixels wide."""
    columns = min(len(cells), 4) if len(cells) <= 8 else math.ceil(math.sqrt(1.6 * len(cells)))
    rows = math.ceil(len(cells) / columns)
    wide = (WIDTH - 2 * MARGIN - GAP * (columns - 1)) // columns
    high = wide * 5 // 4
    label = LABEL if columns <= 8 else 0
    sheet = Image.new("RGB", (WIDTH, 2 * MARGIN + rows * (high + label + GAP) - GAP), GROUND)
    for number, cell in enumerate(cells):
        row, column = divmod(number, columns)
        corner = (MARGIN + column * (wide + GAP), MARGIN + row * (high + label + GAP))
        sheet.paste(_picture(cell.poster, (wide, high)), corner)
        if label:
            _write(sheet, cell, (corner[0], corner[1] + high + 10), wide)
    sheet.save(target, "JPEG", quality=88, optimize=True)


def _picture(poster: Path | None, size: tuple[int, int]) -> Image.Image:
    if poster is None:
        return Image.new("RGB", size, BLANK)
    with Image.open(poster) as opened:
        opened.draft("RGB", size)
        return ImageOps.fit(opened, size)


def _write(sheet: Image.Image, cell: Cell, corner: tuple[int, int], wide: int) -> None:
    """Write the name in both languages and the day, cut where the cell ends."""
    x, y = corner
    label = Image.new("RGB", (wide, LABEL - 10), GROUND)
    pen = ImageDraw.Draw(label)
    names = dict.fromkeys((cell.name.say("zh"), cell.name.say("en")))
    pen.text((0, 0), "  ".join(names), INK, font=_font(20))
    pen.text((0, 29), cell.day, SOFT, font=_font(16))
    sheet.paste(label, (x, y))


def _font(size: int) -> ImageFont.FreeTypeFont:
    folder = Path(pylopdf_fonts_zh_cn.__file__).parent
    return ImageFont.truetype(folder / "NotoSansSC-Regular.otf", size)
