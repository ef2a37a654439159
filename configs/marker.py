"""`keyreel.toml`: it makes a folder a home, and says how the home is kept."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated

from pydantic import Field, field_validator

from configs.base import Declaration
from configs.errors import BadFile
from configs.fill import fill
from configs.marks import Marks, Spot, shown

FORMAT = 1
"""Of the folders of a home; a keyreel that lays them out differently gives its homes another."""


class Marker(Declaration):
    """The whole file."""

    format: Annotated[int, Field(strict=True)] = FORMAT
    disk_quota_gb: Annotated[float, Field(gt=0, strict=True)] | None = None
    """What store, runs and deliveries may take, in units of 1e9 bytes; left out: the whole disk."""

    @field_validator("format")
    @classmethod
    def _known(cls, format: int) -> int:
        if format == FORMAT:
            return format
        advice = "upgrade keyreel, or name another home" if format > FORMAT else f"write {FORMAT}"
        raise ValueError(f"{format} is none that this keyreel knows; {advice}")


def read_marker(path: Path) -> Marker:
    """Read the file of one home; where there is none, all is as if left out.

    Raises:
        BadFile: where it is no TOML.
        BadField: naming all that is wrong with it.
    """
    if not path.is_file():
        return Marker()
    try:
        told = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadFile(f"{shown(path)}: {error}; write it as TOML: disk_quota_gb = 50") from None
    return fill(Marks(shown(path), Spot.of(told, 0)), Marker)
