"""The store: assets named by their bytes, node records named by their key.

A node record alone means done. It is written last, after its assets are on disk under their final
names. Knows nothing of what a node means, of plans, or of the DuckDB index fed from its inbox.

    assets/ab/<sha256><suffix>   records/ab/<key>.json   inbox/<key>   tmp/   broken/   archive/
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from pydantic import ValidationError

from catalogs.durable import locked, sync, telling_of_space
from catalogs.node import Node, canonical
from catalogs.record import Asset, AssetKind, Place, Record
from configs.base import Json
from configs.errors import BadFile


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
        self.assets, self.records = root / "assets", root / "records"
        self.inbox, self.tmp = root / "inbox", root / "tmp"
        self.broken, self.archive = root / "broken", root / "archive"
        self.lock = root / "lock"

    def held(self) -> set[str]:
        """Return the keys of all finished nodes."""
        return keys_below(self.records)

    def has(self, key: str) -> bool:
        """Say whether the node `key` is finished."""
        return self.record_path(key).exists()

    def record_path(self, key: str) -> Path:
        """Return where the record of `key` lies once it is finished."""
        return self.records / key[:2] / f"{key}.json"

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
            return read_record(self.record_path(key), key)
        except FileNotFoundError:
            raise KeyError(key) from None
        except ValueError as error:
            raise self._set_aside(key, f"record is damaged ({error})") from None

    def output(self, key: str, port: str) -> Path:
        """Return the asset that the node `key` gave at `port`.

        Raises:
            KeyError: where the node is not finished or has no such port.
            BadFile: where the asset is missing or cut short; the node is no longer held.
        """
        asset = self.record(key).outputs[port]
        path = self.asset_path(asset)
        if not path.exists() or path.stat().st_size != asset.bytes:
            raise self._set_aside(key, f"asset {path.name} is missing or cut short")
        return path

    @contextmanager
    def workspace(self) -> Iterator[Path]:
        """Yield an empty folder on the store's filesystem; it is removed at the end.

        Its flock marks it as in use, and goes with the process: no pid can be mistaken for another.

        Raises:
            OutOfSpace: where the disk fills while it is in use.
        """
        with telling_of_space(self.root):
            self.tmp.mkdir(parents=True, exist_ok=True)
            with locked(self.lock, fcntl.LOCK_SH):
                folder = Path(tempfile.mkdtemp(prefix=f"{os.getpid()}-", dir=self.tmp))
                mark = os.open(folder, os.O_RDONLY)
                fcntl.flock(mark, fcntl.LOCK_SH)
            try:
                yield folder
            finally:
                # An encoder that outlived its cancel may still write here; `sweep` takes the rest.
                shutil.rmtree(folder, ignore_errors=True)
                os.close(mark)

    def sweep(self) -> int:
        """Remove what killed processes left in `tmp/` and `inbox/`; return how many things."""
        if not self.tmp.exists():
            return 0
        with locked(self.lock, fcntl.LOCK_EX):
            dead = [folder for folder in self.tmp.iterdir() if not in_use(folder)]
            for folder in dead:
                shutil.rmtree(folder, ignore_errors=True)
            return len(dead) + self._sweep_inbox()

    def _sweep_inbox(self) -> int:
        """Remove entries whose record never came, unless a commit is under way."""
        if any(self.tmp.iterdir()) or not self.inbox.exists():
            return 0
        orphans = [entry for entry in self.inbox.iterdir() if not self.has(entry.name)]
        for entry in orphans:
            entry.unlink()
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
        with self.workspace() as desk:
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
            temporary = desk / "record.json"
            temporary.write_text(record.model_dump_json(indent=1), encoding="utf-8")
            self.at("temp written")
            sync([temporary, *(draft.path for draft in drafts.values())])
            self.at("fsynced")
            for port, asset in record.outputs.items():
                move(drafts[port].path, self.asset_path(asset))
            self.at("renamed")
            self._finish(temporary, node.key)
            self.at("recorded")
        return self.record(node.key)

    def _finish(self, temporary: Path, key: str) -> None:
        """Give the record its name, unless another process was first; its inbox entry before it."""
        self.inbox.mkdir(exist_ok=True)
        (self.inbox / key).touch()
        with locked(self.lock, fcntl.LOCK_EX):
            if not self.has(key):
                move(temporary, self.record_path(key))

    def _set_aside(self, key: str, why: str) -> BadFile:
        path = self.record_path(key)
        self.broken.mkdir(exist_ok=True)
        path.replace(self.broken / path.name)
        return BadFile(f"{path}: {why}; moved to {self.broken}: run again to remake it")


def keys_below(folder: Path) -> set[str]:
    """Return the keys of the record files in `folder`'s shards."""
    if not folder.exists():
        return set()
    with os.scandir(folder) as shards:
        return {
            name.removesuffix(".json")
            for entry in shards
            for name in os.listdir(entry.path)  # noqa: PTH208  (50,000 paths would cost 0.4 s)
        }


def read_record(path: Path, key: str) -> Record:
    """Return the record in `path`.

    Raises:
        ValueError: where it is not one, or its recipe's hash is not `key`.
    """
    try:
        record = Record.model_validate_json(path.read_bytes())
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise ValueError(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from None
    if hashlib.sha256(canonical(record.recipe)).hexdigest() != key or record.key != key:
        raise ValueError("its recipe does not give its key")
    return record


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


def move(source: Path, target: Path) -> None:
    """Rename `source`, now never to be written again, over `target`."""
    source.chmod(0o444)
    target.parent.mkdir(parents=True, exist_ok=True)
    source.replace(target)


def in_use(folder: Path) -> bool:
    """Say whether a living process works in this folder of `tmp/`."""
    mark = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(mark, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(mark)
    return False
