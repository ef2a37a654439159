"""A process that finishes some nodes and feeds the catalog; tests kill it on its way.

    python -m tests.store_worker ROOT COUNT [POINT NTH]

Prints the number of each node that it begins to make. At the NTH passing of POINT it kills itself.
"""

from __future__ import annotations

import os
import signal
import sys
from collections import Counter
from pathlib import Path

from catalogs.catalog import Catalog
from catalogs.store import Store
from tests.catalog_data import commit, node

FEED_EVERY = 5
SHOT = "rouge-01/2026-03-02"


def kill_at(point: str, nth: int):
    """Return a hook that ends this process, as a power cut would, at one commit point."""
    passed: Counter[str] = Counter()

    def hook(name: str) -> None:
        passed[name] += 1
        if name == point and passed[name] == nth:
            os.kill(os.getpid(), signal.SIGKILL)

    return hook


def work(store: Store, catalog: Catalog, count: int) -> None:
    """Make what is missing of `count` nodes, after clearing up behind killed processes."""
    store.sweep()
    for number in range(count):
        made = node("export", SHOT, {"n": number})
        if not store.has(made.key):
            print(number, flush=True)
            commit(store, made, f"{number}\n" * 1000)
        if number % FEED_EVERY == FEED_EVERY - 1:
            catalog.feed()
    catalog.feed()
    catalog.publish()


def main(root: str, count: str, point: str = "", nth: str = "0") -> None:
    """Run one worker."""
    store = Store(Path(root) / "store", on_point=kill_at(point, int(nth)))
    work(store, Catalog(Path(root) / "catalog", store), int(count))


if __name__ == "__main__":
    main(*sys.argv[1:])
