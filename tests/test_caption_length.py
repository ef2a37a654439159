"""How long a text is by the counts of platforms."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from configs.length import length

FAMILY = "👨‍👩‍👧‍👦"


@pytest.mark.parametrize(
    ("text", "weight"),
    [
        ("hello", 5),
        ("春日限定", 8),
        ("春日限定 #lipstick", 8 + 10),
        ("a…b", 4),  # an ellipsis is outside the light ranges
        ("a—b “c”", 7),
        (FAMILY, 2),
        ("👍🏽", 2),
        ("🇨🇳🇫🇷", 4),
        ("1️⃣", 2),
        ("https://example.com/a/very/long/address?with=a&query=in-it", 23),
        ("见 example.com 上新", 2 + 1 + 23 + 1 + 4),
        ("de\N{COMBINING ACUTE ACCENT}", 2),  # NFC joins the two
        ("汉" * 140, 280),
        ("", 0),
    ],
)
def test_x_weighs_hanzi_emoji_and_links(text, weight):
    """As its page on counting characters says: 2 a hanzi, 2 an emoji of any length, 23 a link."""
    assert length(text, "weighted") == weight


@pytest.mark.parametrize(
    ("count", "text", "expected"),
    [
        ("characters", f"口红{FAMILY}", 9),
        ("utf16", "口红👍", 4),
        ("utf16", FAMILY, 11),
        ("bytes", "口红a", 7),
        ("halves", "hello", 3),
        ("halves", "你好hello", 5),
        ("halves", "你好hell", 4),
        ("halves", "👍", 2),
    ],
)
def test_each_count_has_its_own_unit(count, text, expected):
    """Code points, UTF-16 units, bytes, and halves rounded up."""
    assert length(text, count) == expected


@given(st.text(st.characters(codec="utf-8"), max_size=60))
def test_counts_stand_in_their_order(text):
    """Code points are fewest, bytes most; halves never pass UTF-16 units."""
    assert len(text) <= length(text, "utf16") <= length(text, "bytes")
    assert length(text, "halves") <= length(text, "utf16")
    assert length(text, "weighted") >= 0
