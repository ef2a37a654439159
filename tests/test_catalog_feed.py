"""What was made becomes rows: once, in any order, and again from the files alone."""

from __future__ import annotations

import datetime as dt

import duckdb
import pytest

from catalogs.catalog import Catalog
from catalogs.record import Review
from catalogs.runs import new_id, write_run
from catalogs.store import Store
from tests.catalog_data import commit, entry, node, week

TABLES = (
    "campaigns", "runs", "nodes", "assets", "lineage",
    "executions", "prompts", "reviews", "deliveries",
)  # fmt: skip


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "store")


@pytest.fixture
def catalog(tmp_path, store):
    return Catalog(tmp_path / "catalog", store)


def rows(catalog: Catalog) -> dict[str, list[tuple]]:
    """Return every row of every table, in order."""
    with duckdb.connect(catalog.path, read_only=True) as connection:
        return {
            table: connection.sql(f"SELECT * FROM {table} ORDER BY ALL").fetchall()
            for table in TABLES
        }


def test_every_table_has_rows_after_one_run(catalog, store):
    """A run of two shots leaves rows in every table that it tells of."""
    catalog.refresh(week(store))
    counts = {table: len(found) for table, found in rows(catalog).items()}
    assert counts == {
        "campaigns": 1, "runs": 1, "nodes": 7, "assets": 7, "lineage": 7,
        "executions": 8, "prompts": 4, "reviews": 0, "deliveries": 2,
    }  # fmt: skip


def test_feeding_again_changes_nothing(catalog, store):
    """A fed entry is gone, and indexing a run twice gives the same rows."""
    run = week(store)
    catalog.feed_run(run)
    before = rows(catalog)
    assert catalog.feed() == 0
    catalog.feed_run(run)
    assert rows(catalog) == before


def test_rebuild_gives_the_fed_rows(catalog, store, tmp_path):
    """Records, reviews and run files alone hold everything the catalog knows."""
    for number in (1, 2):
        run = week(store, f"r{number}")
        write_run(tmp_path / "runs", run)
        catalog.feed_run(run)
    asset = store.record(run.entries[0].key).outputs["out"].sha256
    verdict = {"verdict": "approved", "reviewer": "li", "reviewed": "2026-03-03T00:00:00+00:00"}
    store.review(Review(asset=asset, **verdict))
    catalog.feed()
    fed = rows(catalog)
    assert catalog.rebuild(tmp_path / "runs") == 8
    assert rows(catalog) == fed


@pytest.mark.parametrize("records_after", [0, 1, 2])
def test_order_does_not_matter(catalog, store, records_after):
    """Records fed before, between or after what their run told end in the same executions."""
    done = week(store)
    planned = [one.model_copy(update={"state": "planned"}) for one in done.entries]
    waiting = store.waiting()
    store.seen(waiting)
    for step, run in enumerate((done.model_copy(update={"entries": tuple(planned)}), done, None)):
        if step == records_after:
            store.announce(waiting)
            catalog.feed()
        if run:
            catalog.feed_run(run)
    states = {(row[2], row[1]): row[6] for row in rows(catalog)["executions"]}
    assert states.pop(("mug-01/2026-03-02", "watermark")) == "cached"
    assert set(states.values()) == {"made"}


def test_cached_and_failed_are_told_by_the_run(catalog, store):
    """A second run's executions are cached or failed, with the reason, and name no device."""
    catalog.feed_run(week(store))
    again = week(store, "r2")
    failed = entry(
        node("export", "mug-01/2026-03-02", {"x": 1}, delivery="douyin"), "failed", "black"
    )
    catalog.feed_run(again.model_copy(update={"entries": (*again.entries[:-1], failed)}))
    found = [row for row in rows(catalog)["executions"] if row[0] == "r2"]
    assert {(row[6], row[9], row[14]) for row in found} == {
        ("cached", None, ""),
        ("failed", None, "black"),
    }


def test_a_failed_last_step_is_no_delivery(catalog, store):
    """An export whose signing failed is not counted as delivered."""
    run = week(store)
    sign = entry(node("sign", "mug-01/2026-03-02", delivery="douyin"), "failed", "no key")
    catalog.feed_run(run.model_copy(update={"entries": (*run.entries, sign)}))
    assert [row[1] for row in rows(catalog)["deliveries"]] == ["rouge-01/2026-03-02"]


def test_a_missing_catalog_is_fed_with_everything(catalog, store):
    """Deleting the catalog's folder loses no record."""
    week(store)
    catalog.feed()
    catalog.path.unlink()
    assert catalog.feed() == 7


def test_an_entry_without_record_waits(catalog, store):
    """An entry whose record is still being written stays in the inbox, and goes with a sweep."""
    catalog.feed()
    store.announce(["0" * 64])
    assert catalog.feed() == 0
    assert store.waiting() == ["0" * 64]
    (store.tmp).mkdir(parents=True, exist_ok=True)
    assert store.sweep() == 1
    assert store.waiting() == []


def test_a_damaged_record_is_left_out(catalog, store, caplog):
    """A damaged record is set aside with a warning; the others are indexed."""
    bad = commit(store, node("export", "a/b", {"n": 1}), "one")
    commit(store, node("export", "a/c", {"n": 2}), "two")
    path = store.records.path(bad.key)
    path.chmod(0o644)
    path.write_text("{", encoding="utf-8")
    assert catalog.feed() == 1
    assert "left out of the catalog" in caplog.text
    assert bad.key not in store.held()


def test_runs_are_in_the_order_of_their_ids(monkeypatch):
    """Also those of one second: the newest counts."""

    class Clock(dt.datetime):
        @classmethod
        def now(cls, tz=None):
            return cls(2026, 3, 2, 8, 0, 1, next(parts), tzinfo=tz)

    parts = iter((0, 20, 7_000, 999_999))
    monkeypatch.setattr("catalogs.runs.dt.datetime", Clock)
    ids = [new_id("spring") for _ in range(4)]
    assert ids == sorted({*ids})
    assert ids[-1] == "20260302-080001-spring-ffff"
