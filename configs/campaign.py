"""The campaign file: what a person writes to get a week of pictures and clips.

Says nothing of how a picture is made: that is the pipeline's and the profile's part.
"""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from configs.base import Declaration, Fraction, Json, Language, Slug, Words
from configs.labels import Market, Plain, Producer, Signing

COLOUR = r"^(#[0-9a-fA-F]{6}|[^#].{0,39})$"
LOCALE = r"^[a-z]{2}_[A-Z]{2}$"
Colour = Annotated[str, StringConstraints(pattern=COLOUR)]
"""A value as `#RRGGBB`, or a colour's name in either language."""

Day = Annotated[dt.date, Field(ge=dt.date(1901, 1, 1), le=dt.date(2098, 12, 31))]
"""Festivals are tabulated from 1901 to 2099, and a calendar runs a year at most."""

REASON = r"^[^\x00-\x1f\x7f]{4,400}$"
Reason = Annotated[str, StringConstraints(pattern=REASON)]
"""Why a rule is set aside: kept in the catalog."""

CLOCK = r"^([01][0-9]|2[0-3]):[0-5][0-9]$"
Clock = Annotated[str, StringConstraints(pattern=CLOCK)]

AxisValue = str | int | float | bool


class Focus(Declaration):
    """The point of a picture that no crop may lose, as fractions of width and height."""

    x: Fraction = 0.5
    y: Fraction = 0.5


Whole = Annotated[str, Field(min_length=1, max_length=4000)]


class Told(Declaration):
    """What the models are told, as it stands: no template has a part in it."""

    picture: Whole | None = None
    """All that is told of what is seen; left out: a template's words."""
    movement: Whole | None = None
    """All that the clip model is told, after the camera's move where one is set."""


class Product(Declaration):
    """One thing to advertise."""

    id: Slug
    """Stands in file names and shot ids."""
    name: Words
    kind: str | None = None
    """The product's kind in the model's vocabulary; found in the name where left out."""
    colour: Colour | None = None
    material: str | None = None
    image: str | None = None
    """An own photo, as a path inside the home: it is animated instead of a generated keyframe."""
    focus: Focus | None = None
    """The point of the own photo that no crop may lose."""
    facts: dict[str, Json] = {}
    """Anything a prompt template may use as `product.facts.NAME`."""
    prompt: Told = Told()
    """Your own whole prompts for it, in place of those that templates write."""


class Brand(Declaration):
    """Whose name stands on the deliveries."""

    name: str
    logo: str | None = None
    """RGBA picture, as a path inside the home."""
    logo_on_dark: str | None = None
    """The variant for dark ground; where left out, the logo is turned white there."""
    watermark: dict[str, Json] = {}
    """Settings of the watermark stage, e.g. `{position: top-right, width: 0.10}`."""
    words: tuple[str, ...] = ()
    """Words that no prompt expander may change or drop."""
    markets: tuple[Market, ...] = ()
    """Where deliveries are seen besides their platform's own market: whose laws labels follow."""
    producer: Producer | None = None
    """The company behind the brand, named in every file; left out: the brand's own name."""
    rights: Plain | Literal[""] = ""
    """For the metadata, e.g. `© 2026 Lumière`."""
    allow: dict[Annotated[str, Field(min_length=1, max_length=40)], Reason] = {}
    """Phrases that advertising law would refuse and that may stand, each with its reason:
    `{国家级非遗: certificate IX-31}`."""
    signing: Signing | None = None
    """Left out: files bear metadata, but no signature that proves it."""


class Calendar(Declaration):
    """The days to make; each is a shot's day with its weekday and festival."""

    start: Day | Literal["today", "next-monday"] = "next-monday"
    """A date, or `next-monday` for a weekly schedule."""
    days: Annotated[int, Field(ge=1, le=366)] = 7
    timezone: str = "Asia/Shanghai"
    """Where `today` is asked: a name of the time zone database."""
    locale: Annotated[str, StringConstraints(pattern=LOCALE)] = "zh_CN"
    """Language and territory: whose festivals are kept."""


class Condition(Declaration):
    """A phrase added to the prompt where an expression holds."""

    if_: str = Field(alias="if")
    add: str


class Prompt(Declaration):
    """Which template describes the shots, in which language, with which additions."""

    template: Slug | tuple[Slug, ...] = "product-closeup"
    """The kind of picture; with a list, the shots take turns."""
    language: Language = "zh"
    """The language the prompt is written in, where the model reads both."""
    when: tuple[Condition, ...] = ()
    """Phrases added where a condition holds, e.g. on a festival."""
    subject: str | None = None
    action: str | None = None
    scene: str | None = None
    light: str | None = None
    style: str | None = None
    text: str | None = None
    """Words to be drawn in the picture, kept verbatim."""


class Override(Declaration):
    """Settings for shots whose axes match: `{match: {day: fri}, set: {animate.motion: static}}`."""

    match: dict[str, AxisValue | tuple[AxisValue, ...]]
    set: dict[str, Json]


class Budget(Declaration):
    """What a run may spend; one that would take more is refused before it begins."""

    gpu_minutes: Annotated[float, Field(gt=0, le=1_000_000)]
    """Of the card, or of the processor in its place, as `keyreel plan` estimates them."""


class Campaign(Declaration):
    """The whole brief."""

    name: Slug
    """Names the campaign in folders and in the catalog."""
    title: Words = Words()
    """For people, on the gallery page."""
    pipeline: Slug = "social-clip"
    """A file of pipelines/."""
    profile: Slug = "auto"
    """A row of profiles.yaml; `auto` takes what fits this machine."""
    seed: Annotated[int, Field(ge=0, lt=2**63)] | None = None
    """Left out: drawn once when the run is submitted, and kept in the run's parameters."""
    brand: Brand
    calendar: Calendar = Calendar()
    products: Annotated[tuple[Product, ...], Field(min_length=1)]
    matrix: Annotated[dict[str, Literal["all"] | tuple[AxisValue, ...]], Field(max_length=8)] = {
        "product": "all",
        "day": "all",
    }
    """The axes whose product is the list of shots; `day` takes weekdays (`mon`) or ISO dates."""
    prompt: Prompt = Prompt()
    deliveries: Annotated[tuple[str, ...], Field(min_length=1)]
    """Rows of deliveries.yaml: the platforms to deliver to."""
    publish: dict[str, Clock] = {}
    """When each delivery goes out on its shot's day, `{douyin: "18:30"}`, in the calendar's
    timezone: for the manifest and calendar of `keyreel package`."""
    settings: dict[str, Json] = {}
    """Settings for all shots, nested or dotted: `{animate.motion: orbit-left}`."""
    overrides: tuple[Override, ...] = ()
    approve: Literal["keyframes"] | None = None
    """`keyframes`: a person looks at every keyframe first (`keyreel approve`, the gallery site or
    Prefect's form); only of those they accept are clips and files made."""
    budget: Budget | None = None
    """Left out: no limit."""
