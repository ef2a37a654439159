"""The home: the folder of one workspace, and the only place files are read from or written to."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from configs.errors import BadFile, BadInput


@dataclass(frozen=True, slots=True)
class Home:
    """Paths of one workspace."""

    root: Path

    @classmethod
    def find(cls, given: Path | None = None) -> Home:
        """Return the home: as given, else KEYREEL_HOME, else the nearest folder above that has one.

        Raises:
            BadInput: where none is found.
        """
        named = given or (
            Path(os.environ["KEYREEL_HOME"]) if "KEYREEL_HOME" in os.environ else None
        )
        if named is not None:
            return cls(named.expanduser().resolve())
        here = Path.cwd()
        for folder in (here, *here.parents):
            if (folder / "campaigns").is_dir() and (folder / "keyreel.toml").exists():
                return cls(folder)
        raise BadInput("no home found: run `keyreel init FOLDER`, or set KEYREEL_HOME or --home")

    @property
    def campaigns(self) -> Path:
        """Campaign files."""
        return self.root / "campaigns"

    @property
    def store(self) -> Path:
        """Assets and node records."""
        return self.root / "store"

    @property
    def catalog(self) -> Path:
        """The DuckDB files."""
        return self.root / "catalog"

    @property
    def runs(self) -> Path:
        """One folder a run: its summary and its gallery page."""
        return self.root / "runs"

    @property
    def deliveries(self) -> Path:
        """Finished files under names for people."""
        return self.root / "deliveries"

    @property
    def cache(self) -> Path:
        """Anything that can be made again: file hashes, expansions."""
        return self.root / "cache"

    def inside(self, path: str) -> Path:
        """Return `path` resolved inside the home.

        Raises:
            BadFile: where it, or a symlink on its way, leads outside.
        """
        resolved = (self.root / path).resolve()
        if not resolved.is_relative_to(self.root.resolve()):
            raise BadFile(f"{path}: leads outside the home {self.root}; put the file inside it")
        return resolved
