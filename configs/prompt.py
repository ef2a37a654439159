"""The prompt library: templates as data, and one shot's intent.

A template has five parts in the order the field writes them: subject, action, scene, light, style;
and besides them what moves. Which variants a shot gets is `configs/deck.py`'s to say.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import product
from pathlib import Path
from typing import Literal

from pydantic import Field

from configs.base import Declaration, Json, Language, Words
from configs.errors import BadInput
from configs.fill import load
from configs.wording import unknown

Part = Literal["subject", "action", "scene", "light", "style"]
PARTS: tuple[Part, ...] = ("subject", "action", "scene", "light", "style")

Kind = Literal["product-closeup", "use-scene", "emotion", "comparison", "abstract-concept"]
Move = Literal[
    "push-in",
    "pull-out",
    "orbit-left",
    "orbit-right",
    "pan-left",
    "pan-right",
    "tilt-up",
    "tilt-down",
    "turntable",
    "static",
]
Slot = Literal["surface", "backdrop", "light_side", "light_warmth", "camera", "props"]
"""What a part fixes besides its sentence; the names are those of a small model's grammar."""


@dataclass(frozen=True, slots=True)
class Option:
    """One card of a deck: a sentence, and what it fixes."""

    text: Words
    words: Mapping[str, str] = field(default_factory=dict)
    """Ids by slot, as in words.yaml."""


class Variant(Declaration):
    """One way to say a part; lists of words make one option each."""

    zh: str
    en: str
    words: dict[Slot, str | tuple[str, ...]] = {}

    def options(self) -> tuple[Option, ...]:
        """Return an option for each combination of its words."""
        text = Words(zh=self.zh, en=self.en)
        lists = [(value,) if isinstance(value, str) else value for value in self.words.values()]
        slots = [str(slot) for slot in self.words]
        return tuple(Option(text, dict(zip(slots, each, strict=True))) for each in product(*lists))


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

    @cached_property
    def options(self) -> Mapping[str, tuple[Option, ...]]:
        """The options of each part, and of `motion`."""
        lists = {part: getattr(self.parts, part) for part in PARTS} | {"motion": self.motion}
        return {
            part: tuple(option for variant in variants for option in variant.options())
            for part, variants in lists.items()
        }


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
        BadField: where it is wrong; a sentence that is no template included.
    """
    for folder in folders:
        file = folder / f"{name}.yaml"
        if file.exists():
            return load(file, Template)[0]
    raise BadInput(unknown("prompt template", name, names_in(folders)))


def names_in(folders: Sequence[Path]) -> list[str]:
    """Return the names of all templates."""
    return sorted({file.stem for folder in folders for file in folder.glob("*.yaml")})
