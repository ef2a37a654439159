"""The views, each by the question that it answers."""

from __future__ import annotations

import datetime as dt
import shutil

import duckdb
import pytest

from catalogs import migrations
from catalogs.catalog import Catalog
from catalogs.node import NodeOutput
from catalogs.record import Review, Run
from catalogs.store import Store
from tests.catalog_data import commit, entry, node, only, week


@pytest.fixture(scope="module")
def catalog(tmp_path_factory):
    """Two weeks: the second run finds the first one's work and has one failed shot."""
    root = tmp_path_factory.mktemp("home")
    store = Store(root / "store")
    catalog = Catalog(root / "catalog", store)
    catalog.feed_run(week(store))
    again = week(store, "r2")
    late = {"started": "2026-03-09T08:00:00+00:00", "finished": "2026-03-09T08:01:00+00:00"}
    failed = entry(
        node("export", "mug-01/2026-03-02", {"x": 1}, delivery="douyin"), "failed", "black"
    )
    changes = {"entries": (*again.entries[:-1], failed), **late}
    catalog.feed_run(again.model_copy(update=changes))
    sha256 = only(store.record(again.entries[0].key)).sha256
    for day, verdict in (("03", "approved"), ("04", "rejected"), ("02", "approved")):
        at = f"2026-03-{day}T00:00:00+00:00"
        store.review(Review(asset=sha256, verdict=verdict, reviewer="li", reviewed=at))
    catalog.refresh()
    return catalog


def ask(catalog: Catalog, sql: str) -> list[dict]:
    """Return the answer's rows by column."""
    columns, rows = catalog.query(sql)
    return [dict(zip(columns, row, strict=True)) for row in rows]


def test_the_views_are_those_of_the_design(catalog):
    """A view more or less is a change that people see."""
    assert migrations.views() == (
        "v_assets", "v_cache_hits", "v_captions", "v_gpu_cost", "v_lineage",
        "v_prompt_success", "v_stage_seconds", "v_weekly_output",
    )  # fmt: skip


def test_a_new_versions_views_are_there_before_anything_is_made(catalog):
    """Readers of the published copy, as the site, ask this version's questions from the start."""
    with duckdb.connect(catalog.path) as connection:
        connection.execute("DROP VIEW v_captions; DELETE FROM migrations WHERE name = 'v_captions'")
    shutil.copy2(catalog.path, catalog.published)
    Catalog(catalog.folder, catalog.store).refresh()
    with duckdb.connect(catalog.published, read_only=True) as connection:
        assert connection.execute("SELECT hashtags FROM v_captions").fetchall() == []


def test_assets_are_flat(catalog):
    """One row has the product, the day, the model, the prompt and the verdict of an asset."""
    (row,) = ask(catalog, "FROM v_assets WHERE stage = 'keyframe' AND product = 'rouge-01'")
    assert row["day"] == dt.date(2026, 3, 2)
    assert (row["campaign"], row["model"], row["device"]) == ("spring", "mini-keyframe", "cpu")
    assert (row["prompt"], row["template"]) == ("一支口红 0", "product-closeup")
    assert row["verdict"] == "rejected"


def test_a_delivered_file_has_the_model_and_seed_of_its_clip(tmp_path):
    """A keyframe has its own; a delivery its clip's, else its keyframe's; an own photo's none."""
    store = Store(tmp_path / "store")
    catalog, shot = Catalog(tmp_path / "catalog", store), "mug-01/2026-03-02"
    key = node("keyframe", shot, {"seed": 2**63 - 1}, model="f" * 64)
    image = NodeOutput(key.key, "out")
    clip = node("animate", shot, {"seed": 7}, {"image": image}, "f" * 64)
    mark = node("watermark", shot, {}, {"image": image})
    post = node("export", shot, {}, {"image": image, "overlay": NodeOutput(mark.key, "out")})
    export = node("export", shot, {}, {"clip": NodeOutput(clip.key, "out")})
    ports = {"delivery": NodeOutput(export.key, "out"), "image": image}
    sign, photo = node("sign", shot, {}, ports), node("export", shot, {"n": 1})
    kinds = {"clip": (clip, export, sign), "overlay": (mark,), "image": (key, post, photo)}
    for kind, nodes in kinds.items():
        for made in nodes:
            commit(store, made, made.key, kinds={"out": kind})
    found = {row["node"]: (row["model"], row["seed"]) for row in ask(catalog, "FROM v_assets")}
    picture, moving, none = ("mini-keyframe", 2**63 - 1), ("mini-animate", 7), (None, None)
    assert found == {
        key.key: picture, clip.key: moving, export.key: moving, sign.key: moving,
        post.key: picture, mark.key: none, photo.key: none,
    }  # fmt: skip


def test_assets_are_listed_once(catalog):
    """Reviews, runs and prompts do not multiply rows."""
    assert len(ask(catalog, "FROM v_assets")) == len(ask(catalog, "FROM assets")) == 7


def test_a_clip_has_its_motion_prompt(catalog):
    """The prompt beside an asset is the one that its stage was given."""
    rows = ask(catalog, "SELECT DISTINCT prompt FROM v_assets WHERE stage = 'animate'")
    assert rows == [{"prompt": "push in"}]


def test_lineage_reaches_every_ancestor(catalog):
    """An export's ancestors are its clip, keyframe, watermark and the logo, with their distance."""
    rows = ask(
        catalog,
        "SELECT ancestor_stage, path, depth FROM v_lineage "
        "WHERE child_stage = 'export' AND shot LIKE 'rouge%' ORDER BY depth, ancestor_stage",
    )
    assert [tuple(row.values()) for row in rows] == [
        ("animate", "", 1), ("watermark", "", 1),
        ("file", "brand/logo.png", 2), ("keyframe", "", 2),
    ]  # fmt: skip


def test_a_file_counts_in_the_week_it_was_made(catalog):
    """A later run that reuses a delivery adds nothing to its own week."""
    (row,) = ask(catalog, "FROM v_weekly_output")
    assert row["week"] == dt.date(2026, 3, 2)
    assert (row["products"], row["shots"], row["files"], row["covers"]) == (2, 2, 2, 0)


def test_only_what_is_published_now_is_output(tmp_path):
    """Covers are counted apart; what was made anew counts once, and what was tried not at all."""
    store, catalog = (
        Store(tmp_path / "store"),
        Catalog(tmp_path / "catalog", Store(tmp_path / "store")),
    )
    for number, tried in enumerate(("", "", "k" * 64)):
        made = node("sign", "mug-01/2026-03-02", {"n": number}, delivery="douyin")
        commit(store, made, f"{number}", kinds={"delivery": "clip", "cover": "cover"})
        run = Run(
            id=f"r{number}", campaign="spring" + "-variants" * bool(tried), state="done",
            started=f"2026-03-0{2 + number}T08:00:00+00:00", entries=(entry(made, "made"),),
            parameters={"variant_of": tried} if tried else {},
        )  # fmt: skip
        catalog.feed_run(run)
    (row,) = ask(catalog, "FROM v_weekly_output")
    assert (row["campaign"], row["shots"], row["files"], row["covers"]) == ("spring", 1, 1, 1)
    assert row["bytes"] == 1


def test_stage_seconds_are_of_made_nodes(catalog):
    """What was found finished says nothing of how long it takes."""
    rows = ask(catalog, "SELECT stage, nodes, p50, p95 FROM v_stage_seconds ORDER BY stage")
    assert [tuple(row.values()) for row in rows] == [
        ("animate", 2, 2.0, 2.0), ("export", 2, 2.0, 2.0),
        ("keyframe", 2, 2.0, 2.0), ("watermark", 1, 2.0, 2.0),
    ]  # fmt: skip


def test_cost_counts_only_what_draws_with_a_model(catalog):
    """Exports and watermarks cost no device time."""
    rows = ask(
        catalog, "SELECT stage, seconds, load_seconds, peak_gb FROM v_gpu_cost ORDER BY stage"
    )
    assert [tuple(row.values()) for row in rows] == [
        ("animate", 4.0, 1.0, 2.0), ("keyframe", 4.0, 1.0, 2.0),
    ]  # fmt: skip


def test_prompt_success_counts_shots_and_verdicts(catalog):
    """One of four shots failed; of the verdicts on one picture the last one counts."""
    (row,) = ask(catalog, "FROM v_prompt_success")
    assert (row["template"], row["shots"], row["failed"], row["success"]) == (
        "product-closeup", 4, 1, 0.75,
    )  # fmt: skip
    assert (row["approved"], row["rejected"], row["rank"]) == (0, 1, 1)


def test_cache_hits_say_what_a_run_saved(catalog):
    """The second run found all but the failed node finished: 12 s of work.

    The watermark of both shots is one node: the first run, which made all, found nothing finished.
    """
    first, second = ask(catalog, "FROM v_cache_hits")
    assert (first["made"], first["cached"], first["nodes"]) == (7, 0, 7)
    assert (second["made"], second["cached"], second["nodes"]) == (0, 6, 7)
    assert (second["hit_rate"], second["seconds_saved"]) == (6 / 7, 12.0)


def test_a_changed_view_is_applied_again(tmp_path, monkeypatch):
    """An upgrade that changes a view reaches catalogs that exist."""
    catalog = Catalog(tmp_path / "catalog", Store(tmp_path / "store"))
    catalog.feed()
    asked = migrations.sql("v_stage_seconds").replace("AS p50,", "AS median,")
    old = migrations.sql
    monkeypatch.setattr(
        migrations, "sql", lambda name: asked if name == "v_stage_seconds" else old(name)
    )
    commit(catalog.store, node("export", "a/b"), "x")
    catalog.refresh()
    assert "median" in catalog.query("FROM v_stage_seconds")[0]
