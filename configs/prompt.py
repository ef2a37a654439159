"""The prompt library: templates as data, and one shot's intent.

A template has five parts in the order the field writes them: subject, action, scene, light, style;
and besides them what moves. Which variants a shot gets is `configs/deck.py`'s to say.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import product
from math import prod
from pathlib import Path
from typing import Literal

from pydantic import Field, PrivateAttr

from configs.base import Declaration, Json, Language, Words
from configs.errors import BadField, BadInput
from configs.fill import load
from configs.marks import Marks
from configs.phrases import phrases
from configs.sandbox import BadTemplate, names_in
from configs.settings import Move
from configs.wording import unknown

Part = Literal["subject", "action", "scene", "light", "style"]
PARTS: tuple[Part, ...] = ("subject", "action", "scene", "light", "style")

Kind = Literal["product-closeup", "use-scene", "emotion", "comparison", "abstract-concept"]
Slot = Literal["surface", "backdrop", "light_side", "light_warmth", "camera", "props"]
"""What a part fixes besides its sentence; the names are those of a small model's grammar."""
NAMES = frozenset({"item", "colour", "product", "day", "shot", "campaign", "axes"})
"""What every sentence may mention; `surface`, `backdrop`, `light_side` only beside their words."""

MAX_OPTIONS = 400
"""Of one variant: all surfaces on all backdrops are 220."""


@dataclass(frozen=True, slots=True)
class Option:
    """One card of a deck: a sentence, and what it fixes."""

    text: Words
    words: Mapping[str, str] = field(default_factory=dict)
    """Ids by slot, as in words.yaml."""
    place: tuple[str | int, ...] = ()
    """Where its sentence stands in the template's file."""


class Variant(Words):
    """One way to say a part, as Jinja2 templates; lists of words make one option each."""

    words: dict[Slot, str | tuple[str, ...]] = {}

    def count(self) -> int:
        """Return how many options it makes."""
        return prod(len(value) for value in self.words.values() if not isinstance(value, str))

    def options(self, *place: str | int) -> tuple[Option, ...]:
        """Return an option for each combination of its words."""
        text = Words(zh=self.zh, en=self.en)
        lists = [(value,) if isinstance(value, str) else value for value in self.words.values()]
        slots = [str(slot) for slot in self.words]
        return tuple(
            Option(text, dict(zip(slots, each, strict=True)), place) for each in product(*lists)
        )


Variants = tuple[Variant, ...]


class Parts(Declaration):
    """The five parts, each with at least one variant. Texts are Jinja2 templates."""

    subject: Variants = Field(min_length=1)
    action: Variants = Field(min_length=1)
    scene: Variants = Field(min_length=1)
    light: Variants = Field(min_length=1)
    style: Variants = Field(min_length=1)


class Template(Declaration):
    """One file of the library; its id is the file's name."""

    id: str
    kind: Kind
    version: int = Field(default=1, ge=1)
    """Raised when its sentences change, so that a language model's expansions are made anew."""
    title: Words
    parts: Parts
    motion: Variants = Field(min_length=1)
    """What moves in the clip besides the camera."""
    moves: tuple[Move, ...] = Field(min_length=1)
    """Camera moves that suit it: what `animate.motion: auto` draws from."""
    text: Words = Words(
        zh='画面上方的留白处用端正清晰的字体印着"{{ text }}"。',
        en='The words "{{ text }}" stand in clean, evenly spaced type in the empty upper area.',
    )
    """How words in the picture are asked for; quoted verbatim."""

    _marks: Marks | None = PrivateAttr(default=None)

    @cached_property
    def options(self) -> Mapping[str, tuple[Option, ...]]:
        """The options of each part, and of `motion`."""
        found: dict[str, tuple[Option, ...]] = {}
        for place, variant in self.variants():
            part = str(place[-2])
            found[part] = found.get(part, ()) + variant.options(*place)
        return found

    def variants(self) -> Iterator[tuple[tuple[str | int, ...], Variant]]:
        """Yield every variant with its place in the file."""
        for part in PARTS:
            for index, variant in enumerate(getattr(self.parts, part)):
                yield ("parts", part, index), variant
        for index, variant in enumerate(self.motion):
            yield ("motion", index), variant

    def where(self, *path: str | int) -> str:
        """Return `FILE:LINE` of one of its values."""
        return self._marks.where(path) if self._marks else f"prompts/{self.id}.yaml"


@dataclass(frozen=True, slots=True)
class Intent:
    """What one shot is to show, before any model's dialect."""

    template: str
    language: Language
    product: str
    """Its name, as the brief says it."""
    item: str
    """The name with its colour: `crimson matte lipstick`."""
    colour: str
    subject: str
    action: str
    scene: str
    light: str
    style: str
    motion: str
    """What moves besides the camera."""
    move: Move
    text: str
    """To be drawn in the picture, verbatim."""
    lettering: str
    """The sentence that asks for it."""
    festival: str
    additions: tuple[str, ...]
    words: Mapping[str, str]
    """Ids by slot: surface, backdrop, light_side, light_warmth, camera, props."""

    def row(self) -> dict[str, Json]:
        """Return it as JSON, for the prompts table."""
        names = self.__slots__
        made: dict[str, Json] = {name: getattr(self, name) for name in names}
        return made | {"additions": list(self.additions), "words": dict(self.words)}


def load_template(name: str, folders: Sequence[Path]) -> Template:
    """Read the template `name` from the first of `folders` that has it.

    Raises:
        BadInput: where none has it.
        BadField: naming all that is wrong with it: its form, a sentence that is no template or
            names what a template cannot see, a word that words.yaml does not know.
    """
    for folder in folders:
        file = folder / f"{name}.yaml"
        if file.exists():
            template, marks = load(file, Template)
            errors = [marks.bad(path, message) for path, message in _faults(template, name)]
            if errors:
                raise BadField.several(errors)
            template._marks = marks
            return template
    known = sorted({file.stem for folder in folders for file in folder.glob("*.yaml")})
    raise BadInput(unknown("prompt template", name, known))


def _faults(template: Template, name: str) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """Yield what is wrong with a well-formed template: path and message."""
    if template.id != name:
        yield ("id",), f"{template.id!r} is not the file's name; write {name}"
    for language in ("zh", "en"):
        yield from _sentence(("text", language), template.text.say(language), {"text"})
        if '"{{ text }}"' not in template.text.say(language):
            yield ("text", language), 'must hold "{{ text }}", in straight double quotes'
    for place, variant in template.variants():
        if not (variant.zh and variant.en):
            yield place, "wants the sentence in both languages, `zh: …` and `en: …`"
        yield from _sentence((*place, "zh"), variant.zh, set(variant.words))
        yield from _sentence((*place, "en"), variant.en, set(variant.words))
        if variant.count() > MAX_OPTIONS:
            yield (*place, "words"), f"make {variant.count()} options; at most {MAX_OPTIONS}"
        for slot, value in variant.words.items():
            known = phrases().slot(slot)
            for word in (value,) if isinstance(value, str) else value:
                if known and word not in known:
                    yield (*place, "words", slot), unknown(slot, word, known)


def _sentence(
    place: tuple[str | int, ...], source: str, own: Collection[str]
) -> Iterator[tuple[tuple[str | int, ...], str]]:
    try:
        strangers = names_in(source) - NAMES - {*own}
    except BadTemplate as error:
        yield place, str(error)
        return
    for name in sorted(strangers):
        yield place, unknown("name", name, [*NAMES, *own])
