"""What to write instead where a file is not YAML: the mistakes people make, and their cures."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

LONGEST = 400
"""Characters of a line that are looked at: a hostile one has a million."""
WIDE = ("\u3000", "\u00a0")
"""Full-width and no-break space look like indentation, and are none in YAML."""

COLOUR = re.compile(r":\s+#[0-9a-fA-F]{6}\b")
QUOTE_COLOUR = 'put a colour in quotes, "#B3122B": after a space, # starts a comment'
PLAIN_COLON = "write `: `, not the full-width `：`"
PLAIN_SPACES = "indent with plain spaces: this line begins with full-width or no-break ones"

_LATE = (
    (COLOUR, QUOTE_COLOUR),
    (re.compile(f"^ *[{''.join(WIDE)}]"), PLAIN_SPACES),
    (re.compile(r"^\s*\t"), "indent with spaces, not tabs"),
    (re.compile(r"(?:^[^:：#]*|[{,][^:：{},\[\]\"']*)："), PLAIN_COLON),
    (re.compile(r"^ *(?:- +)?[\w.-]+:[^\s:/]"), "write a space after `:`"),
)
"""The parser may stop one line after them."""
_TRAPS = (
    *_LATE,
    (re.compile(r"(?:^|[:,\[{-])\s*[“”]"), 'write plain quotes, `"`, not `“` and `”`'),
    (re.compile(r"[:,\[{]\s*[@`%*&]"), "put text that starts with a special sign in quotes"),
    (re.compile(r"^[^:#\"'\[{]*:\s+[^\s#\"'\[{|>][^#]*?:\s"), "put text with `: ` in it in quotes"),
)
_BEGINNING = re.compile(r" *(-(?= ) *)?([^\s:#-][^\s:#]*(?=:(?:\s|$)))?")


class Advice(NamedTuple):
    """What to write, and at which line and column, both from one."""

    line: int
    column: int
    text: str


def advice(lines: Sequence[str], line: int, column: int) -> Advice | None:
    """Return what to write where the parser stopped, or on the line before.

    Args:
        lines: of the file.
        line: at which the parser stopped, from one.
        column: likewise.
    """
    for number, traps in ((line, _TRAPS), (line - 1, _LATE)):
        told = lines[number - 1][:LONGEST] if 0 < number <= len(lines) else ""
        for trap, text in traps:
            if found := trap.search(told):
                return Advice(number, found.end(), text)
    return _unlike(lines[:line], column)


def _unlike(lines: Sequence[str], column: int) -> Advice | None:
    """Return how the last of `lines` begins unlike those above, where the parser stopped there."""
    mine = list(_begins(lines[-1])) if lines else []
    if not mine or column > mine[0][0] + len(mine[0][1]) + 1:
        return None
    at, what = mine[-1]
    above = [(there, word) for there, word in _open(lines[:-1]) if (word == "-") == (what == "-")]
    if not above or at in dict(above):
        return None
    other, word = min(above, key=lambda each: abs(each[0] - at))
    said = f"this line begins {at} space{'s' * (at != 1)} in, `{word}` above {other}"
    return Advice(len(lines), at + 1, f"{said}; let them begin alike")


def _open(lines: Sequence[str]) -> Iterator[tuple[int, str]]:
    """Yield where keys and items begin that a next line could follow, the nearest first."""
    inner = LONGEST
    for line in reversed(lines):
        for at, what in _begins(line):
            if at < inner:
                inner = at
                yield at, what
        if inner == 0:
            return


def _begins(line: str) -> Iterator[tuple[int, str]]:
    """Yield what a line begins with and where: its key, then its `-`."""
    found = _BEGINNING.match(line[:LONGEST])
    for group in (2, 1):
        if found and found[group]:
            yield found.start(group), found[group].strip()
