"""A home that was meddled with: what is damaged is told and made again, or told and left alone."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import subprocess
import threading
from dataclasses import replace

import pytest
import yaml

from catalogs.catalog import Catalog
from catalogs.node import NodeOutput
from catalogs.runs import latest_run
from catalogs.store import Store
from configs.errors import Passing
from flows.book import RUNNING, going_on, settle
from flows.mend import prepare_whole
from tasks import export
from tasks.make import make
from tasks.stage import Draft, Photo
from tests.campaigns import bytes_of, keyreel
from tests.catalog_data import node as plain_node
from tests.export_data import Desk, clip, delivery
from tests.fault_home import all_runs, copy, disk, fill, finish, new_home, records, rows
from tests.test_export_ffmpeg import children, wait_for

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """A home whose campaign has run once."""
    home = new_home(tmp_path_factory.mktemp("whole") / "home")
    finish(home)
    return home


@pytest.fixture
def home(undisturbed, tmp_path):
    """A copy of it, whose deliveries are links as they were."""
    made = copy(undisturbed, tmp_path / "home")
    shutil.rmtree(made.deliveries)
    finish(made)
    return made


def key_of(home, stage: str) -> str:
    """Return the key of the first node of a stage."""
    entries = latest_run(home.runs, "stills").entries
    return next(entry.key for entry in entries if entry.place.stage == stage)


def assert_same(home, undisturbed) -> None:
    """Deliveries and assets are what they were."""
    for folder in ("deliveries", "store/assets"):
        assert bytes_of(home.root / folder) == bytes_of(undisturbed.root / folder)
    assert records(home).keys() == records(undisturbed).keys()


@pytest.mark.parametrize("stage", ["expand", "keyframe", "export"])
def test_a_damaged_record_is_told_and_made_again(home, undisturbed, stage):
    """A bit flipped in a record's recipe is noticed before the run, which makes the node again."""
    path = Store(home.store).records.path(key_of(home, stage))
    text = bytearray(path.read_bytes())
    text[text.index(b'"recipe"') + 30] ^= 1
    path.chmod(0o644)
    path.write_bytes(text)
    before = records_but(home, path.stem)
    (_, plan), lost = prepare_whole(home, "stills")
    assert path.stem in {node.key for node in plan.work()}
    assert path.name in lost[0]
    assert "damaged" in lost[0] or "does not give its name" in lost[0]
    finish(home)
    assert_same(home, undisturbed)
    assert before.items() <= records(home).items()


def records_but(home, key: str) -> dict:
    """Return the records of all nodes but one that cannot be read."""
    store = Store(home.store)
    path = store.records.path(key)
    aside = path.rename(path.with_suffix(".aside"))
    for_sure = records_of(home, store.held() - {aside.name})
    aside.rename(path)
    return for_sure


def records_of(home, keys) -> dict:
    shelf = Store(home.store).records
    return {key: (shelf.read(key).run, shelf.path(key).stat().st_mtime_ns) for key in keys}


@pytest.mark.parametrize("stage", ["keyframe", "export"])
@pytest.mark.parametrize("harm", ["deleted", "cut short"])
def test_a_lost_asset_is_made_again(home, undisturbed, stage, harm):
    """An asset that was deleted or cut short by hand is noticed, and comes back the same."""
    store = Store(home.store)
    key = key_of(home, stage)
    (asset,) = store.record(key).outputs.values()
    path = store.asset_path(asset)
    path.unlink()
    if harm == "cut short":
        path.write_bytes(b"cut")
    (_, plan), lost = prepare_whole(home, "stills")
    assert [node.key for node in plan.work()] == [key]
    assert "missing or cut short" in lost[0]
    finish(home)
    assert_same(home, undisturbed)


def test_deleted_deliveries_come_back(home, undisturbed):
    """Deliveries that were deleted come back by a run that makes nothing and starts no server."""
    shutil.rmtree(home.deliveries)
    before = records(home)
    said = keyreel(home, "run", "stills")
    assert (said.returncode, said.stderr) == (0, "")
    assert "Nothing to do" in said.stdout
    assert_same(home, undisturbed)
    assert records(home) == before
    assert not (home.cache / "prefect").exists()


def test_nothing_to_do_writes_nothing(home):
    """A run of a campaign that is all done and in its place leaves every file as it is."""
    before = {path: path.stat().st_mtime_ns for path in home.root.rglob("*")}
    finish(home)
    assert {path: path.stat().st_mtime_ns for path in home.root.rglob("*")} == before


def test_another_run_going_on_is_left_alone(home):
    """While a run goes on, others neither call it interrupted nor write down anything for it."""
    store = Store(home.store)
    with going_on(home.runs / "20260302-000000-other-0000", store):
        before = set(home.runs.iterdir())
        finish(home)
        assert set(home.runs.iterdir()) == before
        settle(home, store, Catalog(home.catalog, store))
        assert (home.runs / "20260302-000000-other-0000" / RUNNING).exists()


def test_an_edit_taken_back_brings_the_first_files_back(home, undisturbed):
    """Names for people point to what the campaign says now, though nothing is to be made."""
    file = home.campaigns / "stills.yaml"
    before = file.read_text("utf-8")
    edited = yaml.safe_load(before)
    edited["settings"]["export.quality"] = 60
    file.write_text(yaml.safe_dump(edited, allow_unicode=True), "utf-8")
    finish(home)
    assert bytes_of(home.deliveries) != bytes_of(undisturbed.deliveries)
    file.write_text(before, "utf-8")
    finish(home)
    assert bytes_of(home.deliveries) == bytes_of(undisturbed.deliveries)


@pytest.mark.parametrize("harm", ["damaged", "emptied", "deleted"])
def test_a_damaged_catalog_names_the_way_out(home, harm):
    """A catalog that is damaged or gone is one sentence naming a command, which gives its rows."""
    before = rows(home)
    path = home.catalog / "catalog.duckdb"
    path.unlink() if harm == "deleted" else path.write_bytes(b"broken" * 999 * (harm == "damaged"))
    said = keyreel(home, "query", "SELECT count(*) FROM nodes")
    assert said.returncode == 2
    assert "keyreel catalog rebuild" in said.stderr
    assert "Traceback" not in said.stderr
    assert rows(home) == before  # readers keep the last good copy
    assert keyreel(home, "catalog", "rebuild").returncode == 0
    assert rows(home) == before


def test_a_deleted_catalog_is_built_anew(home):
    """Without its folder the catalog is built from records and run files, to the same rows."""
    before = rows(home)
    shutil.rmtree(home.catalog)
    Catalog(home.catalog, Store(home.store)).rebuild(home.runs)
    assert rows(home) == before


def test_a_run_file_cut_short_is_passed_over(home, undisturbed):
    """A damaged run file stops no run; collecting, which counts on it, says what to do."""
    path = home.runs / all_runs(home)[-1].id / "run.json"
    path.write_bytes(path.read_bytes()[:100])
    finish(home)
    assert_same(home, undisturbed)
    said = keyreel(home, "gc")
    assert said.returncode == 2
    assert "delete its folder" in said.stderr


@pytest.fixture
def small_disk(tmp_path):
    """A disk of 20 MB."""
    with disk(tmp_path / "disk") as place:
        yield place


def test_a_home_that_may_not_be_written_to(small_disk):
    """On a read-only disk a run is refused in one sentence that says what to do."""
    home = new_home(small_disk / "home")
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    said = keyreel(home, "run", "stills")
    assert said.returncode in (1, 2)
    assert os.strerror(errno.EROFS) in said.stderr
    assert "can be written to" in said.stderr
    assert "bug" not in said.stderr


def test_a_disk_that_is_too_full_refuses_the_run(small_disk):
    """A run that will not fit is refused before it begins, with what is free and a way out."""
    home = new_home(small_disk / "home")
    fill(small_disk)
    said = keyreel(home, "run", "stills")
    assert said.returncode == 1
    assert "keyreel gc" in said.stderr
    assert "bug" not in said.stderr


def test_ffmpeg_killed_during_an_export(tmp_path):
    """A killed encoder is a fault that may pass: nothing is kept of it, and a retry is the same."""

    def desk_with_clip(name: str):
        desk = Desk(tmp_path / name)
        store = desk.studio.store
        drawn = plain_node("animate", "rouge-01/2026-03-02")
        with store.workspace() as folder:
            path = clip(folder / "m.mp4", (144, 256), frames=33, fps=16)
            draft = Draft(path, "clip", "video/mp4", 144, 256, frames=33, fps=16, seconds=33 / 16)
            store.commit(drawn, {"clip": draft}, run="r", started="", seconds=1)
        size = delivery(1080, 1920)
        path = store.output(drawn.key, "clip")
        photo = {"clip": Photo(144, 256, fps=16, frames=33)}
        asked = desk.node(export.STAGE, size, {"clip": path}, photo)
        return desk, replace(asked, inputs={"clip": NodeOutput(drawn.key, "clip")})

    def kill() -> None:
        os.kill(wait_for(children)[0], signal.SIGKILL)

    killed, asked = desk_with_clip("killed")
    killer = threading.Thread(target=kill)
    killer.start()
    with pytest.raises(Passing, match="killed by SIGKILL"):
        list(make(export.STAGE, [asked], killed.studio, run="r1"))
    killer.join()
    store = killed.studio.store
    assert not store.has(asked.key)
    assert not list(store.tmp.iterdir())
    list(make(export.STAGE, [asked], killed.studio, run="r2"))
    whole, same = desk_with_clip("whole")
    list(make(export.STAGE, [same], whole.studio, run="r1"))
    assert bytes_of(store.assets) == bytes_of(whole.studio.store.assets)
    assert not children()
