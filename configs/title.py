"""Titles, prices and captions: what stands on a picture in letters, and how it looks and moves.

Set by the project, never drawn by a model, so that every stroke is right.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from configs.attached import FontFile, SubtitleFile
from configs.base import Declaration, Words

LEAST = 0.032
"""The least legible size of letters, as a fraction of the frame's short side: 1.9 mm on a phone
that is 60 mm wide, about what newspapers print at."""

Seconds = Annotated[float, Field(ge=0, le=600)]


class Cue(Declaration):
    """One caption of a clip."""

    start: Seconds
    end: Seconds
    text: Words
    """A Jinja2 template, as the title."""

    @model_validator(mode="after")
    def _lasts(self) -> Self:
        if self.end <= self.start:
            raise ValueError(f"ends at {self.end:g} s and starts at {self.start:g} s; swap them")
        return self


class Title(Declaration):
    """What stands on the picture in letters; nothing where no words are given."""

    text: Words | None = None
    """The title: a Jinja2 template such as `{{ product.name }}`."""
    price: Words | None = None
    """Beneath the title: a Jinja2 template such as `¥{{ product.facts.price }}`."""
    source: Literal["text", "prompt-text"] = "text"
    """`prompt-text`: the title is `prompt.text`, which no model draws then."""
    language: Literal["prompt", "zh", "en", "both"] = "prompt"
    """`prompt`: as `prompt.language`; `both`: that one, and the other one smaller beneath."""
    cues: Annotated[tuple[Cue, ...], Field(max_length=400)] = ()
    """Captions, each shown from `start` to `end` in seconds; only on clips."""
    subtitles_zh: SubtitleFile | None = None
    """Captions in Chinese: an SRT file inside the home, e.g. `brand/spring.zh.srt`."""
    subtitles_en: SubtitleFile | None = None
    """Captions in English, likewise."""
    font: Literal["Noto Sans SC", "Noto Serif SC"] = "Noto Sans SC"
    font_file: FontFile | None = None
    """The brand's own font, in place of `font`: a TTF or OTF file inside the home."""
    size: Annotated[float, Field(ge=LEAST, le=0.3)] = 0.085
    """Of the title's letters, as a fraction of the short side; smaller where they do not fit."""
    position: Literal[
        "auto", "top-left", "top", "top-right", "left", "center", "right", "bottom-left", "bottom",
        "bottom-right",
    ] = "auto"  # fmt: skip
    """Of title and price in the platform's safe box; `auto`: above, below or beside what a picture
    shows, off it where there is room. Captions stand at the bottom."""
    colour: Annotated[str, StringConstraints(pattern=r"^(auto|#[0-9a-fA-F]{6})$")] = "auto"
    """`auto`: white or black, whichever can be read on the picture; or `#RRGGBB`."""
    ground: Literal["auto", "none", "shadow", "plate"] = "auto"
    """What helps letters stand out; `auto`: nothing, a shadow or a plate, as the picture asks."""
    motion: Literal["fade", "slide", "none"] = "fade"
    """How the title comes and goes."""
    start: Seconds = 0
    """Second of the clip at which title and price come."""
    end: Seconds | None = None
    """Second at which they go; left out: they stay."""

    @model_validator(mode="after")
    def _lasts(self) -> Self:
        if self.end is not None and self.end <= self.start:
            raise ValueError(f"end is {self.end:g} s and start {self.start:g} s; swap them")
        return self

    @property
    def asked(self) -> bool:
        """Whether any words are asked for."""
        words = (self.text, self.price, self.cues, self.subtitles_zh, self.subtitles_en)
        return self.source == "prompt-text" or any(words)
