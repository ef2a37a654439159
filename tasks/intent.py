"""From a campaign's matrix cell to one shot's intent: variants dealt, blanks filled in.

Knows nothing of models and their dialects.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import cast

from configs.base import Language, Words
from configs.campaign import Campaign, Product
from configs.colour import difference, natural
from configs.deck import deal
from configs.errors import BadInput, BadPlan
from configs.festivals import Day
from configs.marks import dotted
from configs.phrases import phrases
from configs.prompt import Intent, Option, Template
from configs.sandbox import BadTemplate, condition, holds, names_in, render
from configs.settings import Move
from configs.wording import unknown

Where = Callable[..., str]
"""`where("prompt", "when", 0, "if")` says FILE:LINE of that field of the campaign file."""

_DECKS = ("scene", "light", "style", "action", "subject", "motion")
"""Fastest first: what a viewer would soonest see again."""
_BLANK = Option(Words())
_CONTRAST = 15.0
"""CIEDE2000 that a backdrop keeps from the product: white on cream is 10, on mint 16."""


@dataclass(frozen=True)
class Teller:
    """What one shot's intent is drawn from."""

    campaign: Campaign
    product: Product
    day: Day
    template: Template
    names: Mapping[str, object]
    """What templates see: `tasks.views.view`."""
    move: str
    """The setting `animate.motion`."""
    where: Where
    typeset: bool = False
    """`prompt.text` is set as a title, so no model is asked to draw it."""

    def intent(self, rank: int) -> Intent:
        """Return what the shot is to show with its decks cut at `rank`.

        Raises:
            BadPlan: where a blank cannot be filled in.
        """
        language, festival = self.language, self.day.festival
        coloured = self.coloured
        seed = f"{self.campaign.seed}\n{self.product.id}\n{self.template.id}"
        dealt = deal(self.decks, seed, rank)
        move = deal({"move": self.template.moves}, seed, rank)["move"]
        words = {slot: word for card in dealt.values() for slot, word in card.words.items()}
        words |= self.festive_words
        names = {**self.names, **coloured, **_named(words, language)}
        text = self._own("text", names)
        return Intent(
            template=self.template.id,
            language=language,
            product=self.product.name.say(language),
            item=coloured["item"],
            colour=coloured["colour"],
            **{part: self._said(part, card, names) for part, card in dealt.items()},
            move=move if self.move == "auto" else cast("Move", self.move),
            text=text,
            lettering="" if self.typeset or not text else self._lettering(text),
            festival=festival.name.say(language) if festival else "",
            additions=self.additions,
            words=words,
        )

    @property
    def language(self) -> Language:
        """The prompt's language."""
        return self.campaign.prompt.language

    @cached_property
    def decks(self) -> Mapping[str, Sequence[Option]]:
        """The cards of each part; one blank card for a part that the campaign writes itself."""
        made = dict(self.template.options)
        made["scene"] = self._contrasting(made["scene"])
        return {part: (_BLANK,) if self._writes(part) else made[part] for part in _DECKS}

    @cached_property
    def coloured(self) -> dict[str, str]:
        """`colour`, the natural word for the product's; `item`, its name with it."""
        colour = self._colour()
        return {"colour": colour, "item": _item(self.product, colour, self.language)}

    @cached_property
    def additions(self) -> tuple[str, ...]:
        """What `prompt.when` adds today."""
        names = {**self.names, **self.coloured}
        added = []
        for index, clause in enumerate(self.campaign.prompt.when):
            place = ("prompt", "when", index)
            self._check(clause.if_, names, *place, "if")
            self._check(clause.add, names, *place, "add")  # today or not: see it at once
            try:
                met = holds(clause.if_, names)
            except BadTemplate as error:
                raise self._bad(error, *place, "if") from None
            if met:
                added.append(self._filled(clause.add, names, *place, "add"))
        return tuple(text for text in added if text)

    @cached_property
    def festive_words(self) -> Mapping[str, str]:
        """The festival's own props and backdrop, on a day whose additions speak of its props."""
        festival = self.day.festival
        if not festival or not any(
            festival.props.say(self.language) in text for text in self.additions
        ):
            return {}
        return {slot: word for slot, word in festival.words.items() if word not in self._alike}

    def _contrasting(self, options: tuple[Option, ...]) -> tuple[Option, ...]:
        """Leave out backdrops of the product's colour, unless that is most of them."""
        kept = tuple(one for one in options if one.words.get("backdrop") not in self._alike)
        return kept if len(kept) * 2 >= len(options) else options

    @cached_property
    def _alike(self) -> Collection[str]:
        return _alike(self.product.colour) if self.product.colour else ()

    def _colour(self) -> str:
        if self.product.colour is None:
            return ""
        try:
            words = natural(self.product.colour)
        except BadInput as error:
            index = self.campaign.products.index(self.product)
            place = self.where("products", index, "colour")
            raise BadPlan(f"{place}: products[{index}].colour: {error}") from None
        return words.zh if self.language == "zh" else words.en

    def _writes(self, part: str) -> bool:
        return bool(getattr(self.campaign.prompt, part, None))

    def _said(self, part: str, card: Option, names: Mapping[str, object]) -> str:
        if self._writes(part):
            return self._own(part, names)
        return self._templates(card.text, names, *card.place)

    def _own(self, part: str, names: Mapping[str, object]) -> str:
        return self._filled(getattr(self.campaign.prompt, part) or "", names, "prompt", part)

    def _lettering(self, text: str) -> str:
        if '"' in text:
            raise BadPlan(
                f"{self.where('prompt', 'text')}: prompt.text: {text!r} holds a straight double "
                "quote, which marks where words to draw begin and end; write “ and ” instead"
            )
        names = {**self.names, **self.coloured, "text": text}
        return self._templates(self.template.text, names, "text")

    def _templates(self, words: Words, names: Mapping[str, object], *place: str | int) -> str:
        try:
            return render(words.say(self.language), names)
        except BadTemplate as error:
            where = self.template.where(*place, self.language)
            raise BadPlan(f"{where}: {dotted(place)}: {error}") from None

    def _filled(self, source: str, names: Mapping[str, object], *path: str | int) -> str:
        self._check(source, names, *path)
        try:
            return render(source, names)
        except BadTemplate as error:
            raise self._bad(error, *path) from None

    def _check(self, source: str, names: Mapping[str, object], *path: str | int) -> None:
        """Refuse names that are not there, with the nearest one that is."""
        try:
            wanted = names_in(condition(source) if path[-1] == "if" else source)
        except BadTemplate as error:
            raise self._bad(error, *path) from None
        for name in sorted(wanted):
            if name not in names:
                raise self._bad(BadTemplate(unknown("name", name, names)), *path)

    def _bad(self, error: BadTemplate, *path: str | int) -> BadPlan:
        line = f"line {error.line} of it: " if error.line > 1 else ""
        return BadPlan(f"{self.where(*path)}: {dotted(path)}: {line}{error}")


@lru_cache(maxsize=256)
def _alike(colour: str) -> frozenset[str]:
    """Return the backdrops that a product of `colour` would sink into."""
    backdrops = phrases().backdrop.items()
    return frozenset(word for word, one in backdrops if difference(one.hex, colour) < _CONTRAST)


def _item(product: Product, colour: str, language: Language) -> str:
    """Return the product's name with its colour and material, each once."""
    name, material = product.name.say(language), product.material or ""
    space = "" if language == "zh" else " "
    made = name if material.casefold() in name.casefold() else f"{material}{space}{name}"
    if not colour or colour.casefold() in name.casefold():
        return made
    return f"{colour}的{made}" if language == "zh" else f"{colour} {made}"


def _named(words: Mapping[str, str], language: Language) -> dict[str, str]:
    """Return the phrases of the words that sentences mention."""
    known = {slot: phrases().slot(slot).get(word) for slot, word in words.items()}
    return {slot: phrase.say(language) for slot, phrase in known.items() if phrase}
