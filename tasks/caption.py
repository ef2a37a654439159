"""The caption stage: title, text and hashtags that are published beside the file.

Written from the campaign's templates, in the order and length that the platform takes; all of it at
plan time. Running the stage writes it down.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from types import SimpleNamespace

from configs.base import Declaration, Language, Words
from configs.caption import CaptionRules, Length, Limit, Wording
from configs.errors import BadPlan
from configs.length import length
from configs.sandbox import BadTemplate, names_in, render
from configs.wording import unknown
from tasks.lint import lint
from tasks.note import write_params
from tasks.stage import Cell, Decision, Stage

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


def decide(cell: Cell) -> Decision | None:
    """Return what is said of the shot on this delivery; None where nothing is.

    Raises:
        BadPlan: where a template cannot be filled in, a text is longer or shorter than the
            platform takes, or a word is against the advertising law of its market.
    """
    settings, delivery = cell.settings.caption, cell.delivery
    assert delivery is not None, "the wiring lets this stage run per delivery only"
    for name in settings.platforms:
        if name not in cell.campaign.deliveries:
            known = unknown("delivery of this campaign", name, cell.campaign.deliveries)
            raise BadPlan(f"caption.platforms: {known}")
    wording, language = settings.on(cell.delivery_id, cell.campaign.prompt.language)
    writer = Writer(cell, wording, language, delivery.caption)
    file = writer.file()
    if not (file.title or file.text or file.hashtags):
        return None
    allowed = {
        word: reason
        for field in ("title", "hashtags", "text", "alt")  # text may hold the hashtags
        for word, reason in lint(cell, writer.place(field), said(file, field)).items()
    }
    return Decision(
        params=file.model_dump(mode="json"), notes={"allowed": dict(allowed)} if allowed else {}
    )


def said(file: CaptionFile, field: str) -> str:
    """Return a field's words as one text."""
    value = getattr(file, field)
    return value if isinstance(value, str) else " ".join(value)


@dataclass(frozen=True)
class Writer:
    """One caption on its way from templates to a platform's fields."""

    cell: Cell
    wording: Wording
    language: Language
    rules: CaptionRules

    @cached_property
    def names(self) -> Mapping[str, object]:
        """What templates see: what prompts see, and the delivery."""
        delivery = self.cell.delivery
        assert delivery is not None
        seen = SimpleNamespace(
            id=self.cell.delivery_id, name=delivery.name.say(self.language), kind=delivery.kind
        )
        return {**self.cell.names(self.language), "delivery": seen}

    def file(self) -> CaptionFile:
        """Return the caption, every field within the platform's limits."""
        title, body = self.filled("title"), self.filled("text")
        hashtags = self.hashtags()
        if self.rules.title == "none":
            title, body = "", "\n".join(filter(None, (title, body)))
        if not self.rules.apart:
            tags = " ".join(map(self.rules.tag, hashtags))
            body = "\n\n".join(filter(None, (body, tags)))
        if self.rules.text == "none":
            body, hashtags = "", ()
        made = CaptionFile(language=self.language, title=title, text=body, hashtags=hashtags)
        if not (title or body or hashtags):
            return made
        self.fits("title", title, self.rules.title)
        self.fits("text", body, self.rules.text)
        alt = self.filled("alt") or self.cell.product.name.say(self.language)
        return made.model_copy(update={"alt": alt})

    def hashtags(self) -> tuple[str, ...]:
        """Return each hashtag once, without `#`."""
        made: dict[str, str] = {}
        for words in self.wording.hashtags or ():
            tag = _LEFT_OUT.sub("", self.fill(words, "hashtags").removeprefix("#"))
            if tag and not re.fullmatch(r"\w+", tag):
                raise self.bad("hashtags", f"{tag!r}: a hashtag is letters, hanzi, digits and `_`")
            if tag:
                made.setdefault(tag.casefold(), tag)
        most = self.rules.hashtags
        if isinstance(most, int) and len(made) > most and self.rules.text != "none":
            raise self.bad("hashtags", f"{len(made)} hashtags: the platform takes {most}")
        return tuple(made.values())

    def filled(self, field: str) -> str:
        """Return a field's text; "" where nothing is asked for."""
        words: Words | None = getattr(self.wording, field)
        return self.fill(words, field) if words else ""

    def fill(self, words: Words, field: str) -> str:
        """Return a template's text, every name in it known."""
        template = words.say(self.language)
        try:
            for name in sorted(names_in(template) - self.names.keys()):
                raise BadTemplate(unknown("name", name, self.names))
            return render(template, self.names)
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
        if own is not None and getattr(own, field) is not None:
            return f"caption.platforms: {self.cell.delivery_id}.{field}"
        return f"caption.{field}"

    def bad(self, field: str, message: str) -> BadPlan:
        """Return the error that says `message` of one field."""
        where = f"{self.cell.shot} {self.cell.delivery_id}"
        return BadPlan(f"{where}: {self.place(field)}: {message}")


STAGE = Stage(
    id="caption",
    version=1,
    takes={},
    gives={"caption": "text"},
    lane="cpu",
    decide=decide,
    run=write_params("caption"),
    worded=True,
)
