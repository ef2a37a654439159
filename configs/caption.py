"""Captions: the words that are published beside a file, and what a platform takes of them."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from configs.base import Declaration, Language, Words
from configs.length import Count


class Wording(Declaration):
    """The words of one caption; each is a Jinja2 template that sees what prompts see."""

    title: Words | None = None
    """E.g. `{{ product.name }}｜{{ campaign.title }}`; the first line where a platform has none."""
    text: Words | None = None
    """The body, without hashtags."""
    hashtags: Annotated[tuple[Words, ...], Field(max_length=60)] | None = None
    """Without `#`; spaces, apostrophes and hyphens are left out, and tags that come out empty."""
    alt: Words | None = None
    """What is to be seen, for those who cannot see it; left out: the product's name."""
    language: Literal["prompt", "zh", "en", "both"] | None = None
    """`prompt`, or left out: as `prompt.language`; `both`: text and hashtags in that one, then in
    the other, and the title in that one."""


class Caption(Wording):
    """What is published beside the file; nothing where neither title, text nor hashtags stand."""

    platforms: dict[str, Wording] = {}
    """In place of the above for one delivery, `{x: {text: …}}`; what it leaves out stays."""
    expander: Literal["template", "endpoint", "local"] = "template"
    """Who writes: `endpoint` and `local` are language models, as for `expand.expander`. They write
    the template's words anew for each platform, within its limits and the law's words."""
    fallback: Literal["none", "template"] = "none"
    """Where a language model writes nothing usable: `none` stops the plan; `template` publishes the
    template's words."""

    @property
    def asked(self) -> bool:
        """Whether any words are asked for."""
        return bool(self.title or self.text or self.hashtags or self.platforms)

    def on(self, delivery: str, language: Language) -> tuple[Wording, tuple[Language, ...]]:
        """Return what is said on one delivery, and its languages.

        Args:
            delivery: its id.
            language: the prompt's.
        """
        own = self.platforms.get(delivery, Wording())
        given = {
            name: getattr(self, name) if getattr(own, name) is None else getattr(own, name)
            for name in Wording.model_fields
        }
        wording = Wording.model_construct(**given)
        match wording.language:
            case "zh" | "en" as own_language:
                return wording, (own_language,)
            case "both":
                return wording, ("zh", "en") if language == "zh" else ("en", "zh")
        return wording, (language,)


class Length(Declaration):
    """How long a text may be, as the platform counts."""

    max: Annotated[int, Field(gt=0)]
    min: Annotated[int, Field(ge=0)] = 0
    count: Count = "characters"

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.min > self.max:
            raise ValueError(f"min {self.min} is above max {self.max}")
        return self


Limit = Length | Literal["none", "unknown"]
"""`none`: the platform has no such field; `unknown`: no reliable page was found."""


class CaptionRules(Declaration):
    """What one platform takes beside the file."""

    title: Limit = "unknown"
    text: Limit = "unknown"
    hashtags: Annotated[int, Field(ge=0)] | Literal["unknown"] = "unknown"
    """How many at most."""
    apart: bool = False
    """True where hashtags have a field of their own; else they stand in the text, and count."""
    closed: bool = False
    """True where a hashtag is `#word#`."""
    refused: str = ""
    """Characters that no field may hold."""
    source: Annotated[str, Field(min_length=1)] = "none found"
    """The page this was read on."""
    checked_on: dt.date | None = None
    note: str = ""
    """What the source does not say, or why it is weak."""

    def tag(self, word: str) -> str:
        """Return a hashtag as it is written in the text."""
        return f"#{word}#" if self.closed else f"#{word}"
