"""Load a campaign or a pipeline: read, fill, check; or one error that names every wrong line."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from configs.campaign import Campaign
from configs.check import check
from configs.errors import BadField
from configs.fill import fill
from configs.home import Home
from configs.library import Library
from configs.marks import Marks, read
from configs.pipeline import Pipeline


@dataclass(frozen=True, slots=True)
class Loaded:
    """A campaign, and where each of its values was written."""

    campaign: Campaign
    source: Marks
    path: Path


def load_campaign(path: Path, home: Home, library: Library | None = None) -> Loaded:
    """Read a campaign file; every name in it is known to the home's library.

    Raises:
        BadField: naming all that is wrong with it; its first line is the first of them.
    """
    marks = read(path)
    campaign = fill(marks, Campaign)
    errors = check(campaign, marks, library or Library.open(home))
    if errors:
        raise BadField.several(errors)
    return Loaded(campaign, marks, path)


def load_pipeline(name: str, home: Home) -> tuple[Pipeline, Marks]:
    """Read one pipeline of the home, or a built-in one.

    Raises:
        BadInput: where there is none of that name.
        BadField: naming all that is wrong with it.
    """
    return Library.open(home).pipeline(name)
