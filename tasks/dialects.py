"""One intent in the words of each model: short known words, one long description, or motion only.

Knows nothing of templates or campaigns.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from configs.base import Language
from configs.errors import BadPlan
from configs.phrases import phrases
from configs.prompt import PARTS, Intent
from configs.sandbox import render
from configs.vocabulary import Slot, Term, Vocabulary

GRAMMAR_SLOTS: Mapping[str, Slot] = {
    "surface": "surfaces",
    "backdrop": "backdrops",
    "light_side": "light_sides",
    "light_warmth": "light_warmths",
    "camera": "cameras",
    "props": "props",
}
_ENDS = ("。", "！", "？", ".", "!", "?", '"')


@dataclass(frozen=True, slots=True)
class Known:
    """The product in a small model's words."""

    product: Term
    colour: Term | None
    material: Term | None


def z_image_picture(intent: Intent) -> str:
    """Return one natural description in the order of the five parts, then any words to draw."""
    parts = [getattr(intent, part) for part in PARTS]
    scene = PARTS.index("scene")
    said = [*parts[: scene + 1], *map(_added(intent.language), intent.additions)]
    return _join([*said, *parts[scene + 1 :], intent.lettering], intent.language)


def _added(language: Language) -> Callable[[str], str]:
    """Make a sentence of an addition, unless it is one."""
    frame = "画面中还有{}。" if language == "zh" else "Also in the scene: {}."
    return lambda text: text if text.endswith(_ENDS) else frame.format(text)


def wan_motion(intent: Intent) -> str:
    """Return what moves: the camera, then the light and things; the still says the rest."""
    camera = phrases().move[intent.move].say(intent.language)
    if intent.language == "zh":
        return f"{camera}，{intent.motion}。主体的形状、颜色和文字保持不变，画面稳定流畅。"
    return (
        f"{camera}; {intent.motion}. The shape, colour and lettering of the subject stay "
        "unchanged, and the footage is steady and smooth."
    )


def mini_picture(intent: Intent, known: Known, vocabulary: Vocabulary) -> str:
    """Return the vocabulary's own grammar, filled with the words it knows."""
    language = intent.language
    filled: dict[str, str] = {
        "product": known.product.say(language),
        "colour": known.colour.say(language) if known.colour else "",
        "material": known.material.say(language) if known.material else "",
    }
    for slot, terms in GRAMMAR_SLOTS.items():
        term = vocabulary.term(terms, intent.words.get(slot, ""))
        filled[slot] = term.say(language) if term else ""
    return render(vocabulary.grammar[language], filled)


def mini_motion(intent: Intent, vocabulary: Vocabulary) -> str:
    """Return the vocabulary's phrase for the camera move.

    Raises:
        BadPlan: where the model was not taught it.
    """
    term = vocabulary.term("motions", intent.move)
    if term is None:
        known = ", ".join(term.id for term in vocabulary.motions)
        raise BadPlan(
            f"animate.motion: the clip model does not know {intent.move!r}; it knows {known}"
        )
    return term.say(intent.language)


def _join(sentences: list[str], language: Language) -> str:
    full = "。" if language == "zh" else "."
    ended = [text if text.endswith(_ENDS) else text + full for text in sentences if text]
    return ("" if language == "zh" else " ").join(ended)
