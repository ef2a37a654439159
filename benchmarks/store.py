"""What the store and the catalog cost: a commit, a look at 50,000 keys, a rebuild, a known model.

python -m benchmarks.store [FOLDER]
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median, quantiles

from benchmarks.figures import Figure, at_most, write
from catalogs.catalog import Catalog
from catalogs.hashes import FileHashes
from catalogs.node import Address, Node, NodeOutput
from catalogs.record import Asset, Entry, Place, Record, Run
from catalogs.runs import write_run
from catalogs.store import Store
from tasks.stage import Draft

COMMITS, KEYS, RECORDS, TIMES = 500, 50_000, 10_000, 5
STARTED = "2026-03-02T08:00:00+00:00"
MODEL = Path(__file__).parents[1] / "gpu" / "mini" / "weights" / "image"


def timed(work: Callable[[], object]) -> tuple[float, float]:
    """Return the wall and CPU seconds of `work`."""
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - wall, time.process_time() - cpu


def commits(root: Path) -> list[Figure]:
    """Measure commits of a 1 KB asset, one after the other."""
    store, took = Store(root), []
    for number in range(COMMITS):
        node = Node(Address("export", "a/2026-03-02"), "export", 1, {"n": number})
        with store.workspace() as desk:
            path = desk / "delivery.bin"
            path.write_bytes(bytes.fromhex(node.key) * 32)
            draft = {"delivery": Draft(path, "clip", "video/mp4")}
            commit = partial(store.commit, node, draft, run="r", started=STARTED, seconds=1.0)
            took.append(timed(commit))
    walls, cpus = ([one * 1e3 for one in part] for part in zip(*took, strict=True))
    note = f"95th percentile {quantiles(walls, n=20)[-1]:.1f} ms; CPU {median(cpus):.2f} ms"
    return [at_most("commit of a 1 KB asset and its record, median", median(walls), "ms", 10, note)]


def looks(root: Path) -> list[Figure]:
    """Measure a look at all keys, as every plan takes one."""
    store = Store(root)
    for number in range(KEYS):
        path = store.records.path(f"{number * 7919 % 2**32:08x}".ljust(64, "0"))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    wall, cpu = timed(store.held)
    return [at_most(f"look at {KEYS} keys", wall, "s", 0.5, f"CPU {cpu:.2f} s")]


def rebuilds(root: Path) -> list[Figure]:
    """Measure a rebuild, a query and a no-op feed over clips, each of a keyframe."""
    store = Store(root / "store")
    records = [record for number in range(RECORDS // 2) for record in shot(number)]
    for record in records:
        path = store.records.path(record.key)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(record.model_dump_json(indent=1), encoding="utf-8")
    entries = tuple(Entry(place=one.place, key=one.key, state="made") for one in records)
    done = Run(id="r", campaign="spring", state="done", started=STARTED, entries=entries)
    write_run(root / "runs", done)
    catalog = Catalog(root / "catalog", store)
    wall, cpu = timed(lambda: catalog.rebuild(root / "runs"))
    found = [Figure(f"rebuild from {RECORDS} records", wall, "s", note=f"CPU {cpu:.2f} s")]
    for view in ("v_assets", "v_lineage", "v_stage_seconds"):
        wall, cpu = timed(partial(catalog.query, f"SELECT count(*) FROM {view}"))
        found.append(Figure(f"{view} of {RECORDS} nodes", wall, "s", note=f"CPU {cpu:.2f} s"))
    wall, cpu = timed(catalog.refresh)
    return [*found, Figure("feed and publish with nothing new", wall * 1e3, "ms")]


def shot(number: int) -> list[Record]:
    """Return the records of one shot's keyframe and clip."""
    address = f"p{number}/2026-03-02"
    picture = Node(Address("keyframe", address), "keyframe", 1, {"prompt": "一" * 200, "n": number})
    clip = Node(
        Address("animate", address), "animate", 1, {}, {"image": NodeOutput(picture.key, "image")}
    )
    return [told(picture, "image"), told(clip, "clip")]


def told(node: Node, kind: str) -> Record:
    """Return a record of `node`, whose one asset is not there."""
    asset = Asset.model_validate(
        {"sha256": node.key, "kind": kind, "mime": "video/mp4", "bytes": 1_000_000}
    )
    place = Place.model_validate(node.address, from_attributes=True)
    return Record(
        key=node.key,
        recipe=node.recipe(),
        place=place,
        outputs={kind: asset},
        run="r",
        started=STARTED,
        seconds=1.0,
    )


def hashes(root: Path) -> list[Figure]:
    """Measure the fingerprint of the shipped picture model, known and unknown."""
    known = FileHashes(root / "hashes.json")
    first, _ = timed(lambda: known.fingerprint(MODEL))
    again = median(timed(lambda: known.fingerprint(MODEL))[0] for _ in range(TIMES))
    megabytes = sum(path.stat().st_size for path in MODEL.rglob("*")) / 1e6
    note = f"first time {first * 1e3:.0f} ms for {megabytes:.0f} MB"
    return [at_most("fingerprint of a known model", again * 1e3, "ms", 5, note)]


def main(folder: str | None = None) -> None:
    """Measure, and write the results."""
    found: list[Figure] = []
    for measure in (commits, looks, rebuilds, hashes):
        with tempfile.TemporaryDirectory(dir=folder) as root:
            found += measure(Path(root))
    write("store", found)


if __name__ == "__main__":
    main(*sys.argv[1:])
