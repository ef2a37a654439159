"""Homes whose campaign draws quickly with the shipped model, and what is left in them by runs."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb
import pytest

from catalogs.record import Run
from catalogs.runs import read_run
from catalogs.store import Store
from configs.home import Home
from tests.campaigns import STILLS, bytes_of, home_with
from tests.fault_worker import Ended, beside, workers

SMALL = """
mini-picture:
  makes: picture
  pipeline: ZImagePipeline
  folder: image
  shipped: true
  dialect: mini
  sizes: {portrait: [192, 192], square: [192, 192], landscape: [192, 192]}
  steps: 2
  max_steps: 20
  max_tokens: 128
"""
"""The shipped model at a quarter of its area."""
BLUE = {"id": "mug-02", "name": "coffee mug", "colour": "#2255AA"}


def new_home(folder: Path, **changes: object) -> Home:
    """Return a home whose campaign was never run."""
    home = home_with(folder, {**STILLS, "products": [*STILLS["products"], BLUE]}, **changes)
    (home.root / "models.yaml").write_text(SMALL, "utf-8")
    return home


def run(home: Home, **befalls: object) -> Ended:
    """Run the campaign once."""
    return workers().run(home.root, **befalls)


def finish(home: Home) -> None:
    """Run the campaign to its end."""
    ended = run(home)
    said = beside(home.root, "said")
    assert ended.code == 0, said.read_text("utf-8")


def records(home: Home) -> dict[str, tuple[str, int]]:
    """Return of each finished node the run that made it, and when its record was written."""
    shelf = Store(home.store).records
    return {key: (shelf.read(key).run, shelf.path(key).stat().st_mtime_ns) for key in shelf.names()}


def drawn(home: Home) -> list[str]:
    """Return the keys of the pictures that any run began to draw."""
    path = beside(home.root, "drawn")
    return path.read_text("utf-8").split() if path.exists() else []


def rows(home: Home) -> list[list[tuple]]:
    """Return what the catalog says of nodes and files, and of runs and what became of them."""
    with duckdb.connect(home.catalog / "published.duckdb", read_only=True) as connection:
        return [
            connection.sql(f"SELECT {columns} ORDER BY ALL").fetchall()
            for columns in (
                "n.key, n.parameters, n.held, a.sha256 FROM nodes AS n "
                "JOIN assets AS a ON a.node = n.key",
                "COLUMNS(*) FROM runs",
            )
        ]


def all_runs(home: Home) -> list[Run]:
    return [read_run(home.runs, folder.name) for folder in sorted(home.runs.iterdir())]


def assert_tidy(home: Home) -> None:
    """Nothing half-made is anywhere: no temporary, no orphan, no run that seems to go on."""
    store = Store(home.store)
    wanted = {asset.sha256 for key in store.held() for asset in store.record(key).outputs.values()}
    assert {path.stem for path in store.assets.rglob("*") if path.is_file()} == wanted
    assert not list(store.tmp.iterdir())
    assert not store.waiting()
    assert not store.broken.exists()
    assert {path.name for path in home.catalog.iterdir()} == {
        "catalog.duckdb",
        "published.duckdb",
        "lock",
    }
    ends = {run.id: run.state for run in all_runs(home)}
    assert "running" not in ends.values()
    for name, state in ends.items():
        names = {path.name for path in (home.runs / name).iterdir()}
        page = {"run.json", "index.html", "contact-sheet.jpg", "media"}
        assert names in ([page] if state == "done" else [page, {"run.json"}])
    stray = [path for path in home.deliveries.rglob("*") if path.name.startswith(".")]
    assert not stray


def assert_as_if_nothing_was(home: Home, undisturbed: Home, before: dict) -> None:
    """All is as an undisturbed run leaves it, and what was finished `before` was not made again."""
    after = records(home)
    assert {key: after[key] for key in before} == before
    assert after.keys() == records(undisturbed).keys()
    assert bytes_of(home.deliveries) == bytes_of(undisturbed.deliveries)
    assert bytes_of(home.store / "assets") == bytes_of(undisturbed.store / "assets")
    assert_tidy(home)
    nodes, runs = rows(home)
    assert nodes == rows(undisturbed)[0]
    assert len(runs) == len(all_runs(home))


def copy(home: Home, folder: Path) -> Home:
    """Return a copy of a home."""
    return Home(Path(shutil.copytree(home.root, folder, symlinks=True)))


@contextmanager
def disk(place: Path) -> Iterator[Path]:
    """Lend a disk of 20 MB, where that may be mounted."""
    place.mkdir()
    if shutil.which("mount") is None:
        pytest.skip("there is no mount command")
    mount = ["mount", "-t", "tmpfs", "-o", "size=20m", "keyreel-test", str(place)]
    done = subprocess.run(mount, capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"a tmpfs cannot be mounted here: {done.stderr.strip()}")
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


def fill(place: Path) -> Path:
    """Fill the disk that `place` lies on; return the file that does it."""
    filler = place / "filler"
    filler.write_bytes(bytes(shutil.disk_usage(place).free))
    return filler
