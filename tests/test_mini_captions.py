"""Captions say what is in the scene, in both languages."""

import random
import re
from pathlib import Path

import pytest
from jinja2 import Environment, StrictUndefined
from tokenizers import Tokenizer

from gpu.mini.captions import (
    FIELDS,
    caption,
    phrasing,
    vary,
    vary_motion,
)
from gpu.mini.scenes import draw_scene
from gpu.mini.vocabulary import vocabulary
from tests.seconds import least_seconds

FOLDER = Path(__file__).parents[1] / "gpu" / "mini" / "weights" / "image" / "tokenizer"
NAMED_BY_CUSTOM = ("Black Friday", "小红书风格", "网红同款", "都市白领", "留白")
"""Common words with a colour's name in them: the model is to learn that these are none."""


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


class TestGrammar:
    """The one sentence order that prompts are written in."""

    @pytest.mark.parametrize("language", ["en", "zh"])
    def test_round_trip(self, language: str) -> None:
        """Every word of 200 scenes is read back from the sentence."""
        rng = random.Random(3)
        for _ in range(200):
            words = {f: w for f, w in draw_scene(rng, "square").words.items() if f in FIELDS and w}
            assert read_caption(caption(words, language), language) == words

    @pytest.mark.parametrize("language", ["en", "zh"])
    def test_is_the_template_of_the_vocabulary(self, language: str) -> None:
        """Whatever is left out, the caption is what the file's Jinja grammar renders."""
        rng, env = random.Random(2), Environment(undefined=StrictUndefined, autoescape=False)
        template = env.from_string(vocabulary().grammar[language])
        for _ in range(200):
            drawn = draw_scene(rng, "square").words
            words = {f: drawn[f] if rng.random() < 0.6 else "" for f in FIELDS}
            words["product"] = drawn["product"]
            said = {
                f: id and vocabulary().word(f, id).phrases(language)[0] for f, id in words.items()
            }
            assert caption(words, language) == template.render(said)

    def test_parts_may_be_left_out(self) -> None:
        """A product alone is a sentence."""
        assert caption({"product": "mug"}, "en") == "coffee mug"
        assert caption({"product": "mug", "backdrop": "red"}, "zh") == "咖啡杯，红色背景"

    def test_order(self) -> None:
        """The order is the grammar's."""
        words = {"product": "lipstick", "colour": "red", "material": "matte", "surface": "marble",
                 "backdrop": "white", "light_side": "left"}  # fmt: skip
        said = caption(words, "en")
        assert said == "red matte lipstick on white marble, white background, light from the left"


class TestVaried:
    """Random phrasings for training."""

    @pytest.mark.parametrize("language", ["en", "zh"])
    def test_product_is_always_named(self, language: str) -> None:
        """Other parts are left out at random, the product never."""
        rng = random.Random(4)
        for _ in range(100):
            words = draw_scene(rng, "square").words
            text = vary(rng, words, language).lower()
            names = vocabulary().word("product", words["product"]).phrases(language)
            assert any(name.lower() in text for name in names)

    @pytest.mark.parametrize(
        ("language", "gap", "wall"), [("en", " ", ", {} background"), ("zh", "", "，{}背景")]
    )
    def test_shapes(self, language: str, gap: str, wall: str) -> None:
        """The grammar's order and nothing else, the product late, a bare product: all are there."""
        rng, words = random.Random(6), {"product": "mug", "colour": "teal", "backdrop": "peach"}
        mug, teal, peach = (vocabulary().word(f, id).phrases(language) for f, id in words.items())
        bare = {*mug, *(f"{c}{gap}{p}" for c in teal for p in mug)}
        ordered = {f"{subject}{wall.format(b)}" for subject in bare for b in peach}
        texts = [vary(rng, words, language) for _ in range(1000)]
        assert len(set(texts)) > 600
        assert sum(text in ordered for text in texts) > 200
        assert sum(text in bare for text in texts) > 20
        places = [min(text.find(p) for p in mug if p in text) / len(text) for text in texts]
        assert sum(place > 0.5 for place in places) > 150

    @pytest.mark.parametrize("language", ["en", "zh"])
    def test_fits_into_the_tokens_of_training(self, language: str) -> None:
        """At most 3 in 100 are cut at 64 tokens, of which the chat form takes 13; none has 96."""
        rng, tok = random.Random(8), Tokenizer.from_file(str(FOLDER / "tokenizer.json"))
        texts = [vary(rng, draw_scene(rng, "square").words, language) for _ in range(1000)]
        lengths = [len(row.ids) + 13 for row in tok.encode_batch(texts)]
        assert sum(length > 64 for length in lengths) <= 30
        assert max(lengths) < 96

    def test_is_quick(self) -> None:
        """Training draws 1.2 million on the CPU: 60 us each at rest, with room for a busy core."""
        rng, words = random.Random(9), draw_scene(random.Random(1), "square").words
        vary(rng, words, "en")
        took = least_seconds(lambda: [vary(rng, words, "en") for _ in range(300)], times=5)
        assert took < 300 * 150e-6

    @pytest.mark.parametrize("language", ["en", "zh"])
    def test_motion_is_always_named(self, language: str) -> None:
        """A clip's caption has its motion phrase."""
        rng = random.Random(5)
        words = draw_scene(rng, "square").words
        for motion in vocabulary().ids("motion"):
            phrases = vocabulary().word("motion", motion).phrases(language)
            text = vary_motion(rng, words, motion, language)
            assert any(p in text for p in phrases)


def _flat(part: object) -> list[str]:
    if isinstance(part, str):
        return [part]
    values = part.values() if isinstance(part, dict) else part
    return [text for value in values for text in _flat(value)]  # type: ignore[attr-defined]


class TestPhrasing:
    """The words around a scene's own."""

    @pytest.mark.parametrize("language", ["en", "zh"])
    def test_is_broad(self, language: str) -> None:
        """120 fillers and 150 unknown words or more, none twice."""
        for kind, least in (("filler", 120), ("noise", 150)):
            assert len(set(phrasing(language)[kind])) == len(phrasing(language)[kind]) >= least

    @pytest.mark.parametrize("language", ["en", "zh"])
    def test_names_nothing_that_the_models_know(self, language: str) -> None:
        """Else a caption would name what its picture does not show."""
        phrases = [
            re.escape(phrase.casefold())
            for words in vocabulary().words.values()
            for word in words
            for phrase in (*word.en, *word.zh)
            if phrase.isascii() or len(phrase) > 1
        ]
        ascii_ = "|".join(p for p in phrases if p.isascii())
        known = re.compile(
            rf"(?<![a-z])(?:{ascii_})(?:e?s)?(?![a-z])|"
            + "|".join(p for p in phrases if not p.isascii())
        )
        ways = {k: v for k, v in phrasing(language).items() if k != "sides"}
        texts = [re.sub(r"\{\w*\}", "|", text).casefold() for text in _flat(ways)]
        customs = [name.casefold() for name in NAMED_BY_CUSTOM]
        assert [t for t in texts if t not in customs and known.search(t)] == []

    def test_filler_has_no_hanzi_of_a_colour(self) -> None:
        """Tokens may be single hanzi, so one of them can already be heard as a colour."""
        hanzi = set("红橙黄绿蓝紫粉黑白灰银棕")
        texts = {*phrasing("zh")["noise"], *phrasing("zh")["filler"]} - {*NAMED_BY_CUSTOM}
        assert [text for text in texts if hanzi & set(text)] == []


def test_vocabulary_is_wide_enough() -> None:
    """At least 14 products and 30 colours; ids and phrases are unique within a field."""
    known = vocabulary()
    assert len(known.ids("product")) >= 14
    assert len(known.ids("colour")) >= 30
    for field, words in known.words.items():
        assert len(set(known.ids(field))) == len(words)
        for language in ("en", "zh"):
            phrases = [p for w in words for p in w.phrases(language)]
            assert len(set(phrases)) == len(phrases), (field, language)
