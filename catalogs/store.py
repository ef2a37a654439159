"""The store: assets named by their bytes, node records named by their key.

A node record alone means done. It is written last, after its assets are on disk under their final
names. Knows nothing of what a node means, of plans, or of the DuckDB index fed from its inbox.

    assets/ab/<sha256><suffix>    records/ab/<key>.json    reviews/ab/<id>.json
    archive/   records whose assets were collected: their recipes remain
    broken/    damaged records, set aside
    inbox/     names of records and reviews that the catalog has not seen
    tmp/       workspaces
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Protocol

from catalogs.durable import locked, move, remove, sync, telling_of_space
from catalogs.node import Node
from catalogs.record import Asset, AssetKind, Place, Record, Review
from catalogs.shelf import Shelf, identity
from configs.base import Json
from configs.errors import BadFile, BadInput


class Draft(Protocol):
    """A finished file in a workspace, with what is known of it; `tasks.stage.Draft` is one."""

    @property
    def path(self) -> Path: ...  # noqa: D102
    @property
    def kind(self) -> AssetKind: ...  # noqa: D102
    @property
    def mime(self) -> str: ...  # noqa: D102
    @property
    def width(self) -> int: ...  # noqa: D102
    @property
    def height(self) -> int: ...  # noqa: D102
    @property
    def frames(self) -> int: ...  # noqa: D102
    @property
    def fps(self) -> float: ...  # noqa: D102
    @property
    def seconds(self) -> float: ...  # noqa: D102


class Store:
    """Finished work in one folder, shared by any number of threads and processes.

    Args:
        root: The folder; made when something is first written.
        on_point: Called with the name of each commit point as it is passed: "temp written",
            "fsynced", "renamed", "recorded", and "indexed" by the catalog. Tests kill there.
    """

    def __init__(self, root: Path, on_point: Callable[[str], None] = lambda _: None) -> None:
        self.root = root
        self.at = on_point
        self.records = Shelf(root / "records", Record)
        self.archive = Shelf(root / "archive", Record)
        self.reviews = Shelf(root / "reviews", Review)
        self.assets, self.broken = root / "assets", root / "broken"
        self.inbox, self.tmp, self.lock = root / "inbox", root / "tmp", root / "lock"

    def held(self) -> set[str]:
        """Return the keys of all finished nodes."""
        return self.records.names()

    def has(self, key: str) -> bool:
        """Say whether the node `key` is finished."""
        return self.records.has(key)

    def asset_path(self, asset: Asset) -> Path:
        """Return where the bytes of `asset` lie."""
        return self.assets / asset.sha256[:2] / f"{asset.sha256}{asset.suffix}"

    def record(self, key: str) -> Record:
        """Return the record of `key`.

        Raises:
            KeyError: where the node is not finished.
            BadFile: where its record is damaged; it is moved aside and no longer held.
        """
        try:
            return self.records.read(key)
        except BadFile as error:
            raise self._set_aside(key, error) from None

    def recall(self, key: str) -> Record:
        """Return the record of `key`, even where its assets were collected.

        Raises:
            KeyError: where the node was never finished.
            BadFile: where its record is damaged.
        """
        return self.record(key) if self.has(key) else self.archive.read(key)

    def output(self, key: str, port: str) -> Path:
        """Return the asset that the node `key` gave at `port`.

        Raises:
            KeyError: where the node is not finished or has no such port.
            BadFile: where the asset is missing or cut short; the node is no longer held.
        """
        asset = self.record(key).outputs[port]
        path = self.asset_path(asset)
        if not path.exists() or path.stat().st_size != asset.bytes:
            raise self._set_aside(key, f"{path}: missing or cut short")
        return path

    @contextmanager
    def workspace(self) -> Iterator[Path]:
        """Yield an empty folder on the store's filesystem; it is removed at the end.

        Raises:
            OutOfSpace: where the disk fills while it is in use.
        """
        with self._claim(tempfile.mkdtemp) as folder:
            yield folder

    @contextmanager
    def _claim(self, make: Callable[..., str]) -> Iterator[Path]:
        """Yield a new place in `tmp/`, marked as in use by a flock on itself.

        The flock goes with the process, so that no reused pid can pass for the one that died.
        """
        with telling_of_space(self.root):
            self.tmp.mkdir(parents=True, exist_ok=True)
            with locked(self.lock, fcntl.LOCK_SH):
                place = Path(make(prefix=f"{os.getpid()}-", dir=self.tmp))
                mark = os.open(place, os.O_RDONLY)
                fcntl.flock(mark, fcntl.LOCK_SH)
            try:
                yield place
            finally:
                remove(place)
                os.close(mark)

    def sweep(self) -> int:
        """Remove what killed processes left in `tmp/` and `inbox/`; return how many things."""
        if not self.tmp.exists():
            return 0
        with locked(self.lock, fcntl.LOCK_EX):
            dead = [place for place in self.tmp.iterdir() if not in_use(place)]
            for place in dead:
                remove(place)
            return len(dead) + self._sweep_inbox()

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Keep all others from beginning work while this goes on.

        Raises:
            BadInput: where work is going on already.
        """
        self.tmp.mkdir(parents=True, exist_ok=True)
        with locked(self.lock, fcntl.LOCK_EX):
            if any(in_use(folder) for folder in self.tmp.iterdir()):
                raise BadInput(f"{self.root}: work is going on here; try again when it has ended")
            yield

    def _sweep_inbox(self) -> int:
        """Remove entries whose record never came, unless a commit is under way."""
        if any(self.tmp.iterdir()):
            return 0
        shelves = (self.records, self.archive, self.reviews)
        orphans = [name for name in self.waiting() if not any(shelf.has(name) for shelf in shelves)]
        self.seen(orphans)
        return len(orphans)

    def commit(
        self,
        node: Node,
        drafts: Mapping[str, Draft],
        *,
        run: str,
        started: str,
        seconds: float,
        facts: Mapping[str, Json] | None = None,
        paths: Mapping[str, str] | None = None,
    ) -> Record:
        """Take the drafts into the store and write the node's record, which makes it done.

        Drafts are moved: they must lie in a `workspace` of this store. Where another process
        finished the same node first, its record stands and is returned.

        Args:
            node: What was made.
            drafts: Its files, by output port.
            run: The run that made it.
            started: ISO 8601, UTC.
            seconds: What making it took.
            facts: `device`, `peak_bytes`, `load_seconds`, `versions`, `fallbacks`, or more.
            paths: Home-relative paths of the input files, by port.

        Raises:
            OutOfSpace: where the disk or its quota is full.
        """
        with self._claim(new_file) as temporary:
            record = Record(
                key=node.key,
                recipe=node.recipe(),
                place=Place.model_validate(node.address, from_attributes=True),
                paths=dict(paths or {}),
                notes=dict(node.notes),
                outputs={port: describe(draft) for port, draft in drafts.items()},
                run=run,
                started=started,
                seconds=seconds,
                facts=dict(facts or {}),
            )
            temporary.write_text(record.model_dump_json(indent=1), encoding="utf-8")
            self.at("temp written")
            sync([temporary, *(draft.path for draft in drafts.values())])
            self.at("fsynced")
            for port, asset in record.outputs.items():
                move(drafts[port].path, self.asset_path(asset))
            self.at("renamed")
            first = self._finish(temporary, node.key)
            self.at("recorded")
        return record if first else self.record(node.key)

    def _finish(self, temporary: Path, key: str) -> bool:
        """Give the record its name, its inbox entry before; say whether no other was first."""
        self.announce([key])
        with locked(self.lock, fcntl.LOCK_EX):
            if self.has(key):
                return False
            self.records.take(temporary, key)
            return True

    def review(self, review: Review) -> str:
        """Keep what a person thought of an asset; return the review's id."""
        name = identity(review)
        with self._claim(new_file) as temporary:
            temporary.write_text(review.model_dump_json(indent=1), encoding="utf-8")
            sync([temporary])
            self.announce([name])
            self.reviews.take(temporary, name)
        return name

    def approved(self) -> set[str]:
        """Return the SHA-256 of each asset whose latest review approves of it."""
        told = [self.reviews.read(name) for name in self.reviews.names()]
        latest = {one.asset: one for one in sorted(told, key=lambda one: one.reviewed)}
        return {asset for asset, one in latest.items() if one.verdict == "approved"}

    def announce(self, names: Iterable[str]) -> None:
        """Leave an inbox entry for each record or review: the catalog is to look at it."""
        self.inbox.mkdir(parents=True, exist_ok=True)
        for name in names:
            (self.inbox / name).touch()

    def waiting(self) -> list[str]:
        """Return the names in the inbox."""
        return sorted(os.listdir(self.inbox)) if self.inbox.exists() else []  # noqa: PTH208

    def known(self) -> list[str]:
        """Return the names of all records and reviews."""
        return sorted(self.records.names() | self.archive.names() | self.reviews.names())

    def seen(self, names: Iterable[str]) -> None:
        """Take `names` out of the inbox."""
        for name in names:
            (self.inbox / name).unlink(missing_ok=True)

    def _set_aside(self, key: str, why: object) -> BadFile:
        path = self.records.path(key)
        self.broken.mkdir(exist_ok=True)
        with suppress(FileNotFoundError):  # another thread was first
            path.replace(self.broken / path.name)
        return BadFile(f"{why}; its record is now in {self.broken}: run again to remake it")


def describe(draft: Draft) -> Asset:
    """Return the asset that `draft` will be."""
    with draft.path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return Asset(
        sha256=digest,
        kind=draft.kind,
        mime=draft.mime,
        bytes=draft.path.stat().st_size,
        width=draft.width,
        height=draft.height,
        frames=draft.frames,
        fps=draft.fps,
        seconds=draft.seconds,
        suffix=draft.path.suffix,
    )


def new_file(prefix: str, dir: Path) -> str:
    """Make an empty file, as `tempfile.mkdtemp` makes a folder."""
    handle, path = tempfile.mkstemp(prefix=prefix, dir=dir)
    os.close(handle)
    return path


def in_use(place: Path) -> bool:
    """Say whether a living process works in this folder or file of `tmp/`."""
    try:
        mark = os.open(place, os.O_RDONLY)
    except FileNotFoundError:  # its owner has just ended
        return False
    try:
        fcntl.flock(mark, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(mark)
    return False
