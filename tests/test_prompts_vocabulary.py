from __future__ import annotations

import json
from pathlib import Path

import pytest

from configs.errors import BadFile
from configs.vocabulary import Term, Vocabulary, load_vocabulary

SHIPPED = Path(__file__).parents[1] / "gpu" / "mini" / "vocabulary.json"
VOCABULARY = load_vocabulary(SHIPPED)


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("哑光口红", "lipstick"),
        ("matte lipstick", "lipstick"),
        ("陶瓷咖啡杯", "mug"),
        ("Ceramic Coffee Mugs", "mug"),
        ("香水瓶", "perfume"),
        ("头戴式耳机", "headphones"),
        ("无线耳机", "earbuds"),
        ("coffee mug gift box", "gift-box"),  # the head of a noun comes last
        ("礼盒装香薰蜡烛", "candle"),
        ("包", "handbag"),
        ("面包", None),  # bread is no bag
        ("spring water", None),
        ("watchmaker", None),
    ],
)
def test_a_product_is_found_by_its_name(name: str, wanted: str | None):
    """In either language; the thing, not what it is made of or comes in."""
    found = VOCABULARY.find("products", name)
    assert (found.id if found else None) == wanted


def test_materials_and_props_are_found_in_longer_texts():
    """As a template or a person writes them."""
    assert VOCABULARY.find("materials", "哑光口红").id == "matte"
    assert VOCABULARY.find("materials", "陶瓷咖啡杯").id == "ceramic"
    assert VOCABULARY.find("props", "成串的红灯笼和烫金福字").id == "lanterns"


def test_a_colour_may_have_one_name_or_several():
    """`"en": "red"` and `"en": ["red"]` mean the same."""
    assert Term.model_validate({"id": "red", "en": "red", "zh": ["红色"]}).en == ("red",)


def test_a_later_version_may_know_more(tmp_path: Path):
    """A part that this keyreel has not heard of is no error; another format is."""
    words = json.loads(SHIPPED.read_text("utf-8"))
    file = tmp_path / "vocabulary.json"
    file.write_text(json.dumps(words | {"weathers": []}), "utf-8")
    assert load_vocabulary(file).products == VOCABULARY.products
    file.with_name("v2.json").write_text(json.dumps(words | {"version": 2}), "utf-8")
    with pytest.raises(BadFile, match="not a model vocabulary"):
        load_vocabulary(file.with_name("v2.json"))


@pytest.mark.parametrize("content", ["", "[]", "{", '{"version": 1}', '{"version": 1e999}'])
def test_a_broken_vocabulary_is_one_sentence(tmp_path: Path, content: str):
    """Empty, cut off or something else."""
    file = tmp_path / "vocabulary.json"
    file.write_text(content, "utf-8")
    with pytest.raises(BadFile, match="not a model vocabulary"):
        load_vocabulary(file)


def test_a_missing_vocabulary_is_one_sentence(tmp_path: Path):
    """It names the file."""
    with pytest.raises(BadFile, match=r"none\.json"):
        load_vocabulary(tmp_path / "none.json")


def test_the_shipped_vocabulary_is_whole():
    """Every slot has words, every colour and backdrop a value, both grammars are there."""
    assert isinstance(VOCABULARY, Vocabulary)
    assert set(VOCABULARY.grammar) == {"zh", "en"}
    for term in (*VOCABULARY.colours, *VOCABULARY.backdrops):
        assert len(term.hex) == 7
    assert len(VOCABULARY.motions) == 10
