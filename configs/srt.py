"""SubRip files: numbered captions with their times, as editing programs write them.

Read strictly, and told by line: a caption that is lost in silence is seen by the public first.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from configs.errors import BadFile

MOST_BYTES = 1 << 20
MOST_CUES = 400

_TIME = r"(\d{1,2}):([0-5]\d):([0-5]\d)[,.](\d{3})"
_TIMES = re.compile(rf"{_TIME}[ \t]+-->[ \t]+{_TIME}[ \t]*$")
_MARKUP = re.compile(r"</?(?:[biu]|font)\b[^>]*>|\{\\[^}]*\}", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Caption:
    """One caption as a file has it."""

    start: float
    end: float
    """In seconds."""
    text: str
    line: int
    """Of the file, where its text starts."""


def read_srt(path: Path) -> tuple[Caption, ...]:
    """Return the captions of one file, in order.

    Raises:
        BadFile: naming the first line that is wrong, and what to write there.
    """
    name = path.name
    if not path.is_file():
        raise BadFile(f"{name}: no such file")
    if path.stat().st_size > MOST_BYTES:
        raise BadFile(f"{name}: is larger than {MOST_BYTES >> 20} MiB; captions are text")
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadFile(f"{name}: is not UTF-8 at byte {error.start}; save it as UTF-8") from None
    found: list[Caption] = []
    for caption in _captions(text.replace("\r\n", "\n").replace("\r", "\n"), name):
        if found and caption.start < found[-1].end:
            raise BadFile(
                f"{name}:{caption.line - 1}: starts at {caption.start:g} s, before the caption "
                f"of line {found[-1].line} ends at {found[-1].end:g} s; let one follow the other"
            )
        found.append(caption)
        if len(found) > MOST_CUES:
            raise BadFile(f"{name}:{caption.line}: more than {MOST_CUES} captions")
    if not found:
        raise BadFile(f"{name}: holds no captions; write `1`, a line of times, and the text")
    return tuple(found)


def _captions(text: str, name: str) -> Iterator[Caption]:
    """Yield the captions: blocks of a number, a line of times and lines of text."""
    lines = text.split("\n")
    at = 0
    while at < len(lines):
        if not lines[at].strip():
            at += 1
            continue
        if not lines[at].strip().isdecimal():
            said = lines[at][:40]
            raise BadFile(f"{name}:{at + 1}: {said!r}; write the caption's number, such as 1")
        times = _TIMES.match(lines[at + 1]) if at + 1 < len(lines) else None
        if times is None:
            said = lines[at + 1][:40] if at + 1 < len(lines) else ""
            raise BadFile(f"{name}:{at + 2}: {said!r}; write 00:00:01,000 --> 00:00:02,500")
        end = at + 2
        while end < len(lines) and lines[end].strip():
            end += 1
        yield _caption(lines[at + 2 : end], times, name, at + 3)
        at = end


def _caption(text: list[str], times: re.Match[str], name: str, line: int) -> Caption:
    numbers = [int(part) for part in times.groups()]
    start, end = (
        hours * 3600 + minutes * 60 + seconds + thousandths / 1000
        for hours, minutes, seconds, thousandths in (numbers[:4], numbers[4:])
    )
    if end <= start:
        raise BadFile(f"{name}:{line - 1}: ends at {end:g} s, not after {start:g} s; swap them")
    if not text:
        raise BadFile(f"{name}:{line}: the caption has no text; delete it or write some")
    for number, words in enumerate(text, line):
        if markup := _MARKUP.search(words):
            raise BadFile(
                f"{name}:{number}: {markup[0][:40]!r} is mark-up; captions are plain text"
            )
    return Caption(start, end, "\n".join(words.strip() for words in text), line)
