"""How long a text is by a platform's own count."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping
from typing import Literal

Count = Literal["characters", "utf16", "bytes", "halves", "weighted"]

# X's rule (https://developer.x.com/en/docs/counting-characters), its numbers from twitter-text's
# config/v3.json: after NFC a code point of these ranges weighs 1 and any other 2; an emoji weighs 2
# however many code points it takes, a link 23 however long it is.
_LIGHT = ((0x0000, 0x10FF), (0x2000, 0x200D), (0x2010, 0x201F), (0x2032, 0x2037))
_LINK_WEIGHT, _EMOJI_WEIGHT = 23, 2
_LINK = re.compile(
    r"(?:https?://)?(?:[a-z0-9-]+\.)+[a-z]{2,}(?::\d+)?(?:/[^\s\u2e80-\uffff]*)?", re.IGNORECASE
)
_SIGN = (
    "(?:[\u00a9\u00ae]\ufe0f"
    "|[\u203c-\u2bff\u3030\u303d\u3297\u3299\U0001f000-\U0001faff]\ufe0f?)"
    "[\U0001f3fb-\U0001f3ff]?"
)
_EMOJI = re.compile(
    "[\U0001f1e6-\U0001f1ff]{2}"  # a flag
    "|[0-9#*]\ufe0f?\u20e3"  # a key
    f"|{_SIGN}(?:\u200d{_SIGN})*[\U000e0020-\U000e007f]*"
)


def length(text: str, count: Count) -> int:
    """Return how long `text` is.

    Args:
        text: as it is published.
        count: `characters` are Unicode code points; `utf16` is units of 16 bits, two for most
            emoji; `bytes` are UTF-8's, three for a hanzi; `halves` takes a hanzi for 1 and an ASCII
            letter for a half, rounded up; `weighted` is X's.
    """
    return _COUNTS[count](text)


def _utf16(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2


def _halves(text: str) -> int:
    return (sum(1 if char.isascii() else 2 * _utf16(char) for char in text) + 1) // 2


def _weighted(text: str) -> int:
    rest, links = _LINK.subn("", unicodedata.normalize("NFC", text))
    rest, emoji = _EMOJI.subn("", rest)
    light = sum(any(low <= ord(char) <= high for low, high in _LIGHT) for char in rest)
    return links * _LINK_WEIGHT + emoji * _EMOJI_WEIGHT + light + 2 * (len(rest) - light)


_COUNTS: Mapping[Count, Callable[[str], int]] = {
    "characters": len,
    "utf16": _utf16,
    "bytes": lambda text: len(text.encode()),
    "halves": _halves,
    "weighted": _weighted,
}
