"""Text into lines: where one may end by the rules of Chinese and English, and where it does best.

What may end a line is Unicode's (UAX 14: no closing punctuation at a line's start, no opening at
its end, words whole); what should is the phrase's, found by BudouX. Lines come out about as long as
each other.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Callable, Sequence
from functools import cache, lru_cache
from itertools import accumulate
from typing import TYPE_CHECKING

from configs.errors import BadPlan

if TYPE_CHECKING:
    from budoux.parser import Parser

PHRASE, CUT, NUMBER_CUT = 2.6, 4.0, 6.0
"""Ems that lines may differ by to end at a stop and not between two phrases; to keep a phrase
whole; to keep a number with its unit, 50 with 元."""

_NO_START = re.compile(r"[·•‧・～~%‰℃°/]")
"""Besides what UAX 14 has: ambiguous there, and told by GB/T 15834 to stand within a line."""

_INVISIBLE = {"Cc": "control character", "Cf": "invisible character", "Co": "private character"}
_SPACES = re.compile(r"[^\S\n]+")


def clean(text: str) -> str:
    """Return `text` composed (NFC), each run of spaces one space, lines without outer spaces.

    Raises:
        BadPlan: where it holds what cannot be seen, such as a change of writing direction.
    """
    text = unicodedata.normalize("NFC", text.replace("\r\n", "\n")).replace("\t", " ")
    for character in text:
        kind = _INVISIBLE.get(unicodedata.category(character))
        if kind and character != "\n":
            called = unicodedata.name(character, "unnamed")
            raise BadPlan(
                f"{text[:40]!r} holds the {kind} U+{ord(character):04X} ({called}); delete it"
            )
    lines = (_SPACES.sub(" ", line).strip() for line in text.split("\n"))
    return "\n".join(line for line in lines if line)


def break_lines(
    text: str, width: Callable[[str], float], limit: float, most: int
) -> tuple[str, ...] | None:
    """Return the fewest lines that `text` fits into, or None where `most` are too few.

    Args:
        text: cleaned; its own line ends are kept.
        width: of one line, in ems.
        limit: ems that a line may have.
        most: lines that there may be.
    """
    lines: list[str] = []
    for paragraph in text.split("\n"):
        if width(paragraph) > limit * (most - len(lines)):
            return None
        parts = _parts(paragraph)
        for count in range(1, most - len(lines) + 1):
            if made := _balanced(parts, width, limit, count):
                lines += made
                break
        else:
            return None
    return tuple(lines)


def _balanced(
    parts: Sequence[tuple[str, float]], width: Callable[[str], float], limit: float, count: int
) -> list[str] | None:
    """Return `parts` in `count` lines with the least unevenness, or None where they do not fit.

    Dynamic programming over the parts: a line costs the square of its distance from the mean, and
    the square of what its end cuts.
    """
    ends = [0.0, *accumulate(width(text) for text, _ in parts)]
    blank = [width(text) - width(text.rstrip()) for text, _ in parts]
    mean, size = ends[-1] / count, len(parts)
    best: list[list[tuple[float, int]]] = [[(0.0, 0)] + [(math.inf, 0)] * size]
    for _ in range(count):
        row = [(math.inf, 0)] * (size + 1)
        for end in range(1, size + 1):
            cut = parts[end - 1][1] if end < size else 0.0
            for start in range(end):
                long = ends[end] - ends[start] - blank[end - 1]
                if long <= limit:
                    cost = best[-1][start][0] + (long - mean) ** 2 + cut**2
                    row[end] = min(row[end], (cost, start))
        best.append(row)
    if best[-1][-1][0] == math.inf:
        return None
    lines, end = [], size
    for row in reversed(best[1:]):
        start = row[end][1]
        lines.append("".join(text for text, _ in parts[start:end]).strip())
        end = start
    return lines[::-1]


@lru_cache(maxsize=1024)
def _parts(text: str) -> tuple[tuple[str, float], ...]:
    """Return the parts that a line may end after, each with what ending there cuts, in ems."""
    from uniseg.linebreak import line_break_units

    phrases = set(accumulate(len(phrase) for phrase in _parser().parse(text)))
    parts: list[tuple[str, float]] = []
    at = 0
    for unit in line_break_units(text):
        before = parts.pop()[0] if parts and _NO_START.match(unit) else ""
        at += len(unit)
        parts.append((before + unit, _cut(text, at, whole=at in phrases)))
    return tuple(parts)


def _cut(text: str, at: int, *, whole: bool) -> float:
    """Return what ending a line before `text[at]` cuts."""
    before, after = text[at - 1 : at], text[at : at + 1]
    if before.isdecimal() and after:
        return NUMBER_CUT
    said = text[:at].rstrip()
    if unicodedata.category(said[-1]) in ("Po", "Pe", "Pf"):
        return 0.0
    words = before.isspace() and after.isascii() and said[-1].isascii()
    return PHRASE if whole or words else CUT


@cache
def _parser() -> Parser:
    """Return BudouX's parser for simplified Chinese: a table of 100 kB, read once."""
    from budoux import load_default_simplified_chinese_parser

    return load_default_simplified_chinese_parser()
