"""A font: which characters it has and how wide they are, and a small copy of it for a few of them.

A brand's font is hostile until opened here. What ffmpeg's libass gets is the small copy, written
anew under a name of ours, so that nothing is looked up on the machine.
"""

from __future__ import annotations

import io
import struct
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from hashlib import sha256
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from configs.errors import BadFile, BadPlan

if TYPE_CHECKING:
    from fontTools.ttLib import TTFont

MOST_BYTES = 32 << 20
"""Noto Serif SC, with 30,000 hanzi, has 12 MB."""

MOST_CODES = 1_200_000
"""All of Unicode; a table whose ranges name more, again and again, is there to eat memory."""

BUNDLED = {
    "Noto Sans SC": "NotoSansSC-Regular.otf",
    "Noto Serif SC": "NotoSerifSC-Regular.otf",
}
TABLES = ("GSUB", "vhea", "vmtx", "VORG", "BASE")
"""Not copied: letters stand upright, one glyph each."""


@dataclass(frozen=True, eq=False)
class Font:
    """What lines are measured with."""

    name: str
    """As people say it."""
    advances: Mapping[str, float]
    """Width of each character that it has, in ems."""
    ascent: float
    """Ems from the baseline to the top of libass's line."""
    height: float
    """Ems of libass's line: what it calls a font's size."""

    def width(self, text: str) -> float:
        """Return the width of one line in ems; kerning makes it a little less."""
        return sum(self.advances[character] for character in text)

    def check(self, text: str) -> None:
        """Raise BadPlan where it lacks a character of `text`, naming it."""
        for character in text:
            if character not in self.advances:
                called = f"U+{ord(character):04X} {unicodedata.name(character, 'unnamed')}"
                raise BadPlan(
                    f"{self.name} has no glyph for {character!r} ({called}); "
                    "write another character, or name a font that has it in title.font_file"
                )


def read_font(path: Path) -> Font:
    """Return what a font file holds.

    Raises:
        BadFile: where it is missing, too large, no TTF or OTF, or broken.
    """
    if not path.is_file():
        raise BadFile(f"{path.name}: no such file")
    if path.stat().st_size > MOST_BYTES:
        raise BadFile(f"{path.name}: is larger than {MOST_BYTES >> 20} MiB; take a smaller font")
    try:
        font = _opened(path.read_bytes())
        return _measured(font, (font["name"].getBestFamilyName() or path.stem)[:60])
    except BadFile as error:
        raise BadFile(f"{path.name}: {error}") from None
    except Exception as error:  # fontTools raises whatever its readers stumble over
        raise BadFile(
            f"{path.name}: is no TTF or OTF font that can be read ({type(error).__name__}: "
            f"{error}); export it again"
        ) from error


@cache
def bundled(name: str) -> Font:
    """Return one of the fonts that come with the program.

    Its glyphs go by number: to read their 30,000 names, which nothing here asks for, takes 0.1 s.
    """
    font = _opened(bundled_file(name).read_bytes())
    font.setGlyphOrder([f"glyph{number:05}" for number in range(font["maxp"].numGlyphs)])
    return _measured(font, name)


def bundled_file(name: str) -> Path:
    """Return the file of a font that comes with the program."""
    return Path(str(files("pylopdf_fonts_zh_cn"))) / BUNDLED[name]


def _opened(data: bytes) -> TTFont:
    from fontTools.ttLib import TTFont  # 0.2 s, for those who set titles

    if data[:4] not in (b"\x00\x01\x00\x00", b"OTTO", b"true"):
        raise BadFile("is no TTF or OTF font; collections and web fonts are not read")
    font = TTFont(io.BytesIO(data), lazy=True, recalcTimestamp=False)  # same bytes tomorrow
    if "cmap" not in font or _codes(font.reader["cmap"]) > MOST_CODES:
        raise BadFile("its table of characters is missing or names more than Unicode has")
    return font


def _codes(table: bytes) -> int:
    """Return how many characters the ranges of a `cmap` table name, counted before unpacking.

    OpenType: format 4 has arrays of 16-bit ends and starts, 12 and 13 groups of start, end, glyph.
    """
    total = 0
    for number in range(struct.unpack_from(">H", table, 2)[0]):
        (at,) = struct.unpack_from(">L", table, 4 + 8 * number + 4)
        (form,) = struct.unpack_from(">H", table, at)
        if form == 4:
            count = struct.unpack_from(">H", table, at + 6)[0] // 2
            ends = struct.unpack_from(f">{count}H", table, at + 14)
            starts = struct.unpack_from(f">{count}H", table, at + 16 + 2 * count)
            total += sum(max(0, end - start + 1) for end, start in zip(ends, starts, strict=True))
        elif form in (12, 13):
            (count,) = struct.unpack_from(">L", table, at + 12)
            groups = struct.unpack_from(f">{3 * count}L", table, at + 16)
            pairs = zip(groups[::3], groups[1::3], strict=True)
            total += sum(max(0, end - start + 1) for start, end in pairs)
    return total


def _measured(font: TTFont, name: str) -> Font:
    glyphs, widths, metrics = font.getBestCmap(), font["hmtx"].metrics, font["OS/2"]
    em = font["head"].unitsPerEm
    ascent, descent = _line(metrics.usWinAscent, metrics.usWinDescent, em)
    return Font(
        name=name,
        advances={chr(code): widths[glyph][0] / em for code, glyph in glyphs.items()},
        ascent=ascent,
        height=ascent + descent,
    )


def _line(ascent: int, descent: int, em: int) -> tuple[float, float]:
    """Return what is above and below the baseline in libass's line, in ems."""
    if not (16 <= em <= 16384 and 0.4 * em <= ascent <= 4 * em and 0 <= descent <= 3 * em):
        raise BadFile("its line heights are no font's; export it again")
    return ascent / em, descent / em


@lru_cache(maxsize=64)
def small_copy(path: Path, characters: str) -> tuple[str, bytes]:
    """Return a copy of a font with some characters only, and the family name it was given.

    The copies of one font for different characters have different names: libass keeps what it
    has loaded by name.

    Args:
        path: of a font that `read_font` took.
        characters: each that is wanted, sorted.
    """
    from fontTools.subset import Options, Subsetter

    data = path.read_bytes()
    family = f"title-{sha256(data + characters.encode()).hexdigest()[:12]}"
    font = _opened(data)
    options = Options(
        layout_features=["kern"],
        drop_tables=[*Options().drop_tables, *TABLES],
        name_IDs=[1, 2, 4, 6],
        notdef_outline=True,
    )
    subsetter = Subsetter(options)
    subsetter.populate(text=characters)
    subsetter.subset(font)
    for record in font["name"].names:
        record.string = "Regular" if record.nameID == 2 else family
    if "CFF " in font:
        font["CFF "].cff.fontNames = [family]
        _rename(font["CFF "].cff.topDictIndex[0], family)
    made = io.BytesIO()
    font.save(made, reorderTables=False)
    return family, made.getvalue()


def _rename(top: object, family: str) -> None:
    for field in ("FullName", "FamilyName"):
        if hasattr(top, field):
            setattr(top, field, family)


def characters_of(texts: Iterable[str]) -> str:
    """Return each character of `texts` once, sorted."""
    return "".join(sorted(set().union(*texts)))
