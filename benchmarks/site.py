"""The gallery site under load: pages a second, video streamed, and the memory both take.

    python -m benchmarks.site [FOLDER]

wrk (Debian's package) asks over eight connections on loopback, with a token, for pages of a home of
a hundred shots; then for a clip of 64 MB until 1 GB has come. The rate limit is off. Site and wrk
share the machine's cores.
"""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from benchmarks.figures import Figure, at_least, at_most, write
from catalogs.catalog import Catalog
from catalogs.node import Address, Node
from catalogs.record import Entry, Place, Run
from catalogs.runs import write_run
from catalogs.store import Store
from configs.home import Home
from flows.site import tokens
from flows.site.ledger import Ledger
from tasks.stage import Draft

SHOTS, CONNECTIONS, SECONDS, LONG = 100, 8, 10, 64 << 20
STARTED, RUN = "2026-03-02T08:00:00+00:00", "20260302-080000-spring-0000"
PAGES = 200
"""Page requests a second that are to be reached."""
GROWTH = 30.0
"""MB that memory may grow by, over all of it."""
STREAMED = 1e9


@dataclass(frozen=True, slots=True)
class Told:
    """What wrk says of one load."""

    rate: float
    bytes: float


def fill(home: Home) -> str:
    """Put a hundred shots and one long clip into a home; return the clip's SHA-256."""
    store = Store(home.store)
    entries = [_commit(store, number, 30_000) for number in range(SHOTS)]
    long = _commit(store, SHOTS, LONG)
    shots = {entry.place.shot: _told(entry.place.shot) for entry in entries}
    run = Run(
        id=RUN, campaign="spring", state="done", started=STARTED, finished=STARTED, shots=shots,
        entries=tuple(entries),
    )  # fmt: skip
    write_run(home.runs, run)
    Catalog(home.catalog, store).rebuild(home.runs)
    return store.record(long.key).outputs["delivery"].sha256


def _told(shot: str) -> dict[str, object]:
    product, day = shot.split("/")
    words = "A lipstick on beige linen, soft light from the left, a shallow depth of field."
    return {"product": {"id": product, "name": product}, "day": day, "texts": {"picture": words}}


def _commit(store: Store, number: int, size: int) -> Entry:
    shot = f"p-{number}/2026-03-02"
    node = Node(Address("export", shot, "", "douyin"), "export", 1, {"n": number})
    with store.workspace() as desk:
        path = desk / "clip.mp4"
        path.write_bytes(os.urandom(size))
        draft = Draft(path, "clip", "video/mp4", 1080, 1920, 48, 24.0, 2.0)
        store.commit(node, {"delivery": draft}, run=RUN, started=STARTED, seconds=1.0)
    place = Place(stage="export", shot=shot, delivery="douyin")
    return Entry(place=place, key=node.key, state="made")


@contextmanager
def served(home: Home) -> Iterator[tuple[str, int]]:
    """Yield the address and the process id of the site, in a process of its own."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    command = [sys.executable, "-m", "benchmarks.site", "serve", str(home.root), str(port)]
    process = subprocess.Popen(command)
    address = f"http://127.0.0.1:{port}"
    try:
        while process.poll() is None:
            with suppress(OSError), urllib.request.urlopen(f"{address}/login", timeout=5):
                break
            time.sleep(0.1)
        yield address, process.pid
    finally:
        process.terminate()
        process.wait()


def serve(root: str, port: str) -> None:
    """Serve a home without a rate limit, as `keyreel serve` does with one."""
    import uvicorn

    from flows.site.app import create

    app = create(Home(Path(root)), limits={})
    uvicorn.run(app, port=int(port), log_level="warning", access_log=False)


def load(address: str, token: str, connections: int = CONNECTIONS) -> Told:
    """Ask for an address for some seconds; every answer must be a good one."""
    words = ["-t1", f"-c{connections}", f"-d{SECONDS}s", "--timeout", "10s"]
    command = ["wrk", *words, "-H", f"Authorization: Bearer {token}", address]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    if "Non-2xx" in said or "Socket errors" in said:
        raise RuntimeError(said)
    rate = re.search(r"Requests/sec:\s+([0-9.]+)", said)
    read = re.search(r"([0-9.]+)(B|KB|MB|GB) read", said)
    assert rate is not None
    assert read is not None
    unit = {"B": 1, "KB": 1 << 10, "MB": 1 << 20, "GB": 1 << 30}[read[2]]
    return Told(float(rate[1]), float(read[1]) * unit)


def resident(pid: int) -> float:
    """Return the MB of memory that a process has."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    found = re.search(r"VmRSS:\s+(\d+) kB", status)
    assert found is not None
    return int(found[1]) / 1e3


def measure(root: Path) -> list[Figure]:
    """Return all figures."""
    home = Home.create(root / "home")
    clip = fill(home)
    ledger = Ledger(home)
    token = tokens.issue(ledger, "viewer", "benchmark")
    ledger.close()
    pages = {"runs": "/", "a run of 100 shots": f"/runs/{RUN}", "assets": "/search",
             "an asset": f"/assets/{clip}"}  # fmt: skip
    with served(home) as (address, pid):
        for path in (*pages.values(), f"/files/{clip}"):
            asked = urllib.request.Request(address + path)
            asked.add_header("Authorization", f"Bearer {token}")
            with urllib.request.urlopen(asked) as answer:
                while answer.read(1 << 20):
                    pass
        before = resident(pid)
        rates = {name: load(address + path, token).rate for name, path in pages.items()}
        streamed, seconds = 0.0, 0
        while streamed < STREAMED:
            streamed += load(f"{address}/files/{clip}", token, connections=4).bytes
            seconds += SECONDS
        grown = resident(pid) - before
    note = f"{CONNECTIONS} connections; {before:.0f} MB before"
    found = [
        at_least(f"page requests: {name}", rate, "1/s", PAGES, f"{CONNECTIONS} connections")
        for name, rate in rates.items()
    ]
    found.append(Figure("video streamed", streamed / seconds / 1e6, "MB/s", note="4 connections"))
    found.append(
        at_most(f"memory grown by all pages and {streamed / 1e9:.1f} GB of video", grown, "MB",
                GROWTH, note)
    )  # fmt: skip
    return found


if __name__ == "__main__":
    if sys.argv[1:2] == ["serve"]:
        serve(*sys.argv[2:])
    else:
        with tempfile.TemporaryDirectory(dir=sys.argv[1] if sys.argv[1:] else None) as place:
            write("site", measure(Path(place)))
