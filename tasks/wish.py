"""Words that a language model is asked to write out more fully, and what its answer must keep.

Knows neither prompts nor captions: each says by itself what else makes an answer unusable.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Literal

from configs.base import Declaration, Language, Words
from configs.fill import load

Port = Literal["picture", "motion", "footage", "caption"]
_HANZI = re.compile(r"[\u4e00-\u9fff]")


@dataclass(frozen=True, slots=True)
class Wish:
    """A text that a language model is asked to write out more fully."""

    key: str
    expander: Literal["endpoint", "local"]
    port: Port
    """What it becomes: which guide the model is told."""
    language: Language
    text: str
    """The template's words, as the model is shown them."""
    keep: tuple[str, ...]
    """What its answer must hold verbatim."""
    seed: int
    check: Callable[[str], str] = field(default=lambda _: "", compare=False)
    """Says what else makes an answer unusable, in English; nothing where it is usable."""

    def fault(self, answer: str) -> str:
        """Return what makes an answer unusable, in English; nothing where it is usable."""
        lost = [word for word in self.keep if word not in answer]
        if lost:
            return f"it lacks {', '.join(lost)}"
        if not answer.replace("\n", "").isprintable():
            return "it holds control characters"
        return self.check(answer)


class Guides(Declaration):
    """The file guides.yaml: what language models are told."""

    version: int
    picture: Words
    motion: Words
    footage: Words
    caption: Words
    limits: dict[str, Words]
    retry: Words


@cache
def guides() -> Guides:
    """Return what language models are told."""
    return load(Path(__file__).parents[1] / "configs" / "guides.yaml", Guides)[0]


def foreign(text: str, language: Language) -> str:
    """Return what is wrong where a text is not in `language`; names were taken out before."""
    hanzi = len(_HANZI.findall(text))
    if hanzi * 3 < len(text) if language == "zh" else hanzi:
        return f"it is not in {'Chinese' if language == 'zh' else 'English'}"
    return ""


def granted(wish: Wish, expansions: Mapping[str, str]) -> tuple[str, str]:
    """Return what a language model wrote, or "" with the reason why it did not.

    Args:
        wish: which was asked.
        expansions: as `tasks.expanders.fulfil` returns them.

    Returns:
        The text and the model's name, or "" and the reason.
    """
    if wish.key in expansions:
        return expansions[wish.key], expansions[f"{wish.key}/by"]
    return "", expansions.get(f"{wish.key}/why", "no language model was asked")
