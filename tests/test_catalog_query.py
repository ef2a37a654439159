"""Readers ask one SELECT of a copy that is whole, and can reach nothing else."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import closing

import duckdb
import pytest

from catalogs.catalog import Catalog
from catalogs.runs import write_run
from catalogs.store import Store
from configs.errors import BadFile, BadInput
from tests.catalog_data import LOGO, commit, node, week


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A folder with a store, a catalog and one run of two shots."""
    root = tmp_path_factory.mktemp("home")
    store = Store(root / "store")
    run = week(store)
    write_run(root / "runs", run)
    Catalog(root / "catalog", store).refresh(run)
    return root


@pytest.fixture(scope="module")
def catalog(home):
    return Catalog(home / "catalog", Store(home / "store"))


@pytest.fixture
def fresh(tmp_path):
    """A catalog of two nodes that a test may break."""
    store = Store(tmp_path / "store")
    for number in range(2):
        commit(store, node("export", "a/b", {"n": number}), str(number))
    catalog = Catalog(tmp_path / "catalog", store)
    catalog.refresh()
    return catalog


def test_an_answer_has_columns_and_rows(catalog):
    """Columns come by name, rows as plain values, parameters in their places."""
    sql = "SELECT stage, count(*) AS n FROM nodes WHERE delivery = ? GROUP BY ALL ORDER BY ALL"
    assert catalog.query(sql, ["douyin"]) == (["stage", "n"], [("export", 2), ("watermark", 1)])


@pytest.mark.parametrize(
    "sql",
    [
        "FROM runs",
        "WITH a AS (SELECT 1) FROM a",
        "DESCRIBE v_assets",
        "SHOW TABLES",
        "EXPLAIN FROM runs",
    ],
)
def test_every_way_of_asking_works(catalog, sql):
    """What only reads is allowed, however it is written."""
    assert catalog.query(sql)[1]


@pytest.mark.parametrize(
    "sql",
    [
        "",
        "SELECT 1; SELECT 2",
        "DELETE FROM nodes",
        "CREATE TABLE t (i INT)",
        "SET memory_limit = '100GB'",
        "ATTACH '/tmp/other.duckdb'",
        "COPY nodes TO 'stolen.csv'",
        "INSTALL httpfs",
        "EXPLAIN ANALYZE DELETE FROM nodes",
        "SELECT * FROM read_text('/etc/passwd')",
        "SELECT * FROM '/etc/passwd'",
        "SELECT * FROM glob('/*')",
        "SELECT * FROM read_csv('https://example.org/x.csv')",
    ],
)
def test_nothing_but_reading_the_catalog(catalog, sql):
    """Writing, other files, settings, extensions and the network are refused in one sentence."""
    with pytest.raises(BadInput, match=r"^query: "):
        catalog.query(sql)


def test_an_error_points_at_the_place(catalog):
    """A mistake is shown by its line, with a caret below the word."""
    with pytest.raises(BadInput) as refused:
        catalog.query("SELECT stage,\n  tsage FROM nodes")
    line, caret = str(refused.value).splitlines()[-2:]
    assert line == "LINE 2:   tsage FROM nodes"
    assert line.index("tsage") == caret.index("^")


def test_a_query_too_large_for_memory_ends(catalog):
    """A cross join of everything with everything fails instead of filling memory or disk."""
    with pytest.raises(BadInput, match="Out of Memory"):
        catalog.query("SELECT list(repeat('x', 10_000_000) || i) FROM range(1000) AS r(i)")


def test_asking_before_the_first_run(tmp_path):
    """A home where nothing was made has an empty catalog, not an error."""
    catalog = Catalog(tmp_path / "catalog", Store(tmp_path / "store"))
    assert catalog.query("FROM v_assets")[1] == []


def test_readers_keep_what_they_opened(fresh):
    """A copy that is replaced while it is read stays whole for its reader."""
    with closing(duckdb.connect(fresh.published, read_only=True)) as reader:
        commit(fresh.store, node("export", "a/b", {"n": 2}), "2")
        fresh.refresh()
        assert reader.sql("SELECT count(*) FROM nodes").fetchall() == [(2,)]
    assert fresh.query("SELECT count(*) FROM nodes")[1] == [(3,)]


def test_publishing_nothing_new_copies_nothing(fresh):
    """Without a change the published file stays the same one."""
    before = fresh.published.stat().st_ino
    fresh.refresh()
    assert fresh.published.stat().st_ino == before


def test_the_published_copy_needs_nothing_beside_it(fresh, tmp_path):
    """An analyst may carry the one file away."""
    alone = tmp_path / "alone.duckdb"
    alone.write_bytes(fresh.published.read_bytes())
    with closing(duckdb.connect(alone, read_only=True)) as reader:
        assert reader.sql("SELECT count(*) FROM v_assets").fetchall() == [(2,)]


@pytest.mark.parametrize("damage", ["garbage", "empty", "cut"])
def test_a_broken_catalog_is_rebuilt(fresh, tmp_path, damage):
    """A broken file is told with the command that helps, and that command helps."""
    whole = fresh.path.read_bytes()
    broken = {"garbage": os.urandom(len(whole)), "empty": b"", "cut": whole[:5000]}
    fresh.path.write_bytes(broken[damage])
    commit(fresh.store, node("export", "a/b", {"n": 2}), "2")
    with pytest.raises(BadFile, match="keyreel catalog rebuild"):
        fresh.feed()
    assert fresh.rebuild(tmp_path / "runs") == 3
    assert fresh.query("SELECT count(*) FROM nodes")[1] == [(3,)]


def test_a_newer_catalog_is_not_touched(fresh):
    """A catalog made by a later keyreel is refused by name, with both ways out."""
    with closing(duckdb.connect(fresh.path)) as connection:
        connection.execute("INSERT INTO migrations VALUES ('m999_later', '')")
    commit(fresh.store, node("export", "a/b", {"n": 2}), "2")
    with pytest.raises(BadFile, match=r"newer keyreel.*m999_later.*catalog rebuild"):
        fresh.refresh()


def test_a_catalog_open_elsewhere_is_told(fresh):
    """Another program that has the file open is named as the reason."""
    code = "import duckdb, sys; c = duckdb.connect(sys.argv[1]); print('open', flush=True); input()"
    command = [sys.executable, "-c", code, str(fresh.path)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, text=True, **pipes) as other:
        other.stdout.readline()
        commit(fresh.store, node("export", "a/b", {"n": 2}), "2")
        with pytest.raises(BadFile, match="another program has it open"):
            fresh.feed()
        other.communicate("\n")
    assert fresh.feed() == 1


def test_show_leads_back_to_the_users_files(catalog, home):
    """A delivery's ancestry ends at the logo, by the path that the user knows."""
    (key,) = (
        row[0] for row in catalog.query("SELECT node FROM deliveries ORDER BY shot LIMIT 1")[1]
    )
    shown = catalog.show(key[:10])
    assert shown.record.place.stage == "export"
    clip, overlay = sorted(shown.parents, key=lambda one: one.role)
    assert (clip.role, clip.port, clip.parents[0].record.place.stage) == ("clip", "out", "keyframe")
    assert [(one.path, one.sha256) for one in overlay.parents] == [(LOGO.path, LOGO.sha256)]


def test_an_asset_is_found_by_file_and_by_hash(catalog, home, tmp_path):
    """A delivered file, wherever it was copied to, and the beginning of its hash give its node."""
    store = Store(home / "store")
    sql = "SELECT node, sha256 FROM assets WHERE port = 'out' ORDER BY sha256 LIMIT 1"
    ((key, sha256),) = catalog.query(sql)[1]
    copy = tmp_path / "抖音.mp4"
    copy.write_bytes(store.output(key, "out").read_bytes())
    assert catalog.key_of(str(copy)) == catalog.key_of(sha256[:8].upper()) == key
    assert catalog.show(str(copy)).port == "out"


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ("missing.mp4", "neither a file nor"),
        ("abc", "at least 6 hex digits"),
        ("%" * 8, "neither a file nor"),
        ("0" * 12, "no node made it"),
        (__file__, "no node made it"),
        ("a\0b", "neither a file nor"),
        ("x" * 5000, "neither a file nor"),
    ],
)
def test_what_is_no_asset_is_told(catalog, asked, said):
    """A path, a name or a number that leads nowhere says what to give instead."""
    with pytest.raises(BadInput, match=said):
        catalog.show(asked)


def test_a_short_prefix_asks_for_more_digits(fresh):
    """Where two things begin alike, both are listed."""
    with closing(duckdb.connect(fresh.path)) as connection:
        connection.execute("UPDATE assets SET sha256 = 'abcdef' || port || node[:8]")
    with pytest.raises(BadInput, match="2 things begin so: abcdef"):
        fresh.show("abcdef")
