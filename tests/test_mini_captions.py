"""Captions say what is in the scene, in both languages."""

import random

import pytest

from gpu.mini.captions import FIELDS, caption, read_caption, vary, vary_motion
from gpu.mini.scenes import draw_scene
from gpu.mini.vocabulary import vocabulary


class TestGrammar:
    """The one sentence order that prompts are written in."""

    @pytest.mark.parametrize("language", ["en", "zh"])
    def test_round_trip(self, language: str) -> None:
        """Every word of 200 scenes is read back from the sentence."""
        rng = random.Random(3)
        for _ in range(200):
            words = {f: w for f, w in draw_scene(rng, "square").words.items() if f in FIELDS and w}
            assert read_caption(caption(words, language), language) == words

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

    @pytest.mark.parametrize("language", ["en", "zh"])
    def test_motion_is_always_named(self, language: str) -> None:
        """A clip's caption has its motion phrase."""
        rng = random.Random(5)
        words = draw_scene(rng, "square").words
        for motion in vocabulary().ids("motion"):
            phrases = vocabulary().word("motion", motion).phrases(language)
            text = vary_motion(rng, words, motion, language)
            assert any(p in text for p in phrases)


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
