"""What the law of a market wants said of a picture that a model made: the label on it, and who did.

China: the Measures for Labelling AI-Generated Content and GB 45438-2025, in force since 2025-09-01.
The EU: AI Act, article 50, applied since 2026-08-02. docs/labels.md tells what this covers.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from configs.base import Declaration, Fraction

Market = Literal["cn", "eu"]

WORDING: Mapping[Market, str] = {"cn": "AI生成", "eu": "AI-generated"}
"""The label's line in each market."""

_SAYS: Mapping[Market, tuple[re.Pattern[str], str]] = {
    "cn": (
        re.compile(r"(?=.*(人工智能|AI))(?=.*(生成|合成))", re.DOTALL),
        "人工智能 or AI, and 生成 or 合成 (GB 45438-2025, 4.1)",
    ),
    "eu": (re.compile(r"\b(AI|KI|IA)\b|AI生成|人工智能"), "AI, KI or IA (AI Act, article 50)"),
}

PRODUCER_CODE = r"^001[12][0-9A-HJ-NPQRTUWXY]{18}[0-9A-Z]{5}$"
CREDIT_DIGITS = "0123456789ABCDEFGHJKLMNPQRTUWXY"

Plain = Annotated[str, StringConstraints(pattern=r"^[^\x00-\x1f\x7f\uFFFE\uFFFF]{1,200}$")]
"""One line of text that XML takes."""


class Producer(Declaration):
    """The company that answers for what is published; its name goes into every file."""

    name: Plain
    """As it is registered."""
    code: Annotated[str, StringConstraints(pattern=PRODUCER_CODE)] | None = None
    """China's 27-character code of a provider: 0011, its unified social credit code, and
    five characters of its own. Left out: the name stands in its place, as the Measures allow."""

    @model_validator(mode="after")
    def _credit_code_is_right(self) -> Self:
        if self.code and not credit_code_holds(self.code[4:22]):
            raise ValueError(
                f"code: {self.code[4:22]} is no unified social credit code: its last character "
                "does not follow from the others (GB 32100-2015)"
            )
        return self


class Signing(Declaration):
    """The certificate that files are signed with; `keyreel keys new` makes a pair."""

    certificate: Annotated[str, Field(min_length=1, max_length=400)]
    """PEM inside the home: the signing certificate, then those that issued it."""
    key: Annotated[str, Field(min_length=1, max_length=400)]
    """PEM inside the home: its private key, mode 0600. It is read only to sign."""


class Waiver(Declaration):
    """Who decided to leave out what a law may ask for, and why: kept in the catalog."""

    by: Annotated[str, StringConstraints(pattern=r"^[^\x00-\x1f\x7f]{2,80}$")]
    reason: Annotated[str, StringConstraints(pattern=r"^[^\x00-\x1f\x7f]{8,400}$")]


class Label(Declaration):
    """The words on the picture that say a model made it."""

    position: Literal[
        "auto", "top-left", "top", "top-right", "bottom-left", "bottom", "bottom-right"
    ] = "auto"
    """Of the platform's safe box; `auto` takes the first of these where no logo stands."""
    height: Annotated[float, Field(ge=0.05, le=0.15)] = 0.05
    """Of its characters, as a fraction of the frame's short side; GB 45438-2025 asks for 0.05."""
    seconds: Annotated[float, Field(ge=2, le=600)] | None = None
    """How long it stands on a clip, from the first frame on; left out: throughout."""
    text: Annotated[str, StringConstraints(pattern=r"^[^\x00-\x1f\x7f]{1,24}$")] | None = None
    """In place of the market's own words, which it must still say."""
    margin: Annotated[float, Field(ge=0, le=0.2)] = 0.045
    """Distance to the edge as a fraction of the short side."""
    plate: Annotated[Fraction, Field(ge=0.6)] = 0.65
    """Opacity of the black ground beneath the white words: 0.6 gives 5.7:1 on white."""
    off: Waiver | None = None
    """`{by: NAME, reason: WHY}`: files go out without these words, and the catalog keeps who
    decided it. What machines read stays."""


class Sign(Declaration):
    """What machines read in a finished file: metadata, and the signature over it."""

    prompt: bool = False
    """Put the prompt into the metadata: it may say more than the public should know."""


def lines(markets: Collection[Market], text: str | None) -> tuple[str, ...]:
    """Return the label's lines for all `markets`, each line once.

    Raises:
        ValueError: where a text of one's own does not say what a market asks for.
    """
    if text is None:
        return tuple(words for market, words in WORDING.items() if market in markets)
    for market in sorted(markets):
        says, asked = _SAYS[market]
        if not says.search(text):
            raise ValueError(f"label.text: {text!r} must say {asked}")
    return (text,)


def credit_code_holds(code: str) -> bool:
    """Say whether the last character of a unified social credit code follows from the others.

    GB 32100-2015: digits in base 31, weights 3**i mod 31, and a check digit that brings the sum
    to a multiple of 31.
    """
    total = sum(
        CREDIT_DIGITS.index(digit) * pow(3, place, 31) for place, digit in enumerate(code[:17])
    )
    return CREDIT_DIGITS[-total % 31] == code[17]
