"""A folder of small JSON files, each named by the hash of what it says.

Knows nothing of what they mean or of who may write when.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from pydantic import ValidationError

from catalogs.durable import move
from catalogs.node import canonical
from catalogs.record import Record, Review
from configs.errors import BadFile

Told = TypeVar("Told", Record, Review)


@dataclass(frozen=True, slots=True)
class Shelf(Generic[Told]):
    """Records by their node's key, or reviews by their id: `FOLDER/ab/ab12….json`."""

    folder: Path
    declared: type[Told]

    def path(self, name: str) -> Path:
        """Return where `name` lies, or would."""
        return self.folder / name[:2] / f"{name}.json"

    def has(self, name: str) -> bool:
        """Say whether `name` is here."""
        return self.path(name).exists()

    def names(self) -> set[str]:
        """Return the names of all that is here: 50,000 in 0.1 s."""
        if not self.folder.exists():
            return set()
        with os.scandir(self.folder) as parts:
            return {
                name.removesuffix(".json")
                for part in parts
                for name in os.listdir(part.path)  # noqa: PTH208  (a Path each would take 0.4 s)
            }

    def read(self, name: str) -> Told:
        """Return what `name` says.

        Raises:
            KeyError: where it is not here.
            BadFile: where it is damaged.
        """
        path = self.path(name)
        try:
            told = self.declared.model_validate_json(path.read_bytes())
        except FileNotFoundError:
            raise KeyError(name) from None
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            where = ".".join(map(str, first["loc"])) or "the file"
            raise BadFile(f"{path}: {where}: {first['msg']}") from None
        if identity(told) != name:
            raise BadFile(f"{path}: what it says does not give its name")
        return told

    def take(self, draft: Path, name: str) -> None:
        """Give the file `draft`, now never to be written again, its place at once."""
        move(draft, self.path(name))


def identity(told: Record | Review) -> str:
    """Return the name that a record's recipe, or a whole review, gives it."""
    deciding = told.recipe if isinstance(told, Record) else told.model_dump()
    return hashlib.sha256(canonical(deciding)).hexdigest()
