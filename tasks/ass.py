"""Blocks of letters as a subtitle file (ASS), which libass draws in stills and clips alike.

The file says everything: sizes, places, colours, times, and the few glyphs it needs of its font.
Text in it is text: nothing that a user writes is read as a command.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from tasks.font import Font
from tasks.layout import Block
from tasks.spot import Area

Colour = tuple[int, int, int]
Motion = Literal["fade", "slide", "none"]

GOES = 0.3
"""Seconds in which a title comes or goes."""

RISE = 0.4
"""Ems that a sliding title rises."""

CORNER = 0.28
"""Ems of a plate's round corners."""

BORDER, BLUR = 0.06, 0.12
"""Ems of a shadow's border, and of the standard deviation of its blur."""

BEND = 0.5523
"""Of a circle's radius: where a Bezier curve's handles stand to look like a quarter of it."""

ALIGN = {"left": 7, "center": 8, "right": 9}

STYLES = (
    "Name, Fontname, Fontsize, PrimaryColour, SecondaryColour, OutlineColour, BackColour, Bold, "
    "Italic, Underline, StrikeOut, ScaleX, ScaleY, Spacing, Angle, BorderStyle, Outline, Shadow, "
    "Alignment, MarginL, MarginR, MarginV, Encoding"
)
EVENTS = "Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text"

FOREVER = 35999.0
"""Seconds: an hour's clip ends before."""


@dataclass(frozen=True, slots=True)
class Look:
    """How the letters of a block stand out."""

    colour: Colour
    plate: Colour | None = None
    plate_opacity: float = 0.0
    shadow: Colour | None = None
    shadow_opacity: float = 0.0


@dataclass(frozen=True, slots=True)
class Face:
    """A font as libass knows it."""

    family: str
    data: bytes
    """The font file, put inside."""
    font: Font
    bold: bool


def document(
    size: tuple[int, int],
    face: Face,
    blocks: Sequence[tuple[Block, Look, Motion]],
    still: bool = False,
) -> str:
    """Return the file's text.

    Args:
        size: width and height of the frame in pixels.
        face: the font.
        blocks: each with its look and motion.
        still: for a picture: nothing moves, and all stands at the second 0.
    """
    width, height = size
    head = [
        "[Script Info]",
        "ScriptType: v4.00+",
        f"PlayResX: {width}",
        f"PlayResY: {height}",
        f"LayoutResX: {width}",
        f"LayoutResY: {height}",
        "WrapStyle: 2",
        "ScaledBorderAndShadow: yes",
        "Kerning: yes",
        "YCbCr Matrix: None",
    ]
    styles: dict[str, None] = {}
    events: list[str] = []
    for number, (block, look, motion) in enumerate(blocks):
        styles |= dict.fromkeys(_styles(number, block, look, face))
        events += _events(number, block, look, "none" if still else motion, face)
    return "\n".join(
        [
            *head,
            *("", "[V4+ Styles]", f"Format: {STYLES}", *styles),
            *("", "[Events]", f"Format: {EVENTS}", *events),
            *("", "[Fonts]", f"fontname: {face.family}.otf", *_encoded(face.data)),
            "",
        ]
    )


def escape(text: str) -> str:
    r"""Return one line of text that libass draws as it is.

    A brace would open a command, and a backslash start one; the word joiner behind it (U+2060) has
    no width and makes it a plain sign.
    """
    return text.replace("\\", "\\\u2060").replace("{", "\\{").replace("}", "\\}")


def _styles(number: int, block: Block, look: Look, face: Face) -> Iterator[str]:
    """Yield a style for each role of the block."""
    for role, size in block.sizes.items():
        outline = look.shadow or look.colour
        bold = -1 if face.bold and role in ("title", "price") else 0
        border = BORDER * size if look.shadow else 0.0
        yield (
            f"Style: {role}-{number},{face.family},{size * face.font.height:.2f},"
            f"{_ink(look.colour)},{_ink(look.colour)},{_ink(outline, look.shadow_opacity)},"
            f"{_ink(outline, 0)},{bold},0,0,0,100,100,0,0,1,{border:.2f},0,"
            f"{ALIGN[block.align]},0,0,0,1"
        )


def _events(number: int, block: Block, look: Look, motion: Motion, face: Face) -> Iterator[str]:
    """Yield the plate and each line, in one event or, where they slide out, in two."""
    em = block.sizes[block.lines[0].role]
    parts: list[tuple[int, str, str, int, int, str]] = []
    if look.plate:
        left, top, *_ = block.plate
        ink = _ink(look.plate)[-6:]
        faint = _alpha(look.plate_opacity)
        shape = f"\\an7\\1c&H{ink}&\\1a&H{faint}&\\bord0\\p1"
        parts.append((0, block.lines[0].role, shape, left, top, _rounded(block.plate, CORNER * em)))
    for line in block.lines:
        size = block.sizes[line.role]
        y = round(line.baseline - face.font.ascent * size)
        blur = f"\\blur{BLUR * size:.1f}" if look.shadow else ""
        parts.append((1, line.role, blur, line.x, y, escape(line.text)))
    for layer, role, tags, x, y, text in parts:
        for start, end, moves in _times(block, motion, x, y, round(RISE * em)):
            yield (
                f"Dialogue: {layer},{_time(start)},{_time(end)},{role}-{number},,0,0,0,,"
                f"{{{moves}{tags}}}{text}"
            )


def _times(
    block: Block, motion: Motion, x: int, y: int, rise: int
) -> Iterator[tuple[float, float, str]]:
    """Yield start, end and the commands that move an event to and from x, y."""
    end = FOREVER if block.end is None else block.end
    goes = min(GOES, (end - block.start) / 2)
    milliseconds = round(goes * 1000)
    fade_out = 0 if block.end is None else milliseconds
    if motion == "none":
        yield block.start, end, f"\\pos({x},{y})"
    elif motion == "fade":
        yield block.start, end, f"\\pos({x},{y})\\fad({milliseconds},{fade_out})"
    else:
        come = f"\\move({x},{y + rise},{x},{y},0,{milliseconds})\\fad({milliseconds},0)"
        yield block.start, end - (goes if fade_out else 0), come
        if fade_out:
            away = f"\\move({x},{y},{x},{y - rise})\\fad(0,{milliseconds})"
            yield end - goes, end, away


def _rounded(box: Area, radius: float) -> str:
    """Return the drawing of a rectangle with round corners, its upper left corner at 0, 0."""
    width, height = box[2] - box[0], box[3] - box[1]
    r = round(min(radius, width / 2, height / 2))
    k = round(r * (1 - BEND))
    return (
        f"m {r} 0 l {width - r} 0 b {width - k} 0 {width} {k} {width} {r} "
        f"l {width} {height - r} b {width} {height - k} {width - k} {height} {width - r} {height} "
        f"l {r} {height} b {k} {height} 0 {height - k} 0 {height - r} "
        f"l 0 {r} b 0 {k} {k} 0 {r} 0"
    )


def _time(seconds: float) -> str:
    hundredths = round(seconds * 100)
    minutes, rest = divmod(hundredths, 6000)
    return f"{minutes // 60}:{minutes % 60:02}:{rest // 100:02}.{rest % 100:02}"


def _ink(colour: Colour, opacity: float = 1.0) -> str:
    """Return a colour as the format writes it: transparency, blue, green, red."""
    red, green, blue = colour
    return f"&H{_alpha(opacity)}{blue:02X}{green:02X}{red:02X}"


def _alpha(opacity: float) -> str:
    return f"{round(255 * (1 - opacity)):02X}"


def _encoded(data: bytes) -> Iterator[str]:
    """Yield a font's bytes as the format's lines: six bits a character, from ! on, 80 a line."""
    padded = data + bytes(-len(data) % 3)
    sixes = "".join(
        chr(33 + (int.from_bytes(padded[at : at + 3]) >> shift & 63))
        for at in range(0, len(padded), 3)
        for shift in (18, 12, 6, 0)
    )
    sixes = sixes[: len(sixes) - -len(data) % 3]
    for at in range(0, len(sixes), 80):
        yield sixes[at : at + 80]
