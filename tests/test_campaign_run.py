"""A campaign from its file to its deliveries, on the real path with the shipped picture model."""

from __future__ import annotations

import json

import pytest
from PIL import Image

from catalogs.catalog import Catalog
from catalogs.store import Store
from flows.plan import prepare
from tests.campaigns import STILLS, bytes_of, home_with, run_plainly


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A home whose campaign has run once, and that run."""
    home = home_with(tmp_path_factory.mktemp("finished") / "home")
    return home, run_plainly(home)


@pytest.mark.slow
def test_every_delivery_has_its_size_and_its_name(finished):
    """Deliveries lie under campaign, day and product, in the platform's size."""
    home, run = finished
    assert run.state == "done"
    files = sorted((home.deliveries / "stills").rglob("*.jpeg"))
    assert [str(path.relative_to(home.deliveries)) for path in files] == [
        f"stills/2026-03-02/{product}/xiaohongshu-note.jpeg" for product in ("mug-01", "rouge-01")
    ]
    for path in files:
        with Image.open(path) as image:
            assert image.size == (1080, 1440)


@pytest.mark.slow
def test_one_row_of_the_catalog_for_every_delivery(finished):
    """The catalog holds each delivery with its recipe and the keyframe or photo it came from."""
    home, _ = finished
    catalog = Catalog(home.catalog, Store(home.store))
    _, rows = catalog.query("SELECT shot, count(*) FROM v_assets WHERE delivery <> '' GROUP BY 1")
    assert {shot for shot, _ in rows} == {"rouge-01/2026-03-02", "mug-01/2026-03-02"}
    found = catalog.show(str(next((home.deliveries / "stills").rglob("rouge-01/*.jpeg"))))
    assert {parent.role for parent in found.parents} == {"image", "delivery"}


@pytest.mark.slow
def test_the_same_week_again_makes_nothing(finished):
    """A finished campaign has no work left; another week has other keyframes."""
    home, _ = finished
    plan = prepare(home, "stills").plan
    assert plan.work() == ()
    brief = {**STILLS, "name": "stills", "calendar": {"start": "2026-03-09", "days": 7}}
    home_with(home.root, brief)
    following = prepare(home, "stills").plan
    home_with(home.root)
    keyframes = [
        {key for key, node in each.nodes.items() if node.kind == "keyframe"}
        for each in (plan, following)
    ]
    assert keyframes[0]
    assert not keyframes[0] & keyframes[1]


@pytest.mark.slow
def test_another_home_gives_the_same_bytes(finished, tmp_path):
    """Same campaign, same models, same machine: the same bytes."""
    home, _ = finished
    again = home_with(tmp_path / "home")
    run_plainly(again)
    assert bytes_of(again.deliveries) == bytes_of(home.deliveries)


@pytest.mark.slow
def test_one_poisoned_shot_fails_alone(tmp_path):
    """A photo that vanishes after planning fails its shot with a sentence; the other is made."""
    home = home_with(tmp_path / "home")
    photo = home.root / "brand" / "photo.png"
    run = run_plainly(home, after_planning=photo.unlink)
    assert run.state == "failed"
    errors = [entry for entry in run.entries if entry.error]
    assert {entry.place.shot for entry in errors} == {"mug-01/2026-03-02"}
    assert "photo.png" in next(e.error for e in errors if e.state == "failed")
    assert (home.deliveries / "stills/2026-03-02/rouge-01/xiaohongshu-note.jpeg").exists()
    page = (home.runs / run.id / "index.html").read_text("utf-8")
    assert "photo.png" in page


@pytest.mark.slow
def test_a_cancelled_run_keeps_what_was_finished(tmp_path):
    """After a cancel the run says interrupted, and the next one goes on from there."""
    home = home_with(tmp_path / "home")
    store = Store(home.store)
    run = run_plainly(home, cancelled=lambda: bool(store.held()))
    assert run.state == "interrupted"
    before = store.held()
    assert run_plainly(home).state == "done"
    assert before < store.held()
    assert not list(store.tmp.iterdir())


@pytest.mark.slow
def test_the_run_file_tells_the_whole_recipe_of_the_run(finished):
    """Seed, first day, profile and every node's key stand in run.json."""
    home, run = finished
    told = json.loads((home.runs / run.id / "run.json").read_text("utf-8"))
    assert told["parameters"]["seed"] == 7
    assert told["parameters"]["start"] == "2026-03-02"
    assert {entry["state"] for entry in told["entries"]} == {"made"}
