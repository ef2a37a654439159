"""Captions for scenes: the grammar of `vocabulary.json`, free phrasings, and the way back."""

import functools
import json
import random
from pathlib import Path
from typing import Final

from gpu.mini.untyped import Untyped
from gpu.mini.vocabulary import vocabulary

FIELDS: Final = (
    "product", "colour", "material", "surface", "backdrop", "light_side", "light_warmth",
    "camera", "props",
)  # fmt: skip
# How often a caption names a field: what a prompt leaves out must stay free.
KEPT: Final = {
    "colour": 0.97, "material": 0.6, "surface": 0.85, "backdrop": 0.85, "light_side": 0.55,
    "light_warmth": 0.6, "light_hardness": 0.25, "camera": 0.6, "props": 0.95,
}  # fmt: skip
ORDERED: Final = 0.4
"""The share of captions in the grammar's own order: campaign prompts use no other."""
# The grammar's marks: between the subject's words, round a surface, after a backdrop, between
# parts. A Jinja template says the same at 10 times the time; a test holds them equal.
_MARKS: Final = {
    "en": (" ", " on {}", ", {} background", ", "),
    "zh": ("", "，放在{}上", "，{}背景", "，"),
}
_SHAPES: Final = ("short",) * 2 + ("head",) * 9 + ("order",) * 4 + ("last",) * 5
"""Of free captions: product and colour only, subject first, as an order, subject late."""
# Tokens a letter takes, known words and others: the tokenizer never saw many of the others.
_TOKENS: Final = {"en": (0.3, 0.6), "zh": (0.9, 2.1)}
_ROOM: Final = 44
"""Tokens that filler may fill a caption up to: 64 are the widest in training, the chat form takes
the rest."""


@functools.cache
def phrasing(language: str) -> Untyped:
    """Sentence shapes, festivals by what goes with them, filler and unknown words.

    Filler changes nothing in a picture; it is trained on, so that it is ignored.
    """
    path = Path(__file__).with_name("phrasing.json")
    return json.loads(path.read_text(encoding="utf-8"))[language]


@functools.cache
def _phrases(field: str, id: str, language: str) -> tuple[str, ...]:
    return vocabulary().word(field, id).phrases(language)


def caption(words: dict[str, str], language: str) -> str:
    """The preferred sentence for a scene's words (field -> id, or empty)."""
    return _ordered(
        {f: _phrases(f, words[f], language)[0] for f in FIELDS if words.get(f)}, language
    )


def _ordered(got: dict[str, str], language: str) -> str:
    gap, on, wall, comma = _MARKS[language]
    said = gap.join([got[n] for n in ("colour", "material", "product") if n in got])
    if "surface" in got:
        said += on.format(got["surface"])
    if "backdrop" in got:
        said += wall.format(got["backdrop"])
    rest = ("props", "camera", "light_side", "light_warmth", "light_hardness")
    return comma.join([said, *[got[n] for n in rest if n in got]])


def _some(rng: random.Random, words: dict[str, str], language: str) -> dict[str, str]:
    """Phrases for the fields that this caption names."""
    out = {}
    for name, id in words.items():
        if id and rng.random() < KEPT.get(name, 1.0):
            phrases = _phrases(name, id, language)
            out[name] = phrases[0] if rng.random() < 0.5 else rng.choice(phrases)
    return out


def vary(rng: random.Random, words: dict[str, str], language: str) -> str:
    """A random phrasing: in the grammar's own order or free, many with words that mean nothing.

    43 tokens with the chat form on average, 2 in 100 above 64, where training cuts them.
    """
    got = _some(rng, words, language)
    if rng.random() >= ORDERED:
        return _free(rng, got, words, language)
    said, comma = _ordered(got, language), _MARKS[language][3]
    if rng.random() < 0.7:
        return said
    extras = _fitting(_extras(rng, words, language), said, language)
    return comma.join([said, *extras] if rng.random() < 0.7 else [*extras, said])


def _free(rng: random.Random, got: dict[str, str], words: dict[str, str], language: str) -> str:
    ways, shape = phrasing(language), rng.choice(_SHAPES)
    if shape == "short":
        kept = ("product", "colour") if rng.random() < 0.8 else ("product",)
        got = {name: got[name] for name in kept if name in got}
    join, head = rng.choice(ways["join"]), _head(rng, got, shape, language)
    tail = _tail(rng, got, words, ways)
    if shape == "last" and tail:  # the scene, or some of it, comes first
        cut = rng.randint(1, len(tail))
        head = join.join(tail[:cut]) + rng.choice(ways["colon"]) + head
        tail = tail[cut:]
    parts = [head, *tail]
    for extra in _fitting(_extras(rng, words, language), join.join(parts), language):
        parts.insert(rng.randint(0, len(parts)), extra)
    return str(join.join(parts) + rng.choice(ways["end"]))


def _head(rng: random.Random, got: dict[str, str], shape: str, language: str) -> str:
    """The subject in a sentence; takes the camera out of ``got`` where it begins that sentence."""
    ways, view = phrasing(language), got.get("camera", "")
    late = "colour" in got and rng.random() < 0.2
    subject = _subject(rng, got, language, late)
    forms = {"s": subject, "a": _one(rng, subject, language)}
    if view.endswith(tuple(ways["views"])) and view and rng.random() < 0.2:
        return str(rng.choice(ways["view"]).format(v=got.pop("camera"), **forms))
    heads = ways["head" if shape == "short" else shape]
    if late:  # nothing may come between the noun and its colour
        heads = [head for head in heads if head[-1] == "}"]
    return str(rng.choice(heads).format(**forms))


def _subject(rng: random.Random, got: dict[str, str], language: str, late: bool) -> str:
    """Product, material and colour; a late colour comes after the noun."""
    gap = _MARKS[language][0]
    colour, material, product = got.get("colour", ""), got.get("material", ""), got["product"]
    thing = gap.join([material, product]) if material else product
    roll = rng.random()
    if not colour:
        return thing
    if late:
        return str(rng.choice(phrasing(language)["late"]).format(mp=thing, c=colour))
    if language == "zh":
        if len(colour) == 2 and colour[0] in "红橙黄绿蓝紫粉黑白灰银金棕" and roll < 0.15:
            colour = colour[0]
        elif roll > 0.8:
            colour += "的"
    if roll > 0.85 and material:
        return gap.join([material, colour, product])
    return gap.join([colour, thing])


def _one(rng: random.Random, subject: str, language: str) -> str:
    """The subject with an article or a measure word; plurals have none."""
    if language == "zh":
        return str(rng.choice(phrasing(language)["article"])) + subject
    if subject[-1] == "s":
        return subject
    return ("an " if subject[0] in "aeiou" else "a ") + subject


def _tail(
    rng: random.Random, got: dict[str, str], words: dict[str, str], ways: Untyped
) -> list[str]:
    """The scene's other parts, each in a random form, in a random order."""
    tail = [
        rng.choice(ways[name]).format(got[name])
        for name in ("surface", "backdrop", "props", "camera")
        if name in got
    ]
    side, warmth = got.get("light_side"), got.get("light_warmth")
    if side and warmth and rng.random() < 0.35:
        from_ = rng.choice(ways["sides"][words["light_side"]])
        tail.append(rng.choice(ways["both"]).format(w=warmth, d=from_))
    else:
        tail += [side] if side else []
        tail += [rng.choice(ways["light"]).format(warmth)] if warmth else []
    tail += [got["light_hardness"]] if "light_hardness" in got else []
    rng.shuffle(tail)
    return tail[: rng.randint(2, 6)]


def _extras(rng: random.Random, words: dict[str, str], language: str) -> list[str]:
    """Words that change nothing: filler (some with a typo), a festival, unknown words."""
    ways = phrasing(language)
    out = rng.sample(ways["filler"], rng.choice((0, 0, 0, 1, 1, 1, 2, 2, 3, 4)))
    out = [_typo(rng, said) if rng.random() < 0.05 else said for said in out]
    days = ways["festivals"]
    fitting = days.get(words.get("props")) or days.get(words.get("backdrop"))
    if rng.random() < (0.25 if fitting else 0.04):
        day = rng.choice(fitting or days[rng.choice(list(days))])
        out.append(rng.choice(ways["festival"]).format(day))
    if rng.random() < 0.15:
        count = rng.choice((1, 1, 2, 3))
        out.append(_MARKS[language][0].join(rng.sample(ways["noise"], count)))
    rng.shuffle(out)
    return out


def _typo(rng: random.Random, said: str) -> str:
    """Two letters swapped, or one left out."""
    i = rng.randrange(len(said) - 1)
    return said[:i] + (said[i + 1] + said[i] if rng.random() < 0.5 else said[i]) + said[i + 2 :]


def _fitting(extras: list[str], said: str, language: str) -> list[str]:
    """The extras that still fit into the tokens of a caption."""
    known, other = _TOKENS[language]
    used, out = len(said) * known, []
    for extra in extras:
        used += len(extra) * other + 1
        if used > _ROOM:
            break
        out.append(extra)
    return out


def vary_motion(rng: random.Random, words: dict[str, str], motion: str, language: str) -> str:
    """A clip's caption: the motion phrase alone, or with the product or the whole scene."""
    phrases = vocabulary().word("motion", motion).phrases(language)
    move = phrases[0] if rng.random() < 0.5 else rng.choice(phrases)
    comma, kind = (", " if language == "en" else "，"), rng.random()
    if kind < 0.45:
        return move
    if kind < 0.7:
        said = vocabulary().word("product", words["product"]).phrases(language)[0]
    else:
        said = vary(rng, words, language)
    return comma.join([said, move] if rng.random() < 0.6 else [move, said])
