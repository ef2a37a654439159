"""The store under orderly use: what is committed is there, once, whole, and found again."""

from __future__ import annotations

import hashlib
import threading

import pytest

from catalogs.node import Address, Node
from catalogs.store import Store
from configs.errors import BadFile, BadInput
from tasks.stage import Draft
from tests.catalog_data import STARTED, commit, files, node, only


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "store")


def test_a_committed_node_is_held(store):
    """After a commit its key is held and its output has the draft's bytes."""
    made = node("export", "a/b")
    commit(store, made, "hello")
    assert store.held() == {made.key}
    assert store.output(made.key, "out").read_text(encoding="utf-8") == "hello"


def test_an_asset_is_named_by_its_bytes(store):
    """The file's name is the SHA-256 of what is in it, with the draft's suffix."""
    record = commit(store, node("export", "a/b"), "hello")
    assert only(record).sha256 == hashlib.sha256(b"hello").hexdigest()
    assert store.asset_path(only(record)).name == f"{only(record).sha256}.txt"


def test_a_commit_leaves_only_what_it_is_for(store):
    """One asset, one record, one inbox entry and the lock: the workspace is gone."""
    record = commit(store, node("export", "a/b"), "hello")
    asset, key = only(record).sha256, record.key
    assert files(store.root) == [
        f"assets/{asset[:2]}/{asset}.txt",
        f"inbox/{key}",
        "lock",
        f"records/{key[:2]}/{key}.json",
    ]


def test_equal_bytes_of_two_nodes_are_one_asset(store):
    """Content addressing: the second node's equal file takes no room."""
    for number in range(2):
        commit(store, node("export", "a/b", {"n": number}), "same")
    assert len(files(store.assets)) == 1


def test_a_large_draft_is_moved(store):
    """The draft's inode becomes the asset: a clip is never copied."""
    with store.workspace() as desk:
        path = desk / "clip.mp4"
        path.write_bytes(b"0" * 1_000_000)
        inode = path.stat().st_ino
        made = node("export", "a/b")
        draft = {"clip": Draft(path, "clip", "video/mp4")}
        store.commit(made, draft, run="r1", started=STARTED, seconds=1)
    assert store.output(made.key, "clip").stat().st_ino == inode


def test_assets_cannot_be_written_to(store):
    """A finished file is read-only, as deliveries are other names of it."""
    record = commit(store, node("export", "a/b"), "hello")
    assert store.asset_path(only(record)).stat().st_mode & 0o222 == 0


def test_the_first_record_of_a_key_stands(store):
    """Where two processes made one node, the second is given what the first wrote."""
    made = node("export", "a/b")
    first = commit(store, made, "one", run="r1")
    assert commit(store, made, "two", run="r2") == first == store.record(made.key)


def test_many_threads_commit_at_once(store):
    """Every commit of eight threads arrives."""
    nodes = [node("export", "a/b", {"n": number}) for number in range(40)]
    threads = [
        threading.Thread(target=lambda part=part: [commit(store, one, one.key) for one in part])
        for part in (nodes[start::8] for start in range(8))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert store.held() == {one.key for one in nodes}


def test_an_unfinished_node_is_a_key_error(store):
    """Asking for what was never made is a mistake of the caller."""
    with pytest.raises(KeyError):
        store.record("0" * 64)


@pytest.mark.parametrize(
    "text",
    ["", "{", '{"format": 2}', "[]", "null", '{"key": "' + "0" * 64 + '"}'],
)
def test_a_damaged_record_counts_as_not_made(store, text):
    """A damaged record is set aside with one clear sentence, and its node is made again."""
    made = node("export", "a/b")
    record = commit(store, made, "hello")
    path = store.records.path(made.key)
    path.chmod(0o644)
    path.write_text(text, encoding="utf-8")
    with pytest.raises(BadFile, match="run again to remake it"):
        store.record(made.key)
    assert not store.has(made.key)
    assert commit(store, made, "hello").outputs == record.outputs


def test_a_record_of_another_recipe_is_damaged(store):
    """A record whose recipe does not give its key was tampered with or misplaced."""
    made = commit(store, node("export", "a/b", {"seed": 1}), "hello")
    path = store.records.path(made.key)
    text = path.read_text(encoding="utf-8").replace('"seed": 1', '"seed": 2')
    path.chmod(0o644)
    path.write_text(text, encoding="utf-8")
    with pytest.raises(BadFile, match="does not give its name"):
        store.record(made.key)


def test_a_record_cannot_name_a_file_outside(store):
    """An asset's name is a SHA-256: no path climbs out of the store."""
    made = commit(store, node("export", "a/b"), "hello")
    path = store.records.path(made.key)
    text = path.read_text(encoding="utf-8").replace(only(made).sha256, "../../../etc/passwd")
    path.chmod(0o644)
    path.write_text(text, encoding="utf-8")
    with pytest.raises(BadFile, match="sha256"):
        store.output(made.key, "out")


@pytest.mark.parametrize("damage", ["missing", "cut"])
def test_a_lost_asset_counts_as_not_made(store, damage):
    """Where an asset is missing or cut short, its node is made again."""
    made = commit(store, node("export", "a/b"), "hello")
    path = store.asset_path(only(made))
    path.unlink()
    if damage == "cut":
        path.write_bytes(b"he")
    with pytest.raises(BadFile, match="missing or cut short"):
        store.output(made.key, "out")
    assert not store.has(made.key)


def test_a_workspace_is_gone_after_an_error(store):
    """Whatever happens in it, a workspace leaves nothing."""

    def fail() -> None:
        with store.workspace() as desk:
            (desk / "half.mp4").write_bytes(b"0")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert files(store.tmp) == []


def test_a_sweep_spares_the_living(store):
    """A workspace in use stays, whoever sweeps; one whose process is gone goes."""
    with store.workspace() as desk:
        (desk / "half.mp4").write_bytes(b"0")
        (store.tmp / "1-left").mkdir()
        (store.tmp / "1-left" / "half.mp4").write_bytes(b"0")
        assert store.sweep() == 1
        assert files(store.tmp) == [f"{desk.name}/half.mp4"]


def test_a_sweep_of_nothing_makes_nothing(store):
    """Looking at a store that is not there leaves no folder behind."""
    assert store.sweep() == 0
    assert store.held() == set()
    assert store.waiting() == []
    assert not store.root.exists()


def test_nobody_is_alone_while_a_workspace_is_open(store):
    """Collecting is refused while work goes on, with the reason."""
    with store.workspace(), pytest.raises(BadInput, match="work is going on"), store.alone():
        pass


def test_numbers_survive_the_record(store):
    """Seeds beyond doubles, floats and hanzi come back as they were: the key is theirs."""
    params = {
        "seed": 2**63 - 1,
        "ratio": 0.1,
        "whole": 3.0,
        "big": 1e22,
        "text": "口红 💄",
        "no": None,
    }
    made = Node(Address("keyframe", "a/b"), "keyframe", 1, params)
    commit(store, made, "x")
    assert store.record(made.key).recipe["params"] == params
