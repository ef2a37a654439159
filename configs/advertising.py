"""Words that the advertising law of a market, or a platform, forbids in what is published.

Knows words, not truth: what it refuses may be lawful in its context, which the brand then records.
"""

from __future__ import annotations

import datetime as dt
import re
import unicodedata
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Annotated

from pydantic import Field

from configs.base import Declaration, Slug
from configs.fill import fill
from configs.labels import Market
from configs.marks import read

_INVISIBLE = re.compile(
    "[\u00ad\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufe00-\ufe0f\ufeff\U000e0000-\U000e007f]"
)
AROUND = 6
"""Characters of the text that a message shows on either side of a word."""


class Rule(Declaration):
    """Words that may not stand, where and why."""

    market: Market
    rule: str
    """The law or the platform's rule, with its article: what a text is against."""
    words: Annotated[tuple[str, ...], Field(min_length=1)]
    unless: tuple[str, ...] = ()
    """Ordinary phrases in which a word may stand."""
    products: tuple[str, ...] = ()
    """Words of which a product's name must hold one; without any: all products."""
    deliveries: tuple[Slug, ...] = ()
    """Where it holds; without any: everywhere in its market."""
    advice: str
    source: str
    checked_on: dt.date
    note: str = ""

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        """Any of the words, the longest that fits first."""
        return _any(self.words)

    @cached_property
    def spared(self) -> re.Pattern[str]:
        """Any of the ordinary phrases, found also where two overlap."""
        return re.compile(f"(?=({_any(self.unless).pattern}))")

    def speaks_of(self, names: Collection[str]) -> bool:
        """Say whether it is about a product of these names."""
        return not self.products or any(_any(self.products).search(plain(name)) for name in names)


@dataclass(frozen=True, slots=True)
class Found:
    """A word that may not stand."""

    word: str
    near: str
    """The text around it."""
    rule: Rule
    reason: str = ""
    """Why the brand lets it stand; empty where it doesn't."""

    def __str__(self) -> str:
        return (
            f"{self.word!r} in {self.near!r} is against {self.rule.rule}: {self.rule.advice}, "
            f"or record why it may stand: `brand: {{allow: {{{self.word}: the reason}}}}`"
        )


@lru_cache(maxsize=1)
def rules() -> Mapping[str, Rule]:
    """Return the rules of advertising.yaml."""
    marks = read(Path(__file__).with_name("advertising.yaml"))
    return {str(name): fill(marks, Rule, (name,)) for name in marks.root.parts}


def plain(text: str) -> str:
    """Return a text as words are looked for in it: narrow, in small letters, nothing invisible."""
    return _INVISIBLE.sub("", unicodedata.normalize("NFKC", text)).casefold()


def find(
    text: str,
    *,
    markets: Collection[Market],
    names: Collection[str],
    delivery: str | None = None,
    allowed: Mapping[str, str] | None = None,
) -> Iterator[Found]:
    """Yield the words of a text that may not stand.

    Args:
        text: as it is published.
        markets: where it is seen.
        names: of the products that it may speak of, in all languages.
        delivery: the platform's id; None: a text for all platforms, of which only laws speak.
        allowed: phrases that the brand lets stand, each with its reason.
    """
    said = plain(text)
    about, let = tuple(names), {plain(phrase): why for phrase, why in (allowed or {}).items()}
    for rule in rules().values():
        if rule.market not in markets or (rule.deliveries and delivery not in rule.deliveries):
            continue
        hits = list(rule.pattern.finditer(said))
        if not hits or not rule.speaks_of(about):
            continue
        spared = [match.span(1) for match in rule.spared.finditer(said)] if rule.unless else []
        for match in hits:
            start, end = match.span()
            if any(left <= start and end <= right for left, right in spared):
                continue
            near = said[max(0, start - AROUND) : end + AROUND]
            yield Found(match[0], near, rule, _reason(said, start, end, let))


def _reason(said: str, start: int, end: int, let: Mapping[str, str]) -> str:
    """Return the reason of a phrase that is allowed and holds the word at `start`."""
    for phrase, reason in let.items():
        for match in re.finditer(f"(?={re.escape(phrase)})", said):
            if match.start() <= start and end <= match.start() + len(phrase):
                return reason
    return ""


@lru_cache(maxsize=64)
def _any(words: tuple[str, ...]) -> re.Pattern[str]:
    """Return what matches any of `words`, longer ones first; Latin ones whole."""
    ordered = sorted(map(plain, words), key=len, reverse=True)
    return re.compile("|".join(map(_whole, ordered)))


def _whole(word: str) -> str:
    """Return a word's pattern; it begins with a letter, so that `re` skips to where one stands."""
    latin = "a-z0-9"
    first, rest = re.escape(word[0]), re.escape(word[1:])
    before = f"(?<![{latin}]{first})" if word[0].isascii() and word[0].isalnum() else ""
    after = f"(?![{latin}])" if word[-1].isascii() and word[-1].isalnum() else ""
    return f"{first}{before}{rest}{after}"
