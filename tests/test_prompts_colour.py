from __future__ import annotations

import itertools

import pytest

from configs.colour import ciede2000, difference, natural, shipped_colours
from configs.errors import BadInput
from configs.vocabulary import Term

# Table 1 of Sharma, Wu and Dalal 2005: L, a, b of two colours, and their difference.
PAIRS = """
50.0000 2.6772 -79.7751 50.0000 0.0000 -82.7485 2.0425
50.0000 3.1571 -77.2803 50.0000 0.0000 -82.7485 2.8615
50.0000 2.8361 -74.0200 50.0000 0.0000 -82.7485 3.4412
50.0000 -1.3802 -84.2814 50.0000 0.0000 -82.7485 1.0000
50.0000 -1.1848 -84.8006 50.0000 0.0000 -82.7485 1.0000
50.0000 -0.9009 -85.5211 50.0000 0.0000 -82.7485 1.0000
50.0000 0.0000 0.0000 50.0000 -1.0000 2.0000 2.3669
50.0000 -1.0000 2.0000 50.0000 0.0000 0.0000 2.3669
50.0000 2.4900 -0.0010 50.0000 -2.4900 0.0009 7.1792
50.0000 2.4900 -0.0010 50.0000 -2.4900 0.0010 7.1792
50.0000 2.4900 -0.0010 50.0000 -2.4900 0.0011 7.2195
50.0000 2.4900 -0.0010 50.0000 -2.4900 0.0012 7.2195
50.0000 -0.0010 2.4900 50.0000 0.0009 -2.4900 4.8045
50.0000 -0.0010 2.4900 50.0000 0.0010 -2.4900 4.8045
50.0000 -0.0010 2.4900 50.0000 0.0011 -2.4900 4.7461
50.0000 2.5000 0.0000 50.0000 0.0000 -2.5000 4.3065
50.0000 2.5000 0.0000 73.0000 25.0000 -18.0000 27.1492
50.0000 2.5000 0.0000 61.0000 -5.0000 29.0000 22.8977
50.0000 2.5000 0.0000 56.0000 -27.0000 -3.0000 31.9030
50.0000 2.5000 0.0000 58.0000 24.0000 15.0000 19.4535
50.0000 2.5000 0.0000 50.0000 3.1736 0.5854 1.0000
50.0000 2.5000 0.0000 50.0000 3.2972 0.0000 1.0000
50.0000 2.5000 0.0000 50.0000 1.8634 0.5757 1.0000
50.0000 2.5000 0.0000 50.0000 3.2592 0.3350 1.0000
60.2574 -34.0099 36.2677 60.4626 -34.1751 39.4387 1.2644
63.0109 -31.0961 -5.8663 62.8187 -29.7946 -4.0864 1.2630
61.2901 3.7196 -5.3901 61.4292 2.2480 -4.9620 1.8731
35.0831 -44.1164 3.7933 35.0232 -40.0716 1.5901 1.8645
22.7233 20.0904 -46.6940 23.0331 14.9730 -42.5619 2.0373
36.4612 47.8580 18.3852 36.2715 50.5065 21.2231 1.4146
90.8027 -2.0831 1.4410 91.1528 -1.6435 0.0447 1.4441
90.9257 -0.5406 -0.9208 88.6381 -0.8985 -0.7239 1.5381
6.7747 -0.2908 -2.4247 5.8714 -0.0985 -2.2286 0.6377
2.0776 0.0795 -1.1350 0.9033 -0.0636 -0.5514 0.9082
"""


@pytest.mark.parametrize("row", PAIRS.strip().splitlines())
def test_ciede2000_gives_the_published_differences(row: str):
    """All 34 pairs of the paper, to its four decimals, in both directions."""
    l1, a1, b1, l2, a2, b2, wanted = map(float, row.split())
    assert ciede2000((l1, a1, b1), (l2, a2, b2)) == pytest.approx(wanted, abs=5e-5)
    assert ciede2000((l2, a2, b2), (l1, a1, b1)) == pytest.approx(wanted, abs=5e-5)


@pytest.mark.parametrize(
    ("value", "zh", "en"),
    [
        ("#B3122B", "深红色", "crimson"),  # the demo's lipstick
        ("#ff0000", "鲜红色", "bright red"),
        ("#ffffff", "白色", "white"),
        ("#000000", "黑色", "black"),
        ("#808080", "灰色", "grey"),
        ("#d4af37", "金色", "gold"),
        ("#7a1f2b", "酒红色", "wine red"),
        ("#81d8d0", "知更鸟蛋蓝", "robin's egg blue"),
    ],
)
def test_a_value_becomes_the_word_people_use(value: str, zh: str, en: str):
    """Nearest by eye, in both languages."""
    words = natural(value)
    assert (words.zh, words.en) == (zh, en)
    assert words.distance < 6


@pytest.mark.parametrize("name", ["酒红色", "酒红", "Wine Red", "wine-red", "burgundy"])
def test_a_name_in_either_language_is_as_good_as_a_value(name: str):
    """Case, hyphens and a final 色 do not matter."""
    assert natural(name).id == "wine-red"
    assert natural(name).distance == 0


def test_a_models_own_palette_goes_first():
    """A model that knows three colours is told one of them, whatever it is asked for."""
    three = tuple(
        Term(id=name, en=(name,), zh=(zh,), hex=value)
        for name, zh, value in (
            ("red", "红色", "#c8171f"),
            ("green", "绿色", "#1f8a3b"),
            ("blue", "蓝色", "#1f55c8"),
        )
    )
    assert natural("#B3122B", three).zh == "红色"
    assert natural("teal", three).id == "green"  # a name from the long list, nearest of the three
    assert natural("绿色", three).distance == 0


@pytest.mark.parametrize(
    ("value", "hint"),
    [("crimsen", "'crimson'"), ("粉红红", "'粉红色'"), ("qwerty", "'酒红色'"), ("#12", "#RRGGBB")],
)
def test_nonsense_is_refused_with_the_nearest_word(value: str, hint: str):
    """A typo costs one glance."""
    with pytest.raises(BadInput, match="is no colour") as caught:
        natural(value)
    assert hint in str(caught.value)


def test_every_shipped_colour_has_a_value_and_names_of_its_own():
    """At least 140 words, each in both languages, no name twice, none hardly apart from another."""
    colours = shipped_colours()
    assert len(colours) >= 140
    names = [name for term in colours for name in (*term.en, *term.zh)]
    assert len(names) == len(set(names))
    for first, second in itertools.combinations(colours, 2):
        assert difference(first.hex, second.hex) > 2, (first.id, second.id)


@pytest.mark.parametrize("term", shipped_colours(), ids=lambda term: term.id)
def test_every_shipped_colour_is_its_own_nearest(term: Term):
    """Asking for a word's value gives the word."""
    assert natural(term.hex).id == term.id
