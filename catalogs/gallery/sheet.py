"""The contact sheet: all shots of a run as one picture, for a mail, a chat or a README."""

from __future__ import annotations

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
    day: Words


def write_sheet(cells: Sequence[Cell], target: Path, *, columns: int = 0) -> None:
    """Draw `cells` in rows, in their order, as a JPEG that is `WIDTH` pixels wide.

    Args:
        cells: at least one.
        target: the file.
        columns: cells in a row; 0 finds a number that fills the last row best.
    """
    columns = columns or _columns(len(cells))
    rows = -(-len(cells) // columns)
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


def _columns(count: int) -> int:
    """Return the number of columns, near a sheet of 3:2, that leaves the fewest cells empty."""
    if count <= 4:
        return count
    widest = round((2.4 * count) ** 0.5)
    return min(range(widest, widest * 2 // 3 - 1, -1), key=lambda columns: -count % columns)


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
    pen.text((0, 0), _both(cell.name), INK, font=_font(20))
    pen.text((0, 29), _both(cell.day), SOFT, font=_font(16))
    sheet.paste(label, (x, y))


def _both(text: Words) -> str:
    return "  ".join(dict.fromkeys((text.say("zh"), text.say("en"))))


def _font(size: int) -> ImageFont.FreeTypeFont:
    folder = Path(pylopdf_fonts_zh_cn.__file__).parent
    return ImageFont.truetype(folder / "NotoSansSC-Regular.otf", size)
