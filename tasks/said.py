"""What is said of a shot on one platform: templates filled in, in the form the platform takes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from types import SimpleNamespace
from typing import NamedTuple

from configs.base import Declaration, Language, Words
from configs.caption import CaptionRules, Length, Limit, Wording
from configs.errors import BadPlan
from configs.length import length
from configs.sandbox import BadTemplate, names_in, render
from configs.wording import unknown
from tasks.lint import lint
from tasks.stage import Cell

_LEFT_OUT = re.compile(r"[\s'’‘`·・.,-]")
"""What names hold and no platform takes in a hashtag."""


class CaptionFile(Declaration):
    """One caption as it is published; a caption node's params, and its file."""

    language: Language
    title: str = ""
    text: str = ""
    """With the hashtags, where the platform wants them there: what a person pastes."""
    hashtags: tuple[str, ...] = ()
    """Without `#`."""
    alt: str = ""


class Said(NamedTuple):
    """Words before they are in a platform's form."""

    title: str = ""
    text: str = ""
    """Without hashtags."""
    hashtags: tuple[str, ...] = ()
    """Without `#`."""


@dataclass(frozen=True)
class Writer:
    """One caption on its way from templates to a platform's fields."""

    cell: Cell
    wording: Wording
    languages: tuple[Language, ...]
    rules: CaptionRules

    @cached_property
    def names(self) -> Mapping[Language, Mapping[str, object]]:
        """What templates see in each language: what prompts see, and the delivery."""
        delivery = self.cell.delivery
        assert delivery is not None
        return {
            language: {
                **self.cell.names(language),
                "delivery": SimpleNamespace(
                    id=self.cell.delivery_id, name=delivery.name.say(language), kind=delivery.kind
                ),
            }
            for language in self.languages
        }

    def said(self) -> Said:
        """Return what the templates say; nothing where the platform has no field for it."""
        title, text = "".join(self.filled("title")[:1]), "\n\n".join(self.filled("text"))
        words = self.wording.hashtags or ()
        tags = [self.fill(one, "hashtags", name) for name in self.languages for one in words]
        hashtags = self.hashtags(tags)
        if self.rules.title == "none":
            title, text = "", "\n".join(filter(None, (title, text)))
        return Said(title) if self.rules.text == "none" else Said(title, text, hashtags)

    def checked(self, said: Said) -> tuple[CaptionFile, dict[str, str]]:
        """Return the caption, and words of it that the brand lets stand with its reasons.

        Raises:
            BadPlan: where a field is longer or shorter than the platform takes, or a word is
                against the advertising law of its market.
        """
        title, text, hashtags = said
        if not self.rules.apart:
            tags = " ".join(map(self.rules.tag, hashtags))
            text = "\n\n".join(filter(None, (text, tags)))
        self.fits("title", title, self.rules.title)
        self.fits("text", text, self.rules.text)
        language = self.languages[0]
        file = CaptionFile(
            language=language,
            title=title,
            text=text,
            hashtags=hashtags,
            alt="".join(self.filled("alt")[:1]) or self.cell.product.name.say(language),
        )
        fields = {
            "title": title,
            "hashtags": " ".join(hashtags),
            "text": text,  # may hold the hashtags
            "alt": file.alt,
        }
        allowed: dict[str, str] = {}
        for field, words in fields.items():
            allowed |= lint(self.cell, self.place(field), words)
        return file, allowed

    def hashtags(self, words: Iterable[str]) -> tuple[str, ...]:
        """Return each hashtag once, without `#`; refuse what is none, and more than are taken."""
        made: dict[str, str] = {}
        for word in words:
            tag = _LEFT_OUT.sub("", word.removeprefix("#"))
            if tag and not re.fullmatch(r"\w+", tag):
                raise self.bad("hashtags", f"{tag!r}: a hashtag is letters, hanzi, digits and `_`")
            if tag:
                made.setdefault(tag.casefold(), tag)
        most = self.rules.hashtags
        if isinstance(most, int) and len(made) > most and self.rules.text != "none":
            raise self.bad("hashtags", f"{len(made)} hashtags: the platform takes {most}")
        return tuple(made.values())

    def filled(self, field: str) -> list[str]:
        """Return a field's text in each language, none twice; nothing where none is asked for."""
        words: Words | None = getattr(self.wording, field)
        if not words:
            return []
        texts = (self.fill(words, field, language) for language in self.languages)
        return [text for text in dict.fromkeys(texts) if text]

    def fill(self, words: Words, field: str, language: Language) -> str:
        """Return a template's text, every name in it known."""
        template, names = words.say(language), self.names[language]
        try:
            for name in sorted(names_in(template) - names.keys()):
                raise BadTemplate(unknown("name", name, names))
            return render(template, names)
        except BadTemplate as error:
            raise self.bad(field, str(error)) from None

    def fits(self, field: str, text: str, limit: Limit) -> None:
        """Refuse a text that the platform would not take whole."""
        if wrong := [char for char in self.rules.refused if char in text]:
            raise self.bad(field, f"holds {wrong[0]!r}, which the platform refuses")
        if field == "title" and "\n" in text:
            raise self.bad(field, f"{text[:40]!r} has more than one line")
        if not isinstance(limit, Length) or not text:
            return
        found = length(text, limit.count)
        if limit.min <= found <= limit.max:
            return
        bound = f"at most {limit.max}" if found > limit.max else f"at least {limit.min}"
        raise self.bad(
            field,
            f"is {found} long as the platform counts ({limit.count}), and it takes {bound}: "
            f"{text[:40]!r}; reword it, here or for this delivery alone in caption.platforms",
        )

    def place(self, field: str) -> str:
        """Return the setting that a field was written in."""
        own = self.cell.settings.caption.platforms.get(self.cell.delivery_id)
        if own is not None and getattr(own, field, None) is not None:
            return f"caption.platforms: {self.cell.delivery_id}.{field}"
        return f"caption.{field}"

    def bad(self, field: str, message: str) -> BadPlan:
        """Return the error that says `message` of one field."""
        where = f"{self.cell.shot} {self.cell.delivery_id}"
        return BadPlan(f"{where}: {self.place(field)}: {message}")
