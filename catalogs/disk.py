"""Room on the disk: what can be given back, and whether what is planned fits.

Knows nothing of how a plan estimates its bytes.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from catalogs.ancestry import inputs
from catalogs.record import Record
from catalogs.runs import NAME, read_run
from catalogs.store import Store
from configs.errors import BadFile, OutOfSpace
from configs.home import MARKER, Home
from configs.marker import read_marker


@dataclass(frozen=True, slots=True)
class GcPlan:
    """What nothing uses: neither the latest run of a campaign, nor an approved asset."""

    records: frozenset[str]
    """Keys of nodes; their recipes remain in the store's archive and in the catalog."""
    files: frozenset[Path]
    """Assets, and what is left of damaged records."""
    bytes: int
    """What the disk gains: a delivery that is another name of an asset keeps its bytes."""
    kept: int
    """How many nodes stay."""


def gc(store: Store, runs: Path) -> GcPlan:
    """Return what could be collected; nothing is deleted.

    Args:
        store: What is looked through; 0.1 ms a record.
        runs: The folder of the run files.

    Raises:
        BadFile: where a run file is damaged: what it counts on is not known.
    """
    records = dict(_readable(store))
    kept = _reachable(records, _roots(store, records, runs))
    wanted = {store.asset_path(asset) for key in kept for asset in records[key].outputs.values()}
    files = frozenset({*_files(store.assets), *_files(store.broken)} - wanted)
    return GcPlan(
        records=frozenset(records.keys() - kept),
        files=files,
        bytes=sum(path.stat().st_size for path in files if path.stat().st_nlink == 1),
        kept=len(kept),
    )


def collect(store: Store, runs: Path, planned: GcPlan) -> GcPlan:
    """Delete what was planned and is still unused; return what that was.

    Records go before their assets: after a kill in between, the next collection takes the rest.

    Raises:
        BadInput: where work is going on in the store.
    """
    with store.alone():
        now = gc(store, runs)
        records, files = now.records & planned.records, now.files & planned.files
        size = sum(path.stat().st_size for path in files if path.stat().st_nlink == 1)
        store.announce(records)
        for key in records:
            store.archive.take(store.records.path(key), key)
        for path in files:
            path.unlink()
    return GcPlan(records, files, size, now.kept)


def check_space(home: Home, estimate: float) -> None:
    """Make sure that `estimate` bytes more fit on the disk and into the home's quota.

    Raises:
        OutOfSpace: where they do not; with the numbers.
        BadInput: where keyreel.toml is wrong.
    """
    free = shutil.disk_usage(home.root).free
    if estimate > free:
        raise OutOfSpace(
            f"{home.root}: this run needs about {_gb(estimate)}, the disk has {_gb(free)} free; "
            "free some space, run `keyreel gc`, or plan fewer shots"
        )
    if (gigabytes := read_marker(home.root / MARKER).disk_quota_gb) is None:
        return
    quota, used = gigabytes * 1e9, used_by(home)
    if used + estimate > quota:
        raise OutOfSpace(
            f"{home.root}: this run needs about {_gb(estimate)}, and {_gb(used)} of the quota of "
            f"{_gb(quota)} are used; run `keyreel gc`, or raise disk_quota_gb in {MARKER}"
        )


def used_by(home: Home) -> int:
    """Return the bytes of the store, the runs and the deliveries; a file of two names once."""
    sizes: dict[tuple[int, int], int] = {}
    for folder in (home.store, home.runs, home.deliveries):
        for path in _files(folder):
            info = path.lstat()
            sizes[info.st_dev, info.st_ino] = info.st_size
    return sum(sizes.values())


def _readable(store: Store) -> Iterator[tuple[str, Record]]:
    """Yield the finished nodes; a damaged record is set aside, and so is not one of them."""
    for key in store.records.names():
        try:
            yield key, store.record(key)
        except BadFile:
            continue


def _roots(store: Store, records: Mapping[str, Record], runs: Path) -> set[str]:
    """Return the nodes that people count on: approved ones, and those of each latest run."""
    told, ids = _latest(runs)
    approved = store.approved()
    return {
        key
        for key, record in records.items()
        if key in told
        or record.run in ids
        or any(asset.sha256 in approved for asset in record.outputs.values())
    }


def _latest(runs: Path) -> tuple[set[str], set[str]]:
    """Return the keys that each campaign's latest run tells of, and the ids of such runs.

    A run that goes on, or was killed, has told no keys yet: what it made is known by its id, and
    the one before it counts too.
    """
    keys: set[str] = set()
    ids: set[str] = set()
    settled: set[str] = set()
    for path in sorted(runs.glob(f"*/{NAME}"), reverse=True):
        run = read_run(runs, path.parent.name)
        if run.campaign not in settled:
            keys |= {entry.key for entry in run.entries}
            ids.add(run.id)
            settled |= {run.campaign} if run.entries else set()
    return keys, ids


def _reachable(records: Mapping[str, Record], roots: Iterable[str]) -> set[str]:
    """Return `roots` and all that they were made from, as far as the store has it."""
    found: set[str] = set()
    ahead = list(roots)
    while ahead:
        key = ahead.pop()
        if key in found or key not in records:
            continue
        found.add(key)
        ahead += [source[1] for source in inputs(records[key]).values() if source[0] == "node"]
    return found


def _files(folder: Path) -> Iterator[Path]:
    for place, _, names in os.walk(folder):
        for name in names:
            yield Path(place, name)


def _gb(size: float) -> str:
    return f"{size / 1e9:.1f} GB"
