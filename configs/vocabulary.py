"""The words a small picture model was taught, and how to find them in what a person wrote.

Read from the model's vocabulary.json; knows nothing of prompts or campaigns.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, ConfigDict, ValidationError

from configs.base import Declaration, Language
from configs.errors import BadFile

Slot = Literal[
    "products",
    "colours",
    "materials",
    "surfaces",
    "backdrops",
    "light_sides",
    "light_warmths",
    "light_hardness",
    "cameras",
    "props",
    "motions",
]
_Phrases = Annotated[
    tuple[str, ...], BeforeValidator(lambda value: (value,) if isinstance(value, str) else value)
]


class Term(Declaration):
    """One thing the model knows, with its names; the first of each language is used in prompts."""

    id: str
    en: _Phrases
    zh: _Phrases
    hex: str = ""
    """Of colours and backdrops: `#rrggbb`."""

    def __hash__(self) -> int:
        return hash(self.id)  # a palette of them is a cache's key 10,000 times in a plan

    def say(self, language: Language, turn: int = 0) -> str:
        """Return the phrase that prompts use; with another `turn` another one, if there is."""
        names = self.zh if language == "zh" else self.en
        return names[turn % len(names)]


class Vocabulary(Declaration):
    """All words of one model family."""

    model_config = ConfigDict(frozen=True, extra="ignore")  # later versions may add slots

    version: Literal[1]
    products: tuple[Term, ...]
    colours: tuple[Term, ...]
    materials: tuple[Term, ...] = ()
    surfaces: tuple[Term, ...] = ()
    backdrops: tuple[Term, ...] = ()
    light_sides: tuple[Term, ...] = ()
    light_warmths: tuple[Term, ...] = ()
    light_hardness: tuple[Term, ...] = ()
    cameras: tuple[Term, ...] = ()
    props: tuple[Term, ...] = ()
    motions: tuple[Term, ...] = ()
    grammar: dict[Language, str]
    """A Jinja2 template for each language."""

    @cached_property
    def _by_id(self) -> Mapping[tuple[str, str], Term]:
        return {
            (slot, term.id): term
            for slot in Slot.__args__  # type: ignore[attr-defined]
            for term in getattr(self, slot)
        }

    @cached_property
    def _names(self) -> Mapping[str, list[tuple[re.Pattern[str], Term]]]:
        names: dict[str, list[tuple[re.Pattern[str], Term]]] = {}
        for (slot, _), term in self._by_id.items():
            names.setdefault(slot, []).extend(
                (_pattern(name.casefold()), term) for name in (*term.zh, *term.en)
            )
        return names

    def term(self, slot: Slot, id_: str) -> Term | None:
        """Return the term of `slot` called `id_`, or None where the model was not taught it."""
        return self._by_id.get((slot, id_))

    def find(self, slot: Slot, *texts: str) -> Term | None:
        """Return the term of `slot` whose name ends last in `texts`, in either language.

        A noun's head comes last in both (`coffee mug gift box` is a box); of names that end
        together the longest counts.
        """
        whole = "\n".join(texts).casefold()
        if (slot, whole) not in self._found:
            self._found[slot, whole] = self._search(slot, whole)
        return self._found[slot, whole]

    @cached_property
    def _found(self) -> dict[tuple[str, str], Term | None]:
        """Searches done: the shots of a campaign ask for the same few names 10,000 times."""
        return {}

    def _search(self, slot: Slot, whole: str) -> Term | None:
        best: tuple[int, int] = (0, 0)
        found: Term | None = None
        for pattern, term in self._names.get(slot, ()):
            for match in pattern.finditer(whole):
                rank = (match.end(), match.end() - match.start())
                if rank > best:
                    best, found = rank, term
        return found


def _pattern(name: str) -> re.Pattern[str]:
    """Match `name`: Latin letters as whole words, or with a plural s; one hanzi only if alone.

    One hanzi says too little: 包 is a bag, but 面包 is bread and 包装 is packaging.
    """
    escaped = re.escape(name)
    if name.isascii():
        return re.compile(rf"(?<![a-z]){escaped}(?:e?s)?(?![a-z])")
    return re.compile(rf"^{escaped}$" if len(name) == 1 else escaped, re.MULTILINE)


@lru_cache(maxsize=8)
def load_vocabulary(path: Path) -> Vocabulary:
    """Read a model's vocabulary.json.

    Raises:
        BadFile: where it is missing, not JSON, or lacks a part.
    """
    try:
        return Vocabulary.model_validate(json.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise BadFile(f"{path}: the model's vocabulary cannot be read: {error.strerror}") from None
    except (ValueError, ValidationError) as error:
        raise BadFile(f"{path}: not a model vocabulary: {str(error).splitlines()[0]}") from None
