"""What earlier runs left: the keys that addresses had, and what nodes took.

Reads run files and records: the catalog knows the same, but DuckDB takes longer to start.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from statistics import median

from catalogs.node import Address
from catalogs.record import Record, Run
from catalogs.runs import read_run
from catalogs.store import Store
from configs.errors import BadFile
from flows.facts import Cost, Recipe

RUNS, ENTRIES = 8, 20_000
"""The newest runs are read, until this many of either: 20,000 entries take 0.1 s."""
SAMPLE = 24
"""Records of a stage and run that medians are taken of: each takes 0.2 ms to read."""


def recent_runs(folder: Path) -> list[Run]:
    """Return the newest readable runs in `folder`, newest first: ids begin with their time."""
    found: list[Run] = []
    names = sorted((path.parent.name for path in folder.glob("*/run.json")), reverse=True)
    for name in names[:RUNS]:
        try:
            found.append(read_run(folder, name))
        except BadFile:
            continue
        if sum(len(run.entries) for run in found) > ENTRIES:
            break
    return found


def previous_keys(runs: Iterable[Run], campaign: str) -> dict[Address, str]:
    """Return the key that each address of a campaign had when it was last made."""
    keys: dict[Address, str] = {}
    for run in runs:
        if run.campaign != campaign:
            continue
        for entry in run.entries:
            if entry.state in ("made", "cached"):
                place = entry.place
                address = Address(place.stage, place.shot, place.aspect, place.delivery)
                keys.setdefault(address, entry.key)
    return keys


def recipe_of(store: Store, key: str) -> Recipe | None:
    """Return the recipe of a finished node, None where it is gone."""
    try:
        return store.record(key).recipe
    except (KeyError, BadFile):
        return None


def recorded_costs(runs: Iterable[Run], store: Store) -> dict[tuple[str, str], Cost]:
    """Return what a node took at the median, by kind of stage and model fingerprint."""
    samples: dict[tuple[str, str], list[Cost]] = defaultdict(list)
    for record in _sampled(runs, store):
        group = str(record.recipe["stage"]), str(record.recipe["model"])
        size = sum(asset.bytes for asset in record.outputs.values())
        samples[group].append(Cost(record.seconds, size))
    return {
        group: Cost(median(c.seconds for c in costs), median(c.bytes for c in costs))
        for group, costs in samples.items()
    }


def _sampled(runs: Iterable[Run], store: Store) -> Iterator[Record]:
    """Yield the records of a few nodes of each stage of each run."""
    for run in runs:
        made: dict[str, list[str]] = defaultdict(list)
        for entry in run.entries:
            if entry.state == "made":
                made[entry.place.stage].append(entry.key)
        for keys in made.values():
            for key in keys[:: max(1, len(keys) // SAMPLE)]:
                try:
                    yield store.record(key)
                except (KeyError, BadFile):
                    continue
