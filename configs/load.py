"""Load a campaign or a pipeline: read, fill, check; or one error that names every wrong line."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from configs.base import Json
from configs.campaign import Campaign
from configs.check import check
from configs.delivery import Delivery
from configs.errors import BadField
from configs.fill import fill
from configs.home import Home
from configs.library import Library
from configs.marks import Marks, Spot, read
from configs.pipeline import Pipeline

_NAME = re.compile(r"""^name:[ \t]*["']?([^\s"'#]+)""", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Loaded:
    """A campaign, and where each of its values was written."""

    campaign: Campaign
    source: Marks
    path: Path


def load_campaign(path: Path, home: Home, library: Library | None = None) -> Loaded:
    """Read a campaign file: the library knows every name in it, and no other has its own.

    Raises:
        BadField: naming all that is wrong with it; its first line is the first of them.
    """
    marks = read(path)
    loaded = _checked(marks, path, library or Library.open(home))
    name = loaded.campaign.name  # of the folders of what is made
    for other in sorted(home.campaigns.glob("*.yaml")):
        if other.name != path.name and _name_in(other) == name:
            raise marks.bad(("name",), f"{name!r} is that of {other.name}, too; give one another")
    return loaded


def _name_in(path: Path) -> str:
    """Return a campaign's name, its file not being read further: another may be wrong or long."""
    found = _NAME.search(path.read_text(encoding="utf-8", errors="replace"))
    return found[1] if found else ""


def _checked(marks: Marks, path: Path, library: Library) -> Loaded:
    campaign = fill(marks, Campaign)
    errors = check(campaign, marks, library)
    if errors:
        raise BadField.several(errors)
    return Loaded(campaign, marks, path)


@dataclass(frozen=True, slots=True)
class Brief:
    """A campaign that stands in no YAML file: a form, or a row of a table, gave its values."""

    values: Mapping[str, Json]
    deliveries: Mapping[str, Delivery]
    """Rows of its own, beside the library's."""
    file: str
    """What errors name: the table, or the form."""
    lines: Sequence[int] = ()
    """Of a table: where each product stands, and the override of the same number."""

    def load(self, library: Library) -> tuple[Loaded, Library]:
        """Return it checked, and the library with its own rows.

        Raises:
            BadField: naming all that is wrong with it.
        """
        marks = Marks(self.file, Spot.of(dict(self.values), 0))
        for part in ("products", "overrides"):
            rows = marks.spot((part,)).parts
            rows |= {n: Spot.of(rows[n].value, line) for n, line in enumerate(self.lines)}
        library = replace(
            library,
            deliveries={**library.deliveries, **self.deliveries},
            rows={**library.rows, **{("deliveries", name): marks for name in self.deliveries}},
        )
        return _checked(marks, Path(self.file), library), library


def load_pipeline(name: str, home: Home) -> tuple[Pipeline, Marks]:
    """Read one pipeline of the home, or a built-in one.

    Raises:
        BadInput: where there is none of that name.
        BadField: naming all that is wrong with it.
    """
    return Library.open(home).pipeline(name)
