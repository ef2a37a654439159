"""One intent in the words of each model: short known words, one long description, or motion only.

Knows nothing of templates, days or seeds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from configs.base import Language
from configs.campaign import Product
from configs.colour import natural
from configs.errors import BadPlan
from configs.model import Model
from configs.phrases import phrases
from configs.prompt import PARTS, Intent
from configs.sandbox import render
from configs.vocabulary import Slot, Term, Vocabulary

_GRAMMAR: Mapping[str, tuple[Slot, str]] = {
    "surface": ("surfaces", "scene"),
    "backdrop": ("backdrops", "scene"),
    "light_side": ("light_sides", "light"),
    "light_warmth": ("light_warmths", "light"),
    "camera": ("cameras", "style"),
    "props": ("props", "action"),
}
"""Where the vocabulary keeps each slot's words, and which part of an intent speaks of it."""
_ENDS = ("。", "！", "？", ".", "!", "?", '"')


def picture(
    intent: Intent, product: Product, model: Model, vocabulary: Vocabulary | None, turn: int = 0
) -> str:
    """Return the picture prompt in the dialect of `model`.

    Args:
        intent: What to show.
        product: The product itself, for what a small model calls it.
        model: The picture model.
        vocabulary: The words of a small model; None for others.
        turn: Above 0 other words for the same things are used, where there are any.

    Raises:
        BadPlan: where the product is nothing that a small model knows, unless it has a photo.
    """
    if model.dialect != "mini":
        return _long(intent)
    if vocabulary is None:
        raise BadPlan(f"the model in {model.folder!r} speaks `mini` but has no vocabulary.json")
    kind = _kind(product, vocabulary)
    if kind is not None:
        return _short(intent, product, kind, vocabulary, turn)
    if product.image is not None:
        return intent.item  # never drawn: the photo takes the picture's place
    kinds = ", ".join(term.id for term in vocabulary.products)
    raise BadPlan(
        f"products: {product.id}: {intent.product!r} is nothing the small model has seen; write "
        f"its `kind` (one of {kinds}), give an own photo as `image`, or use a larger profile"
    )


def motion(intent: Intent, model: Model, vocabulary: Vocabulary | None) -> str:
    """Return the motion prompt: what moves, as the still says the rest.

    Raises:
        BadPlan: where a small model was not taught the camera move.
    """
    language = intent.language
    if vocabulary is not None and (model.shipped or model.dialect == "mini"):
        term = vocabulary.term("motions", intent.move)
        if term is None:
            known = ", ".join(term.id for term in vocabulary.motions)
            raise BadPlan(f"animate.motion: the small model knows no {intent.move!r}, only {known}")
        return term.say(language)
    camera = phrases().move[intent.move].say(language)
    if language == "zh":
        return f"{camera}，{intent.motion}。主体的形状、颜色和文字保持不变，画面稳定流畅。"
    return (
        f"{camera}; {intent.motion}. The shape, colour and lettering of the subject stay "
        "unchanged, and the footage is steady and smooth."
    )


def whole_motion(intent: Intent, moves: bool, model: Model) -> str:
    """Return the motion prompt where the brief gives all of it.

    Args:
        intent: its `motion` is the brief's own text.
        moves: the camera's move was chosen, too, and is said first.
        model: the clip model.

    Raises:
        BadPlan: where the model knows camera moves alone.
    """
    if model.shipped or model.dialect == "mini":
        raise BadPlan(
            "prompt.movement: the small model knows camera moves alone; leave the words out and "
            "choose a move, or take a larger model"
        )
    if not moves:
        return intent.motion
    camera = phrases().move[intent.move].say(intent.language)
    if not intent.motion:
        return camera
    return f"{camera}，{intent.motion}" if intent.language == "zh" else f"{camera}; {intent.motion}"


def footage(picture: str, motion: str, language: Language) -> str:
    """Return the prompt of a clip from words alone: what is seen, then how it moves."""
    return _joined([picture, motion], language) if motion else picture


def _long(intent: Intent) -> str:
    """Return one natural description in the order of the five parts, then any words to draw."""
    subject, action, scene, light, style = (getattr(intent, part) for part in PARTS)
    frame = "画面中还有{}。" if intent.language == "zh" else "Also in the scene: {}."
    added = [text if text.endswith(_ENDS) else frame.format(text) for text in intent.additions]
    return _joined(
        [subject, action, scene, *added, light, style, intent.lettering], intent.language
    )


def _joined(sentences: Sequence[str], language: Language) -> str:
    stop, space = ("。", "") if language == "zh" else (".", " ")
    return space.join(text if text.endswith(_ENDS) else text + stop for text in sentences if text)


def _short(intent: Intent, product: Product, kind: Term, vocabulary: Vocabulary, turn: int) -> str:
    """Return the vocabulary's own grammar, filled with the words it knows."""
    names = (product.name.zh, product.name.en)
    material = vocabulary.find("materials", product.material or "", *names)
    colour = _colour(product, vocabulary)
    filled = {
        "product": kind.say(intent.language),
        "material": material.say(intent.language) if material else "",
        "colour": colour.say(intent.language) if colour else "",
    }
    for slot, (terms, part) in _GRAMMAR.items():
        term = _word(intent, slot, terms, part, vocabulary)
        filled[slot] = term.say(intent.language, turn) if term else ""
    return render(vocabulary.grammar[intent.language], filled)


def _word(intent: Intent, slot: str, terms: Slot, part: str, vocabulary: Vocabulary) -> Term | None:
    """Return the known word for a slot: added ones first, then the template's, then any named."""
    if slot == "props":
        added = vocabulary.find("props", *intent.additions)
        if added is not None:
            return added
    if slot in intent.words:
        return vocabulary.term(terms, intent.words[slot])
    return vocabulary.find(terms, getattr(intent, part))


def _kind(product: Product, vocabulary: Vocabulary) -> Term | None:
    if product.kind is None:
        return vocabulary.find("products", product.name.zh, product.name.en)
    return vocabulary.term("products", product.kind) or vocabulary.find("products", product.kind)


def _colour(product: Product, vocabulary: Vocabulary) -> Term | None:
    if product.colour is None:
        return vocabulary.find("colours", product.name.zh, product.name.en)
    return vocabulary.term("colours", natural(product.colour, vocabulary.colours).id)
