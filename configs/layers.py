"""Settings in layers: defaults < pipeline < profile < brand < campaign < overrides.

Each value is checked where it was written, so a wrong one is told at its own line; then the layers
of a shot are laid over each other, and any of them can be asked for (`keyreel plan --explain`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, cast

from pydantic import ValidationError

from configs.base import Declaration, Json
from configs.campaign import AxisValue
from configs.errors import BadField, BadInput
from configs.library import Library
from configs.marks import Marks, Place
from configs.matrix import holds, meaning
from configs.pipeline import Pipeline
from configs.settings import Settings
from configs.wording import MOST_TOLD, problems, unknown

if TYPE_CHECKING:
    from configs.load import Loaded

KINDS = {
    name: cast("type[Declaration]", info.annotation) for name, info in Settings.model_fields.items()
}
"""The settings class of each kind of stage."""


@dataclass(frozen=True, slots=True)
class Assignment:
    """One value that one layer sets."""

    kind: str
    name: str
    value: Json
    where: str
    only: str = ""
    """The stage it is for, where not for all of its kind."""

    def sets(self, stage: str) -> bool:
        """Return whether it counts for a stage; "" asks for those named like their kind."""
        return self.only in ("", stage or self.kind)


@dataclass(frozen=True, slots=True)
class Layer:
    """The values that one part of one file sets."""

    name: str
    assignments: Sequence[Assignment]
    """Those for one stage only come last, so that they count."""


@dataclass(slots=True)
class Layers:
    """All layers of a campaign; `settings` lays those of one shot over each other."""

    base: Sequence[Layer]
    overrides: Sequence[Layer]
    matches: Sequence[Mapping[str, Set[object]]]
    """What each override matches, by axis."""
    stages: Mapping[str, str]
    """The kind of each stage of the pipeline, and of each kind itself."""
    _masks: dict[tuple[str, AxisValue], int] = field(default_factory=dict)
    _made: dict[tuple[int, str], Settings] = field(default_factory=dict)

    @classmethod
    def build(
        cls, loaded: Loaded, pipeline: tuple[Pipeline, Marks], profile: str, library: Library
    ) -> Layers:
        """Collect the layers of a campaign run with one pipeline and one profile.

        Raises:
            BadField: for a path or value that no stage knows, at its own line.
        """
        campaign, source = loaded.campaign, loaded.source
        stages = kinds(pipeline[0])
        reader = Reader(stages, library, words=pipeline[0].from_words)
        base = [
            Layer(f"pipeline {campaign.pipeline}", reader.pipeline(*pipeline)),
            Layer(
                f"profile {profile}",
                reader.read(library.rows["profiles", profile], (profile, "settings")),
            ),
            *reader.campaign(source, len(campaign.overrides)),
        ]
        if reader.errors:
            raise BadField.several(reader.errors)
        matches = [
            {
                axis: meaning(axis, words if isinstance(words, tuple) else (words,))
                for axis, words in override.match.items()
            }
            for override in campaign.overrides
        ]
        return cls(base[:4], base[4:], matches, stages)

    def settings(self, axes: Mapping[str, AxisValue], stage: str = "") -> Settings:
        """Return the settings of one shot, `day` given as an ISO date.

        Args:
            axes: the shot's value on each axis.
            stage: the id of a stage that is not named like its kind; its own values count too.
        """
        key = (self._matching(axes), stage)
        if key not in self._made:
            self._made[key] = self._lay(*key)
        return self._made[key]

    def explain(self, axes: Mapping[str, AxisValue], path: str) -> list[tuple[str, str, Json]]:
        """Return (layer, `FILE:LINE`, value) for each layer that sets `path`; the last one wins.

        Raises:
            BadInput: where there is no such setting.
        """
        stage, _, name = path.partition(".")
        kind = self.stages.get(stage, "")
        if not kind or name not in KINDS[kind].model_fields:
            raise BadInput(unknown("setting", path, paths(self.stages)))
        own = "" if stage == kind else stage
        default = KINDS[kind].model_fields[name].get_default()
        return [("default", "configs/settings.py", default)] + [
            (layer.name, a.where, a.value)
            for layer in self._layers(self._matching(axes))
            for a in layer.assignments
            if (a.kind, a.name) == (kind, name) and a.sets(own)
        ]

    def _matching(self, axes: Mapping[str, AxisValue]) -> int:
        """Return the overrides that match, as bits: each axis value's bits are worked out once."""
        matching = (1 << len(self.overrides)) - 1
        for item in axes.items():
            if item not in self._masks:
                self._masks[item] = self._mask(*item)
            matching &= self._masks[item]
        return matching

    def _mask(self, axis: str, value: AxisValue) -> int:
        return sum(
            1 << index
            for index, match in enumerate(self.matches)
            if axis not in match or holds(axis, match[axis], value)
        )

    def _layers(self, matching: int) -> Iterator[Layer]:
        yield from self.base
        yield from (layer for i, layer in enumerate(self.overrides) if matching >> i & 1)

    def _lay(self, matching: int, stage: str) -> Settings:
        values: dict[str, dict[str, Json]] = {kind: {} for kind in KINDS}
        for layer in self._layers(matching):
            for assignment in layer.assignments:
                if assignment.sets(stage):
                    values[assignment.kind][assignment.name] = assignment.value
        return Settings(
            **{kind: KINDS[kind]().model_copy(update=found) for kind, found in values.items()}
        )


@dataclass(slots=True)
class Reader:
    """Reads assignments out of files, and keeps what is wrong with them."""

    stages: Mapping[str, str]
    library: Library
    words: bool = False
    """Clips may be made from words alone, so that models for these will do."""
    errors: list[BadField] = field(default_factory=list)

    def pipeline(self, pipeline: Pipeline, marks: Marks) -> list[Assignment]:
        """Read every stage's `with`."""
        return [
            replace(assignment, only=stage.id)
            for index, stage in enumerate(pipeline.stages)
            for assignment in self.read(marks, ("stages", index, "with"), f"{stage.id}.")
        ]

    def campaign(self, marks: Marks, overrides: int) -> list[Layer]:
        """Read the layers of a campaign file: brand, settings, then each override."""
        return [
            Layer("brand", self.read(marks, ("brand", "watermark"), "watermark.")),
            Layer("campaign", self.read(marks, ("settings",))),
            *(
                Layer(f"overrides[{index}]", self.read(marks, ("overrides", index, "set")))
                for index in range(overrides)
            ),
        ]

    def read(self, marks: Marks, at: Place, prefix: str = "") -> list[Assignment]:
        """Read a mapping of settings, dotted or nested; a path set twice is wrong."""
        made: list[Assignment] = []
        lines: dict[str, int] = {}
        for path, value in _flat(marks.value(at), (), prefix):
            if len(self.errors) >= MOST_TOLD:
                break
            place, full = (*at, *path), prefix + ".".join(path)
            stage, _, name = full.partition(".")
            kind = self.stages.get(stage, "")
            if not kind or name not in KINDS[kind].model_fields:
                message = unknown("setting", full, paths(self.stages))
                self.errors.append(marks.bad(place, message, key=True))
                continue
            try:
                if full in lines:
                    raise ValueError(f"is set on line {lines[full]} already")
                checked = self._checked(kind, name, value)
            except ValidationError as error:
                annotation = KINDS[kind].model_fields[name].annotation
                self.errors += problems(error, annotation, marks, place)
            except ValueError as error:
                self.errors.append(marks.bad(place, str(error)))
            else:
                lines[full] = marks.at_key(place)[0]
                only = "" if stage == kind else stage
                made.append(Assignment(kind, name, checked, marks.where(place), only))
        return sorted(made, key=lambda assignment: assignment.only != "")

    def _checked(self, kind: str, name: str, value: Json) -> Json:
        """Return the value as its field's type; ValueError says what is wrong with it."""
        checked: Json = getattr(KINDS[kind].model_validate({name: value}), name)
        if name == "model" and checked is not None:
            makes, words = ("clip", self.words) if kind == "animate" else ("picture", False)
            if message := self.library.misfit(makes, str(checked), words=words):
                raise ValueError(message)
        return checked


def kinds(pipeline: Pipeline) -> dict[str, str]:
    """Return the kind of each stage id, the kinds' own names among them."""
    known = {name: name for name in KINDS}
    return known | {stage.id: stage.kind for stage in pipeline.stages if stage.kind in KINDS}


def paths(stages: Mapping[str, str]) -> list[str]:
    """Return every dotted path that may be set."""
    return [
        f"{stage}.{name}" for stage, kind in stages.items() for name in KINDS[kind].model_fields
    ]


def _flat(
    value: Json, path: tuple[str, ...], prefix: str
) -> Iterator[tuple[tuple[str, ...], Json]]:
    """Yield the path of keys and the value of each setting: two words deep, dots counted."""
    if not isinstance(value, dict):
        return
    for key, inner in value.items():
        depth = (prefix + ".".join((*path, key))).count(".")
        if isinstance(inner, dict) and depth == 0:
            yield from _flat(inner, (*path, key), prefix)
        else:
            yield (*path, key), inner
