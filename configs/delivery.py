"""A delivery: one platform's size and rules, with the page they were read on."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Literal

from pydantic import Field

from configs.base import Aspect, Declaration, Words

Side = Annotated[int, Field(ge=16, le=8192, multiple_of=2)]


class Box(Declaration):
    """The part of the frame that the platform's own buttons never cover, in pixels."""

    left: int = 0
    top: int = 0
    right: int = 0
    bottom: int = 0
    """Each is a distance from that edge."""


class Rate(Declaration):
    """Frames a second that the platform takes."""

    min: float = 1
    max: float = 60


class Cover(Declaration):
    """The still shown before a clip plays."""

    width: Side
    height: Side


class Delivery(Declaration):
    """What one platform takes."""

    name: Words
    kind: Literal["clip", "still"] = "clip"
    format: Literal["mp4", "jpeg", "png", "webp"] = "mp4"
    width: Side
    height: Side
    aspect: Aspect
    fps: Rate = Rate()
    audio: Literal["none", "silent"] = "none"
    edit_list: bool = True
    """False where the platform refuses MP4 edit lists."""
    safe: Box = Box()
    max_bytes: int | None = None
    min_seconds: float = 0
    max_seconds: float | None = None
    cover: Cover | None = None
    source: str
    checked_on: dt.date
    note: str = ""
