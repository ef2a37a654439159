"""Text into lines: the rules of Chinese and English, and lines of one length."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from configs.errors import BadPlan
from tasks.font import bundled
from tasks.lines import break_lines, clean
from tests.seconds import least_seconds

FONT = bundled("Noto Sans SC")
NO_START = "，。、；：！？）》」』】…·%”’"
NO_END = "（《「『【“‘¥$"


def lines(text: str, limit: float, most: int = 6):
    return break_lines(clean(text), FONT.width, limit, most)


@pytest.mark.parametrize(
    ("text", "limit", "expected"),
    [
        ("春日限定", 5, ("春日限定",)),
        ("第一支半价（限周五）！", 8, ("第一支半价", "（限周五）！")),
        ("“春日限定”口红：新品", 8, ("“春日限定”", "口红：新品")),
        ("全场8.5折/第2件半价", 8, ("全场8.5折/", "第2件半价")),
        ("Spring edition, matte lipstick", 9, ("Spring edition,", "matte lipstick")),
        ("哑光口红 ¥129.00 起，满200元减50元", 12, ("哑光口红 ¥129.00 起，", "满200元减50元")),
        ("春日\n限定", 9, ("春日", "限定")),
    ],
)
def test_lines_end_where_a_typesetter_would_end_them(text, limit, expected):
    """Punctuation stays with its words, numbers with their units, words and phrases whole."""
    assert lines(text, limit) == expected


def test_a_word_is_not_split():
    """What does not fit is refused, not hyphenated."""
    assert lines("Antidisestablishmentarianism", 8) is None
    assert lines("口红 Antidisestablishmentarianism", 16) == (
        "口红",
        "Antidisestablishmentarianism",
    )


def test_no_more_lines_than_wanted():
    """A third line is refused where two are wanted."""
    assert lines("春日限定哑光口红上市", 4, most=2) is None
    assert len(lines("春日限定哑光口红上市", 4, most=3) or ()) == 3


def test_a_flood_of_text_is_refused_at_once():
    """As long as a template may grow, tried at each size: no minutes of work."""
    for flood in ("口红" * 2000, "口红\n" * 1000):
        assert lines(flood, 20) is None
        assert least_seconds(lambda flood=flood: lines(flood, 20)) < 0.3


ALPHABET = "春日限定口红咖啡杯新品一二，。、：！？（）《》“”¥%·…—Ab1 29.5-/"


@settings(max_examples=300, deadline=None)
@given(st.text(ALPHABET, min_size=1, max_size=30), st.floats(3, 14))
def test_any_text_keeps_the_rules(text, limit):
    """No line begins with closing punctuation or ends with opening, none is too long or lost."""
    cleaned = clean(text)
    made = break_lines(cleaned, FONT.width, limit, 12) if cleaned else ()
    if not made:
        return
    assert "".join(made).replace(" ", "") == cleaned.replace(" ", "").replace("\n", "")
    for number, line in enumerate(made):
        assert FONT.width(line) <= limit + 1e-6
        assert line == line.strip()
        if number and not cleaned_before_is_space(cleaned, made, number):
            assert line[0] not in "，。、；：！？）》…·%"
            assert made[number - 1][-1] not in "（《"


def cleaned_before_is_space(text: str, made: tuple[str, ...], number: int) -> bool:
    """Say whether the writer put a space where line `number` begins: then a rule may be broken."""
    seen = 0
    for character in text:
        if seen == sum(map(len, (line.replace(" ", "") for line in made[:number]))):
            return character.isspace()
        seen += not character.isspace()
    return False


@pytest.mark.parametrize(
    "character", ["\x07", "\u202e", "\u200b", "\u2066", "\u200f", "\ue000", "\ufeff", "\x00"]
)
def test_what_cannot_be_seen_is_refused_by_name(character):
    """Bidi controls, zero-width and control characters are told with their number."""
    with pytest.raises(BadPlan, match=f"U\\+{ord(character):04X}.*delete it"):
        clean(f"口{character}红")


def test_text_is_composed_and_its_blanks_are_one():
    """A decomposed é is one character; tabs and runs of spaces are one space."""
    assert clean("Lumie\u0300re \t  口红 \n\n  新品 ") == "Lumi\u00e8re 口红\n新品"
    assert unicodedata.is_normalized("NFC", clean("e\u0301"))
