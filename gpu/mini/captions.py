"""Captions for scenes: the grammar of `vocabulary.json`, other phrasings, and the way back."""

import functools
import random
from typing import Final

from jinja2 import Environment, StrictUndefined, Template

from gpu.mini.vocabulary import vocabulary

FIELDS: Final = (
    "product", "colour", "material", "surface", "backdrop", "light_side", "light_warmth",
    "camera", "props",
)  # fmt: skip
FILLER: Final = {
    "en": (
        "high quality", "elegant", "premium", "minimalist", "luxury", "commercial look",
        "sharp focus", "for an e-commerce banner", "highly detailed", "modern style",
        "professional photography", "clean composition", "for social media", "beautiful",
        "product photography", "new arrival", "limited edition", "4k",
    ),
    "zh": (
        "高级感", "高清", "简约", "精致", "奢华", "专业摄影", "电商主图", "现代风格", "细节丰富",
        "适合海报", "社交媒体", "质感", "新品上市", "限定款", "产品摄影",
    ),
}  # fmt: skip
"""Marketing words that change nothing in a picture; trained on, so that they are ignored."""
# How often a caption names a field: what a prompt leaves out must stay free.
KEPT: Final = {
    "colour": 0.97, "material": 0.6, "surface": 0.85, "backdrop": 0.85, "light_side": 0.55,
    "light_warmth": 0.6, "light_hardness": 0.25, "camera": 0.6, "props": 0.95,
}  # fmt: skip


@functools.cache
def _grammar(language: str) -> Template:
    env = Environment(undefined=StrictUndefined, autoescape=False)
    return env.from_string(vocabulary().grammar[language])


def caption(words: dict[str, str], language: str) -> str:
    """The preferred sentence for a scene's words (field -> id, or empty)."""
    phrases = {}
    for name in FIELDS:
        id = words.get(name, "")
        phrases[name] = vocabulary().word(name, id).phrases(language)[0] if id else ""
    return _grammar(language).render(phrases)


def _some(rng: random.Random, words: dict[str, str], language: str) -> dict[str, str]:
    """Phrases for the fields that this caption names."""
    out = {}
    for name, id in words.items():
        if id and rng.random() < KEPT.get(name, 1.0):
            phrases = vocabulary().word(name, id).phrases(language)
            out[name] = phrases[0] if rng.random() < 0.5 else rng.choice(phrases)
    return out


def vary(rng: random.Random, words: dict[str, str], language: str) -> str:
    """A random phrasing: half the grammar's own order, half shuffled, some with filler."""
    got = _some(rng, words, language)
    if rng.random() < 0.5:
        text = _grammar(language).render({name: got.get(name, "") for name in FIELDS})
        if "light_hardness" in got:
            text += (", " if language == "en" else "，") + got["light_hardness"]
        if rng.random() < 0.25:
            text += (", " if language == "en" else "，") + rng.choice(FILLER[language])
        return text
    return _free_en(rng, got) if language == "en" else _free_zh(rng, got)


def _free_en(rng: random.Random, got: dict[str, str]) -> str:
    colour, material = got.get("colour", ""), got.get("material", "")
    pair = [material, colour] if rng.random() < 0.3 else [colour, material]
    subject = " ".join(part for part in [*pair, got["product"]] if part)
    article = "an" if subject[0] in "aeiou" else "a"
    head = rng.choice([
        subject, f"{article} {subject}", f"product photo of {article} {subject}",
        f"studio shot of {article} {subject}", f"advertising photo of {article} {subject}",
        f"a hero shot of our new {subject}",
    ])  # fmt: skip
    tail = [rng.choice([p, f"with {p}"]) for p in [got.get("props", "")] if p]
    if "surface" in got:
        tail.append(f"on {got['surface']}")
    if "backdrop" in got:
        wall = got["backdrop"]
        tail.append(
            rng.choice([f"{wall} background", f"{wall} backdrop", f"against a {wall} background"])
        )
    tail += [got[n] for n in ("camera", "light_side", "light_warmth", "light_hardness") if n in got]
    tail += rng.sample(FILLER["en"], rng.choice([0, 0, 1, 2]))
    rng.shuffle(tail)
    text = ", ".join([head, *tail])
    return text[0].upper() + text[1:] + "." if rng.random() < 0.3 else text


def _free_zh(rng: random.Random, got: dict[str, str]) -> str:
    of = "的" if rng.random() < 0.3 else ""
    subject = got.get("colour", "") + got.get("material", "") + of + got["product"]
    head = rng.choice([
        subject, f"一个{subject}", f"一款{subject}", f"{subject}的商业广告图",
        f"电商产品图，{subject}",
    ])  # fmt: skip
    tail = [rng.choice([p, f"搭配{p}", f"周围有{p}"]) for p in [got.get("props", "")] if p]
    if "surface" in got:
        tail.append(rng.choice([f"放在{got['surface']}上", f"{got['surface']}"]))
    if "backdrop" in got:
        tail.append(rng.choice([f"{got['backdrop']}背景", f"背景为{got['backdrop']}"]))
    tail += [got[n] for n in ("camera", "light_side", "light_warmth", "light_hardness") if n in got]
    tail += rng.sample(FILLER["zh"], rng.choice([0, 0, 1, 2]))
    rng.shuffle(tail)
    return "，".join([head, *tail]) + ("。" if rng.random() < 0.3 else "")


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


def read_caption(text: str, language: str) -> dict[str, str]:
    """The words that a grammar caption names: the longest phrase wins, field by field.

    Backdrop and colour share phrases; the grammar tells them apart by what follows.
    """
    known, found = vocabulary(), {}
    wall_mark, on_mark = (" background", " on ") if language == "en" else ("背景", "放在")
    rest = text
    for name in ("backdrop", "surface", "product", "props", "camera", "light_side",
                 "light_warmth", "material", "colour"):  # fmt: skip
        pairs = [(p, w.id) for w in known.words[name] for p in w.phrases(language)]
        for phrase, id in sorted(pairs, key=lambda pair: -len(pair[0])):
            form = {"backdrop": phrase + wall_mark, "surface": on_mark + phrase}.get(name, phrase)
            if form in rest:
                found[name] = id
                rest = rest.replace(form, " ", 1)
                break
    return found
