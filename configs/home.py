"""The home: the folder of one workspace, and the only place files are read from or written to."""

from __future__ import annotations

import os
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from configs.errors import BadFile, BadInput
from configs.marker import read_marker
from configs.wording import MOST_COMPARED, nearest, unknown

MARKER = "keyreel.toml"
"""The file that makes a folder a home."""
LONGEST_NAME = 255
"""Bytes; ext4, XFS, Btrfs and NTFS through WSL2 take no more."""


@dataclass(frozen=True, slots=True)
class Home:
    """Paths of one workspace."""

    root: Path

    @classmethod
    def find(cls, given: Path | None = None) -> Home:
        """Return the home as `locate` does, once it is certain that this keyreel knows its format.

        Raises:
            BadInput: where none is found, or its keyreel.toml is wrong.
        """
        home = cls.locate(given)
        read_marker(home.root / MARKER)
        return home

    @classmethod
    def locate(cls, given: Path | None = None) -> Home:
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
            if (folder / "campaigns").is_dir() and (folder / MARKER).exists():
                return cls(folder)
        raise BadInput("no home found: run `keyreel init FOLDER`, or set KEYREEL_HOME or --home")

    @classmethod
    def create(cls, folder: Path, demo: bool = False) -> Home:
        """Make a home in a new or existing folder; files that are there stay as they are.

        Args:
            folder: where to.
            demo: put the demo campaign and its brand files in as well.

        Raises:
            BadFile: where a file stands where a folder must be, or it cannot be written.
        """
        from configs.scaffold import scaffold  # it needs the library, which needs homes

        home = cls(folder.expanduser().resolve())
        scaffold(home, demo=demo)
        return home

    def find_campaign(self, name: str) -> Path:
        """Return the file of a campaign: by its name in `campaigns/`, or by its path.

        Raises:
            BadInput: where there is none.
            BadFile: where it lies outside the home.
        """
        found = {file.stem: file for file in sorted(self.campaigns.glob("*.yaml"))}
        if name in found:
            return self.inside(f"campaigns/{name}.yaml")
        if name.endswith((".yaml", ".yml")):
            for path in (Path.cwd() / name, self.root / name, self.campaigns / name):
                if (file := self.inside(str(path))).is_file():
                    return file
        if not self.campaigns.is_dir():
            raise BadInput(
                f"no home at {self.root}; name another, or run `keyreel init {self.root}`"
            )
        raise BadInput(f"{unknown('campaign', name, found)}; they lie in {self.campaigns}")

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
    def packages(self) -> Path:
        """Zips for whoever publishes: one folder a campaign."""
        return self.root / "packages"

    @property
    def site(self) -> Path:
        """What the gallery site itself remembers: tokens, jobs."""
        return self.root / "site"

    @property
    def cache(self) -> Path:
        """Anything that can be made again: file hashes, expansions."""
        return self.root / "cache"

    @property
    def state(self) -> Path:
        """What `keyreel up` keeps: Prefect's database, logs, and addresses with their tokens."""
        return self.root / "state"

    @property
    def models(self) -> Path:
        """Downloaded weights: one folder in the diffusers layout for each model."""
        return self.root / "models"

    def existing(self, path: str) -> Path:
        """Return `path` resolved inside the home, where something is there.

        Raises:
            BadFile: as `inside`; where nothing is there, with the folder and the nearest file.
        """
        file = self.inside(path)
        if file.exists():
            return file
        if path.startswith(("http://", "https://")):
            raise BadFile(f"{path!r}: is an address; save the file in the home, and write its path")
        raise BadFile(f"{file.name}: no such file in {file.parent}{self._near(file)}")

    def _near(self, file: Path) -> str:
        """Return which file beside `file`, or in brand/, may be meant; or nothing."""
        root, found = self.root.resolve(), dict[str, str]()
        for folder in (root / "brand", file.parent):
            there = folder.iterdir() if folder.is_dir() else ()
            for each in filter(Path.is_file, islice(there, MOST_COMPARED)):
                found[each.name] = each.relative_to(root).as_posix()
        return nearest(file.name, (), found)

    def inside(self, path: str) -> Path:
        """Return `path` resolved inside the home.

        Raises:
            BadFile: where it, or a symlink on its way, leads outside, or no filesystem takes it.
        """
        try:
            resolved = (self.root / path).resolve()
        except (ValueError, OSError, RuntimeError) as error:  # NUL; I/O; symlinks in a ring
            raise BadFile(f"{path[:80]!r}: is not a path: {error}") from None
        if any(len(os.fsencode(part)) > LONGEST_NAME for part in resolved.parts):
            raise BadFile(f"{path[:80]!r}: a name is longer than {LONGEST_NAME} bytes")
        if not resolved.is_relative_to(self.root.resolve()):
            raise BadFile(
                f"{path[:80]!r}: leads outside the home {self.root}; put the file inside it"
            )
        return resolved
