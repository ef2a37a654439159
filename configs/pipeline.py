"""A pipeline: a named DAG of stages, as YAML says it. Wiring is checked at plan time."""

from __future__ import annotations

from functools import cached_property
from typing import Literal

from pydantic import Field

from configs.base import Declaration, Json, Slug

Scope = Literal["shot", "aspect", "delivery"]
FOOTAGE = "footage"
"""The port of what a clip from words alone shows, and how it moves."""


class FirstOf(Declaration):
    """The first of several sources that exists for a shot."""

    first_of: tuple[str, ...] = Field(min_length=1)


class PipelineStage(Declaration):
    """One stage: where its inputs come from, for what it is made, and when."""

    id: Slug
    """The stage's word; a second use of a stage is written `id: NAME, stage: keyframe`."""
    stage: Slug | None = None
    per: Scope = "shot"
    """Whether it is made once for a shot, for each shape, or for each delivery."""
    in_: dict[str, str | FirstOf] = Field(default={}, alias="in")
    """Where each input port comes from: `STAGE.PORT` or `product.image`."""
    with_: dict[str, Json] = Field(default={}, alias="with")
    """Settings of this stage, the lowest layer above the defaults."""
    when: str | None = None
    """An expression; where it does not hold, the stage is left out. It sees what templates see, and
    `words_alone`: whether a model makes the shot's clip from words alone."""

    @property
    def kind(self) -> str:
        """The stage of `tasks/` that does the work."""
        return self.stage or self.id


class Pipeline(Declaration):
    """The stages, in any order: the wiring decides."""

    description: str = ""
    stages: tuple[PipelineStage, ...] = Field(min_length=1, max_length=64)

    @cached_property
    def from_words(self) -> bool:
        """Whether clips may be made from words alone: a stage takes `expand.footage`."""
        sources = (
            source
            for stage in self.stages
            for given in stage.in_.values()
            for source in (given.first_of if isinstance(given, FirstOf) else (given,))
        )
        return any(source.partition(".")[2] == FOOTAGE for source in sources)
