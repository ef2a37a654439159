"""What templates call surfaces, backdrops, light sides and camera moves, in both languages."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from configs.base import Declaration, Words
from configs.colour import Hex
from configs.fill import load


class Backdrop(Words):
    """A backdrop's colour word, with its value."""

    hex: Hex


class Phrases(Declaration):
    """The file words.yaml: phrases by id."""

    surface: dict[str, Words]
    backdrop: dict[str, Backdrop]
    light_side: dict[str, Words]
    move: dict[str, Words]

    def slot(self, name: str) -> dict[str, Words]:
        """Return the phrases of a slot; none for slots that no sentence mentions."""
        found: dict[str, Words] = getattr(self, name, {})
        return found


@lru_cache(maxsize=1)
def phrases() -> Phrases:
    """Return the phrases of words.yaml."""
    return load(Path(__file__).with_name("words.yaml"), Phrases)[0]
