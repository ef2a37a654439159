"""Eight processes finish 500 nodes each at once; one is killed; a reader looks on.

    python -m benchmarks.catalog_writers [FOLDER]

Each record is the real thing: an asset of 1 KB hashed, synced and renamed, then its record, then
its rows. The killed writer is started again and makes what it had not finished.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import tempfile
import time
from multiprocessing.context import SpawnProcess
from multiprocessing.synchronize import Event, Semaphore
from pathlib import Path
from statistics import median

from benchmarks.figures import at_most, write
from catalogs.catalog import Catalog
from catalogs.node import Address, Node
from catalogs.query import ask
from catalogs.store import Store
from tasks.stage import Draft

WRITERS, RECORDS, ROUNDS = 8, 500, 5
FEED_SECONDS, READ_SECONDS = 3.0, 0.25
KILL_AFTER = 1.0
STARTED = "2026-03-02T08:00:00+00:00"

CONSISTENT = """
SELECT count(*), count(*) FILTER (a.node IS NULL), count(*) FILTER (e.node IS NULL)
FROM nodes AS n
LEFT JOIN assets AS a ON a.node = n.key
LEFT JOIN executions AS e ON e.node = n.key
"""


def nodes(writer: int) -> list[Node]:
    """Return what one writer is to make."""
    return [
        Node(
            Address("export", f"w{writer}/2026-03-02/{number}"),
            "export",
            1,
            {"n": [writer, number]},
        )
        for number in range(RECORDS)
    ]


def work(root: Path, writer: int, ready: Semaphore, go: Event) -> None:
    """Make what is missing of one writer's nodes, feeding the catalog as often as a run does."""
    store = Store(root / "store")
    catalog = Catalog(root / "catalog", store)
    missing = [node for node in nodes(writer) if not store.has(node.key)]
    ready.release()
    go.wait()
    fed = time.monotonic() - FEED_SECONDS * writer / WRITERS
    for node in missing:
        with store.workspace() as desk:
            path = desk / "delivery.bin"
            path.write_bytes(bytes.fromhex(node.key) * 32)
            draft = {"delivery": Draft(path, "clip", "video/mp4")}
            store.commit(node, draft, run=f"r{writer}", started=STARTED, seconds=1.0)
        if time.monotonic() - fed > FEED_SECONDS:
            catalog.refresh()
            fed = time.monotonic()
    catalog.feed()


def once(root: Path) -> tuple[float, list[tuple[int, ...]]]:
    """Return the seconds that all writers took, and what the reader saw on the way."""
    context = multiprocessing.get_context("spawn")
    ready, go = context.Semaphore(0), context.Event()

    def start(writer: int) -> SpawnProcess:
        process = context.Process(target=work, args=(root, writer, ready, go))
        process.start()
        return process

    processes = [start(writer) for writer in range(WRITERS)]
    catalog = Catalog(root / "catalog", Store(root / "store"))
    catalog.refresh()
    for _ in processes:
        ready.acquire()
    started, seen = time.monotonic(), []
    go.set()
    victim = processes[-1]
    while any(process.is_alive() for process in processes):
        if victim.pid and time.monotonic() - started > KILL_AFTER and victim.exitcode is None:
            os.kill(victim.pid, signal.SIGKILL)
            victim.join()
            processes.append(start(WRITERS - 1))
        seen.append(tuple(int(str(value)) for value in ask(catalog.published, CONSISTENT)[1][0]))
        time.sleep(READ_SECONDS)
    catalog.refresh()
    seconds = time.monotonic() - started
    seen.append(tuple(int(str(value)) for value in ask(catalog.published, CONSISTENT)[1][0]))
    return seconds, seen


def main(folder: str | None = None) -> None:
    """Measure, and write the results."""
    seconds, lost, torn = [], 0, 0
    for _ in range(ROUNDS):
        with tempfile.TemporaryDirectory(dir=folder) as root:
            took, seen = once(Path(root))
            kept = Store(Path(root) / "store").held()
        seconds.append(took)
        wanted = {node.key for writer in range(WRITERS) for node in nodes(writer)}
        lost += len(wanted - kept) + len(wanted) - seen[-1][0]
        counts = [count for count, *_ in seen]
        torn += sum(any(missing) for _, *missing in seen) + (counts != sorted(counts))
        print(f"{took:.2f} s, reader saw {counts}")
    write(
        "catalog_writers",
        [
            at_most(
                "8 processes x 500 records, all in the catalog", median(seconds), "s", 10,
                f"median of {ROUNDS}, worst {max(seconds):.1f} s; one writer killed after "
                f"{KILL_AFTER:g} s and started again",
            ),
            at_most("records or rows lost", lost, "", 0),
            at_most("views of the reader that were torn or went back", torn, "", 0),
        ],
    )  # fmt: skip


if __name__ == "__main__":
    main(*sys.argv[1:])
