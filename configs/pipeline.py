"""A pipeline: a named DAG of stages, as YAML says it. Wiring is checked at plan time."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from configs.base import Declaration, Json, Slug

Scope = Literal["shot", "aspect", "delivery"]


class FirstOf(Declaration):
    """The first of several sources that exists for a shot."""

    first_of: tuple[str, ...] = Field(min_length=1)


class PipelineStage(Declaration):
    """One stage: where its inputs come from, for what it is made, and when."""

    id: Slug
    """The stage's word; a second use of a stage is written `id: NAME, stage: keyframe`."""
    stage: Slug | None = None
    per: Scope = "shot"
    in_: dict[str, str | FirstOf] = Field(default={}, alias="in")
    with_: dict[str, Json] = Field(default={}, alias="with")
    when: str | None = None

    @property
    def kind(self) -> str:
        """The stage of `tasks/` that does the work."""
        return self.stage or self.id


class Pipeline(Declaration):
    """The stages, in any order: the wiring decides."""

    description: str = ""
    stages: tuple[PipelineStage, ...] = Field(min_length=1)
