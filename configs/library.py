"""Everything a campaign may name: models, profiles, deliveries, pipelines, prompt templates.

The package's own YAML, and the home's files of the same names laid over it row by row: a row of
the home replaces the built-in row of that id.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TypeVar

from configs.base import Declaration
from configs.delivery import Delivery
from configs.errors import BadField, BadInput
from configs.fill import fill, load
from configs.home import Home
from configs.marks import Marks, Place, read
from configs.model import Model, Profile
from configs.pipeline import Pipeline
from configs.settings import Settings
from configs.wording import unknown

SHIPPED = Path(__file__).parent

D = TypeVar("D", bound=Declaration)


@dataclass(frozen=True, slots=True)
class Library:
    """The known names of one home, and what they stand for."""

    models: dict[str, Model]
    profiles: dict[str, Profile]
    deliveries: dict[str, Delivery]
    pipelines: dict[str, Path]
    """The file of each pipeline; `pipeline(name)` reads it."""
    prompts: tuple[Path, ...]
    """Folders of prompt templates, the home's own first."""
    rows: Mapping[tuple[str, str], Marks]
    """The file of each row, by kind (`models`) and id."""

    @classmethod
    def open(cls, home: Home) -> Library:
        """Read the package's rows and the home's.

        Raises:
            BadField: where a row is wrong, or names a model that is not there.
        """
        rows: dict[tuple[str, str], Marks] = {}
        models = _rows("models", Model, home, rows)
        profiles = _rows("profiles", Profile, home, rows)
        deliveries = _rows("deliveries", Delivery, home, rows)
        folders = (home.inside("pipelines"), SHIPPED / "pipelines")
        pipelines = {
            file.stem: file
            for folder in reversed(folders)
            for file in sorted(folder.glob("*.yaml"))
        }
        prompts = (home.inside("prompts"), SHIPPED / "prompts")
        made = cls(models, profiles, deliveries, pipelines, prompts, rows)
        made._check_profiles()
        return made

    def pipeline(self, name: str) -> tuple[Pipeline, Marks]:
        """Read one pipeline; its wiring is checked when a campaign is planned.

        Raises:
            BadInput: where there is none of that name.
            BadField: where it is wrong.
        """
        if name not in self.pipelines:
            raise BadInput(unknown("pipeline", name, self.pipelines))
        pipeline, marks = load(self.pipelines[name], Pipeline)
        errors = list(_stages_wrong(pipeline, marks))
        if errors:
            raise BadField.several(errors)
        return pipeline, marks

    def templates(self) -> list[str]:
        """Return the ids of all prompt templates."""
        return sorted({file.stem for folder in self.prompts for file in folder.glob("*.yaml")})

    def where(self, kind: str, name: str, path: Place = ()) -> str:
        """Return `FILE:LINE` of a row of `models`, `profiles` or `deliveries`, or inside it."""
        return self.rows[kind, name].where((name, *path))

    def making(self, makes: str) -> list[str]:
        """Return the ids of the models that make a `picture`, a `clip` or a `text-clip`."""
        return [name for name, model in self.models.items() if model.makes == makes]

    def misfit(self, makes: str, name: str, *, words: bool = False) -> str:
        """Return why a model cannot be taken to make a `picture` or clip; "" where it can.

        Args:
            makes: what it is to make.
            name: its id.
            words: a model that makes clips from words alone will do, too.
        """
        fitting = [*self.making(makes), *(self.making("text-clip") if words else ())]
        if name in fitting:
            return ""
        if makes == "clip" and name in self.making("text-clip"):
            some = ", ".join(sorted(fitting))
            return f"{name!r} makes clips from words alone; those that start from a picture: {some}"
        return unknown(f"{makes} model", name, fitting)

    def _check_profiles(self) -> None:
        for name, profile in self.profiles.items():
            for field in ("picture", "clip", "text_clip"):
                model = getattr(profile, field)
                if model and (message := self.misfit(field.replace("_", "-"), model)):
                    raise self.rows["profiles", name].bad((name, field), message)


def _stages_wrong(pipeline: Pipeline, marks: Marks) -> Iterator[BadField]:
    seen: set[str] = set()
    for index, stage in enumerate(pipeline.stages):
        if stage.kind not in Settings.model_fields:
            part = "stage" if stage.stage else "id"
            message = unknown("stage", stage.kind, Settings.model_fields)
            yield marks.bad(("stages", index, part), message)
        elif stage.id in seen:
            message = f"{stage.id!r} is a stage's id already; give this one another"
            yield marks.bad(("stages", index, "id"), message)
        elif stage.id in Settings.model_fields and stage.id != stage.kind:
            message = f"{stage.id!r} is another stage's word; write `id: NAME, stage: {stage.kind}`"
            yield marks.bad(("stages", index, "id"), message)
        seen.add(stage.id)


def _rows(
    kind: str, declaration: type[D], home: Home, rows: dict[tuple[str, str], Marks]
) -> dict[str, D]:
    found: dict[str, D] = {}
    for file in (SHIPPED / f"{kind}.yaml", home.inside(f"{kind}.yaml")):
        if not file.exists():
            continue
        marks = _shipped(file) if file.is_relative_to(SHIPPED) else read(file)
        for name in _names(marks):
            found[name] = fill(marks, declaration, (name,))
            rows[kind, name] = marks
    return found


@cache
def _shipped(file: Path) -> Marks:
    """Return the package's own rows, read once: 17 ms each time that a library is opened."""
    return read(file)


def _names(marks: Marks) -> list[str]:
    """Return the ids of a file of rows; an empty file has none."""
    value = marks.root.value
    if value is None:
        return []
    if not isinstance(value, dict):
        raise marks.bad((), "must be rows by id, `ID: {…}`")
    return list(value)
