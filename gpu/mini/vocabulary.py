"""The words that the small models know, read from `vocabulary.json`."""

import functools
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Final

FIELDS: Final = {
    "product": "products",
    "colour": "colours",
    "material": "materials",
    "surface": "surfaces",
    "backdrop": "backdrops",
    "light_side": "light_sides",
    "light_warmth": "light_warmths",
    "light_hardness": "light_hardness",
    "camera": "cameras",
    "props": "props",
    "motion": "motions",
}
"""A scene's field -> its list in the vocabulary."""


@dataclass(frozen=True)
class Word:
    """One thing the models know: its id, its phrases by language, its colour if it has one."""

    id: str
    en: tuple[str, ...]
    zh: tuple[str, ...]
    hex: str | None = None

    def phrases(self, language: str) -> tuple[str, ...]:
        """The phrases in ``en`` or ``zh``, the preferred one first."""
        return self.en if language == "en" else self.zh


@dataclass(frozen=True)
class Vocabulary:
    """All words by field, the sentence order by language."""

    words: dict[str, tuple[Word, ...]]
    grammar: dict[str, str]

    # Looked up: a training scene asks 33 times, and 300,000 are drawn.
    @functools.cached_property
    def _ids(self) -> dict[str, list[str]]:
        return {field: [word.id for word in words] for field, words in self.words.items()}

    @functools.cached_property
    def _words(self) -> dict[tuple[str, str], Word]:
        return {(field, word.id): word for field, words in self.words.items() for word in words}

    def ids(self, field: str) -> list[str]:
        """The ids of one field, in the order of the file; shared, not to be changed."""
        return self._ids[field]

    def word(self, field: str, id: str) -> Word:
        """One word by field and id."""
        return self._words[field, id]


def read_vocabulary(path: Path) -> Vocabulary:
    """Reads a vocabulary file."""
    data = json.loads(path.read_text(encoding="utf-8"))
    words = {
        field: tuple(
            Word(row["id"], tuple(row["en"]), tuple(row["zh"]), row.get("hex"))
            for row in data[many]
        )
        for field, many in FIELDS.items()
    }
    return Vocabulary(words, data["grammar"])


@functools.cache
def vocabulary() -> Vocabulary:
    """The vocabulary that the training used."""
    return read_vocabulary(Path(__file__).with_name("vocabulary.json"))
