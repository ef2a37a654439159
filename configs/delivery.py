"""A delivery: one platform's size and rules, with the page they were read on.

What every platform takes is in no row, and every clip has it: H.264 in MP4, 4:2:0, progressive,
square pixels, closed groups, AAC-LC of two channels at 48 kHz.
"""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from configs.base import Aspect, Declaration, Words, aspect_of
from configs.caption import CaptionRules
from configs.labels import Market

Pixels = Annotated[int, Field(ge=0, le=8192)]
Side = Annotated[int, Field(ge=16, le=8192, multiple_of=2)]
Bytes = Annotated[int, Field(gt=0)]


class Box(Declaration):
    """The part of the frame that the platform's own buttons never cover, in pixels."""

    left: Pixels = 0
    top: Pixels = 0
    right: Pixels = 0
    bottom: Pixels = 0
    """Each is a distance from that edge."""


class Span(Declaration):
    """What the platform takes, from least to most."""

    min: float
    max: float

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.min > self.max:
            raise ValueError(f"min {self.min:g} is above max {self.max:g}")
        return self

    def holds(self, value: float) -> bool:
        """Say whether a value is taken."""
        return self.min <= value <= self.max

    def __str__(self) -> str:
        return f"{self.min:g} to {self.max:g}"


class Rate(Span):
    """Frames a second that the platform takes."""

    min: Annotated[float, Field(ge=1, le=120)] = 1
    max: Annotated[float, Field(ge=1, le=120)] = 60


class Sides(Span):
    """Pixels that width and height may have."""

    min: Pixels = 16
    max: Pixels = 8192


class Shapes(Span):
    """Width divided by height."""

    min: Annotated[float, Field(gt=0)] = 0.01
    max: Annotated[float, Field(gt=0)] = 100


class Cover(Declaration):
    """The still shown before a clip plays, a JPEG."""

    width: Side
    height: Side
    max_bytes: Bytes | None = None


class Delivery(Declaration):
    """What one platform takes."""

    name: Words
    markets: Annotated[tuple[Market, ...], Field(min_length=1)] = ("cn", "eu")
    """Where it is seen: whose law its label follows, with the brand's own markets."""
    kind: Literal["clip", "still"] = "clip"
    format: Literal["mp4", "jpeg", "png", "webp"] = "mp4"
    width: Side
    height: Side
    aspect: Aspect
    sides: Sides = Sides()
    shapes: Shapes = Shapes()
    fps: Rate = Rate()
    audio: Literal["none", "silent"] = "none"
    edit_list: bool = True
    """False where the platform refuses MP4 edit lists."""
    safe: Box = Box()
    max_bytes: Bytes | None = None
    max_bitrate: Annotated[int, Field(ge=100_000)] | None = None
    """Bits a second of the pictures, at most."""
    min_seconds: Annotated[float, Field(ge=0)] = 0
    max_seconds: Annotated[float, Field(gt=0)] | None = None
    cover: Cover | None = None
    caption: CaptionRules = CaptionRules()
    """What the platform takes beside the file."""
    source: Annotated[str, Field(min_length=1)]
    """The page this was read on, or `none found`."""
    checked_on: dt.date
    note: str = ""
    """What the source does not say, or why it is weak."""

    @model_validator(mode="after")
    def _agrees_with_itself(self) -> Self:
        size = f"{self.width}x{self.height}"
        if aspect_of(self.width, self.height) != self.aspect:
            right = aspect_of(self.width, self.height)
            raise ValueError(
                f"aspect is {self.aspect}, but {size} is {right}; write aspect: {right}"
            )
        if not (self.sides.holds(self.width) and self.sides.holds(self.height)):
            raise ValueError(f"{size}: the platform takes sides of {self.sides} pixels")
        if not self.shapes.holds(self.width / self.height):
            raise ValueError(f"{size}: the platform takes width / height of {self.shapes}")
        if (self.format == "mp4") != (self.kind == "clip"):
            raise ValueError(
                f"a {self.kind} cannot be {self.format}; a clip is mp4, a still is not"
            )
        if self.kind == "still" and self.cover:
            raise ValueError("a still has no cover; delete `cover`")
        box = self.safe
        if box.left + box.right >= self.width or box.top + box.bottom >= self.height:
            raise ValueError(f"safe leaves nothing of {size}; its numbers are distances from edges")
        if self.max_seconds is not None and self.min_seconds > self.max_seconds:
            raise ValueError(f"min_seconds {self.min_seconds:g} is above max_seconds")
        return self
