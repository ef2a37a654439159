"""Room on the disk: nothing in use is collected, and what does not fit is told before."""

from __future__ import annotations

import shutil

import pytest

from catalogs.catalog import Catalog
from catalogs.disk import check_space, collect, gc, used_by
from catalogs.record import Review
from catalogs.runs import write_run
from catalogs.store import Store
from configs.errors import BadFile, BadInput, OutOfSpace
from configs.home import MARKER, Home
from tests.catalog_data import commit, files, node, only, week


@pytest.fixture
def home(tmp_path):
    return Home(tmp_path)


@pytest.fixture
def store(home):
    return Store(home.store)


def two_weeks(home: Home, store: Store):
    """Make two weeks of one campaign, each a run of its own."""
    first, second = week(store, "r1", "2026-03-02"), week(store, "r2", "2026-03-09")
    for run in (first, second):
        write_run(home.runs, run)
    return first, second


def test_a_dry_run_deletes_nothing(home, store):
    """Looking says how many bytes and nodes, and leaves every file."""
    two_weeks(home, store)
    before = files(store.root)
    planned = gc(store, home.runs)
    assert (len(planned.records), len(planned.files), planned.kept) == (6, 6, 7)
    assert planned.bytes == sum(path.stat().st_size for path in planned.files)
    assert files(store.root) == before


def test_the_latest_run_and_what_it_came_from_stay(home, store):
    """After collecting, every node of the latest run still has its files, shared ones too."""
    _, second = two_weeks(home, store)
    collect(store, home.runs, gc(store, home.runs))
    assert store.held() == {entry.key for entry in second.entries}
    assert all(store.output(key, "out").exists() for key in store.held())
    assert len(files(store.assets)) == 7


def test_each_campaign_keeps_its_latest_run(home, store):
    """Another campaign's newer run takes nothing from this one."""
    first, _ = two_weeks(home, store)
    write_run(home.runs, first.model_copy(update={"campaign": "summer"}))
    assert gc(store, home.runs).records == frozenset()


def test_what_people_approved_stays(home, store):
    """An approved clip of an older week is kept with its ancestry; a rejected one is not."""
    first, _ = two_weeks(home, store)
    for entry, verdict in ((first.entries[3], "approved"), (first.entries[7], "rejected")):
        asset = only(store.record(entry.key)).sha256
        store.review(Review(asset=asset, verdict=verdict, reviewer="li", reviewed="2026-03-03"))
    kept = {entry.key for entry in first.entries[:4]}
    assert gc(store, home.runs).records.isdisjoint(kept)
    assert len(gc(store, home.runs).records) == 3


def test_a_run_that_told_nothing_yet_keeps_the_one_before_it(home, store):
    """While a run goes on, and after it was killed, it may still want what the last one made."""
    two_weeks(home, store)
    third = week(store, "r3", "2026-03-16")
    write_run(home.runs, third.model_copy(update={"state": "running", "entries": ()}))
    planned = gc(store, home.runs)
    assert (planned.kept, len(planned.records)) == (13, 6)


def test_recipes_outlive_their_files(home, store):
    """The catalog still has a collected node, marked as such, and a rebuild has it too."""
    first, _ = two_weeks(home, store)
    catalog = Catalog(home.catalog, store)
    catalog.refresh(first)
    collect(store, home.runs, gc(store, home.runs))
    catalog.refresh()
    sql = "SELECT held, count(*) FROM nodes GROUP BY ALL ORDER BY ALL"
    assert catalog.query(sql)[1] == [(False, 6), (True, 7)]
    catalog.rebuild(home.runs)
    assert catalog.query(sql)[1] == [(False, 6), (True, 7)]
    assert catalog.show(first.entries[0].key).record.recipe["params"]


def test_a_collected_node_can_be_made_again(home, store):
    """Made again, it is held again, to the same bytes."""
    first, _ = two_weeks(home, store)
    catalog = Catalog(home.catalog, store)
    before = store.record(first.entries[0].key).outputs
    collect(store, home.runs, gc(store, home.runs))
    assert not store.has(first.entries[0].key)
    week(store, "r3", "2026-03-02")
    catalog.refresh()
    assert store.record(first.entries[0].key).outputs == before
    assert catalog.query("SELECT DISTINCT held FROM nodes")[1] == [(True,)]


def test_only_what_was_shown_is_deleted(home, store):
    """What came into use after the dry run is spared."""
    first, _ = two_weeks(home, store)
    planned = gc(store, home.runs)
    write_run(home.runs, first.model_copy(update={"campaign": "summer"}))
    done = collect(store, home.runs, planned)
    assert (done.records, done.files, done.bytes) == (frozenset(), frozenset(), 0)


def test_nothing_is_collected_while_work_goes_on(home, store):
    """A run in another terminal may be about to use what looks unused."""
    two_weeks(home, store)
    planned = gc(store, home.runs)
    with store.workspace(), pytest.raises(BadInput, match="work is going on"):
        collect(store, home.runs, planned)


def test_a_damaged_run_file_stops_the_collection(home, store):
    """What an unreadable run counts on is not known, so nothing is called unused."""
    two_weeks(home, store)
    (home.runs / "r2" / "run.json").write_text("{", encoding="utf-8")
    with pytest.raises(BadFile, match="r2"):
        gc(store, home.runs)


def test_orphans_and_damaged_records_are_collected(home, store):
    """An asset whose record never came, and a record set aside, are given back."""
    two_weeks(home, store)
    orphan = store.assets / "ff" / ("f" * 64 + ".mp4")
    orphan.parent.mkdir(exist_ok=True)
    orphan.write_bytes(b"0" * 1000)
    store.broken.mkdir()
    (store.broken / "x.json").write_text("{", encoding="utf-8")
    collect(store, home.runs, gc(store, home.runs))
    assert not orphan.exists()
    assert files(store.broken) == []


def test_a_delivery_keeps_its_bytes(home, store):
    """A delivered file is another name of its asset, so collecting that frees nothing."""
    first, _ = two_weeks(home, store)
    before = gc(store, home.runs)
    asset = store.output(first.entries[3].key, "out")
    home.deliveries.mkdir()
    (home.deliveries / "douyin.mp4").hardlink_to(asset)
    assert before.bytes - gc(store, home.runs).bytes == asset.stat().st_size


def test_a_file_of_two_names_is_counted_once(home, store):
    """A delivery adds nothing to what the home takes."""
    record = commit(store, node("export", "a/b"), "x" * 5000)
    before = used_by(home)
    home.deliveries.mkdir()
    (home.deliveries / "douyin.mp4").hardlink_to(store.asset_path(only(record)))
    assert used_by(home) == before > 5000


def test_the_quota_says_its_numbers(home, store):
    """A run that would not fit is refused with what it needs, what is used and what is allowed."""
    commit(store, node("export", "a/b"), "x" * 1_000_000)
    (home.root / MARKER).write_text("format = 1\ndisk_quota_gb = 3\n", encoding="utf-8")
    check_space(home, 2.9e9)
    with pytest.raises(OutOfSpace, match=r"about 3\.0 GB.*0\.0 GB of the quota of 3\.0 GB.*gc"):
        check_space(home, 2.9999e9)


def test_a_full_disk_is_told_before_the_run(home):
    """More than the disk has is refused without any quota."""
    free = shutil.disk_usage(home.root).free
    with pytest.raises(OutOfSpace, match="the disk has"):
        check_space(home, free * 2)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("disk_quota_gb = 'much'", "disk_quota_gb: 'much' does not fit; write a number"),
        ("disk_quota_gb = -1", "disk_quota_gb: -1 does not fit; write a number above 0"),
        ("disk_quota_gb = true", "disk_quota_gb: True does not fit; write a number"),
        ("disk_quota_gb = nan", "disk_quota_gb: nan does not fit; write a number"),
        ("disk_quota_gb =", "write it as TOML"),
        ("disk_quotas_gb = 50", "disk_quotas_gb: unknown key; did you mean 'disk_quota_gb'?"),
        ("format = 0", "format: 0 is none that this keyreel knows; write 1"),
        ("format = 99", "format: 99 is none that this keyreel knows; upgrade keyreel, or name"),
        ("format = '1'", "format: '1' does not fit; write a whole number"),
        ("\udcff", "write it as TOML"),
    ],
)
def test_a_wrong_marker_is_told(home, text, says):
    """Before any command works in the home: file, field, value, and what to write."""
    (home.root / MARKER).write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(BadInput) as told:
        Home.find(home.root)
    assert str(told.value).startswith(f"{home.root / MARKER}: ")
    assert says in str(told.value)


def test_without_a_quota_only_the_disk_counts(home):
    """A home without keyreel.toml, or without the line, has no quota."""
    check_space(home, 1)
    (home.root / MARKER).write_text("format = 1\n", encoding="utf-8")
    check_space(home, 1)
