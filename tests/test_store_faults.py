"""Killed, starved of disk or cut off at any instant: run again, and all is as if nothing was."""

from __future__ import annotations

import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import duckdb
import pytest

from catalogs.catalog import Catalog
from catalogs.store import Store
from configs.errors import OutOfSpace
from tests.catalog_data import commit, files, node

COUNT = 10
POINTS = (
    "renamed",
    *(
        pytest.param(point, marks=pytest.mark.slow)
        for point in ("temp written", "fsynced", "recorded", "indexed")
    ),
)


def worker(root: Path, count: int, *kill: str) -> subprocess.Popen[str]:
    """Start a worker."""
    command = [sys.executable, "-m", "tests.store_worker", str(root), str(count), *kill]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def made_by(process: subprocess.Popen[str], *, code: int) -> set[int]:
    """Wait for a worker; return the nodes that it began to make."""
    with process:
        said = process.stdout.read()
    assert process.returncode == code
    return {int(line) for line in said.split()}


def left(root: Path) -> dict[str, bytes]:
    """Return all that a home holds, but for times: assets by name, and the names of the rest."""
    assets = Store(root / "store").assets
    names = dict.fromkeys(files(root), b"")
    return names | {f"store/assets/{name}": (assets / name).read_bytes() for name in files(assets)}


def rows(root: Path) -> list[tuple]:
    """Return the catalog's nodes and assets, but for times."""
    with duckdb.connect(root / "catalog" / "published.duckdb", read_only=True) as connection:
        return connection.sql(
            "SELECT n.key, n.parameters, n.held, a.sha256, a.uri "
            "FROM nodes AS n JOIN assets AS a ON a.node = n.key ORDER BY ALL"
        ).fetchall()


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """What a worker leaves that nobody kills."""
    root = tmp_path_factory.mktemp("undisturbed")
    assert made_by(worker(root, COUNT), code=0) == set(range(COUNT))
    return root


@pytest.mark.parametrize("point", POINTS)
def test_killed_at_a_commit_point(undisturbed, tmp_path, point):
    """After a kill there, a second run makes only what was not finished, to the same bytes."""
    nth = "2" if point == "indexed" else "7"
    made_by(worker(tmp_path, COUNT, point, nth), code=-signal.SIGKILL)
    held = Store(tmp_path / "store").held()
    again = made_by(worker(tmp_path, COUNT), code=0)
    assert len(again) == COUNT - len(held)
    assert left(tmp_path) == left(undisturbed)
    assert rows(tmp_path) == rows(undisturbed)


@pytest.mark.long
@pytest.mark.timeout(300)
def test_killed_at_random_times(tmp_path):
    """Twenty kills at any instant of work that then runs to its end leave no trace."""
    count, kills, draw = 400, 20, random.Random(20260302)
    beginnings = 0
    for _ in range(kills):
        with worker(tmp_path / "killed", count) as process:
            first = process.stdout.readline()  # from here on it works
            assert first, "the work ended before it was killed often enough"
            time.sleep(draw.uniform(0, 0.15))
            process.kill()
            beginnings += 1 + len(process.stdout.read().split())
    beginnings += len(made_by(worker(tmp_path / "killed", count), code=0))
    made_by(worker(tmp_path / "whole", count), code=0)
    assert left(tmp_path / "killed") == left(tmp_path / "whole")
    assert rows(tmp_path / "killed") == rows(tmp_path / "whole")
    assert beginnings <= count + kills  # only what was in work at a kill was begun twice


@pytest.fixture
def small_disk(tmp_path):
    """A disk of 20 MB."""
    place = tmp_path / "disk"
    place.mkdir()
    if shutil.which("mount") is None:
        pytest.skip("there is no mount command")
    mount = ["mount", "-t", "tmpfs", "-o", "size=20m", "keyreel-test", str(place)]
    done = subprocess.run(mount, capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"a tmpfs cannot be mounted here: {done.stderr.strip()}")
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)


def fill(store: Store, count: int) -> None:
    """Commit `count` nodes of 1 MB, where they are not finished yet."""
    for number in range(count):
        made = node("export", "a/b", {"n": number})
        if not store.has(made.key):
            commit(store, made, f"{number:1000000}")


def test_a_full_disk_keeps_what_is_finished(small_disk):
    """The error says what to do; nothing half-made stays; with more room the work goes on."""
    store = Store(small_disk / "store")
    with pytest.raises(OutOfSpace, match="keyreel gc"):
        fill(store, 30)
    held = store.held()
    assert 10 < len(held) <= 20
    assert files(store.tmp) == []
    assert len(files(store.assets)) == len(held)
    subprocess.run(["mount", "-o", "remount,size=60m", str(small_disk)], check=True)
    fill(store, 30)
    assert held < store.held()
    assert all(store.output(key, "out").stat().st_size == 1_000_000 for key in store.held())


def test_a_catalog_on_a_full_disk_loses_nothing(small_disk):
    """A feed that finds no room says so, and the next one with room has every row."""
    store = Store(small_disk / "store")
    catalog = Catalog(small_disk / "catalog", store)
    for number in range(30):
        commit(store, node("export", "a/b", {"n": number}), str(number))
    filler = small_disk / "filler"
    filler.write_bytes(bytes(shutil.disk_usage(small_disk).free))
    with pytest.raises(OutOfSpace):
        catalog.refresh()
    filler.unlink()
    catalog.refresh()
    assert catalog.query("SELECT count(*) FROM nodes")[1] == [(30,)]
