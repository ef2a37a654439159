"""Hashes of files and model folders: right after every change, fast without one."""

from __future__ import annotations

import json
import os
import shutil
import time
from pathlib import Path

import pytest

import gpu
from catalogs.hashes import FileHashes
from configs.errors import BadFile

SHIPPED = Path(gpu.__file__).parent / "mini" / "weights" / "image"
LONG_AGO = 1_700_000_000


@pytest.fixture
def hashes(tmp_path):
    return FileHashes(tmp_path / "cache" / "hashes.json")


@pytest.fixture
def model(tmp_path):
    """A copy of the shipped picture model, last touched long ago."""
    folder = shutil.copytree(SHIPPED, tmp_path / "model")
    for path in folder.rglob("*"):
        os.utime(path, (LONG_AGO, LONG_AGO))
    return folder


def write(path: Path, text: str) -> Path:
    """Write a file that was last touched long ago."""
    path.write_text(text, encoding="utf-8")
    os.utime(path, (LONG_AGO, LONG_AGO))
    return path


def test_a_file_has_the_hash_of_its_bytes(hashes, tmp_path):
    """The hash is the plain SHA-256 that `sha256sum` prints."""
    path = write(tmp_path / "logo.png", "abc")
    assert hashes.of(path).startswith("ba7816bf8f01cfea414140de5dae2223")


def test_a_new_process_remembers(hashes, tmp_path):
    """A hash outlives the process that made it."""
    path = write(tmp_path / "logo.png", "abc")
    hashes.of(path)
    assert FileHashes(hashes.cache_file).known == hashes.known != {}


def test_other_bytes_at_the_same_time_are_seen_by_their_inode(hashes, tmp_path):
    """A file replaced by one of equal size and time is hashed again."""
    path = write(tmp_path / "logo.png", "abc")
    before = hashes.of(path)
    write(tmp_path / "other.png", "xyz").replace(path)
    assert hashes.of(path) != before


def test_a_file_still_being_written_is_not_remembered(hashes, tmp_path):
    """Two writes within one tick of the clock give two hashes."""
    path = tmp_path / "logo.png"
    now = time.time_ns()
    seen = set()
    for text in ("abc", "xyz"):
        path.write_text(text, encoding="utf-8")
        os.utime(path, ns=(now, now))
        seen.add(hashes.of(path))
    assert len(seen) == 2


def test_a_damaged_cache_is_no_error(hashes, tmp_path):
    """The cache can be deleted or broken at any time."""
    path = write(tmp_path / "logo.png", "abc")
    hashes.cache_file.parent.mkdir()
    hashes.cache_file.write_text('{"x": [1]', encoding="utf-8")
    assert FileHashes(hashes.cache_file).of(path)


@pytest.mark.parametrize("name", ["missing.png", "a\0b", "x" * 300, "pipe", "folder"])
def test_what_is_no_file_is_one_clear_error(hashes, tmp_path, name):
    """A missing file, an impossible name, a pipe or a folder is refused; nothing hangs."""
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(BadFile, match="give the path of a file"):
        hashes.of(tmp_path / name)


def test_the_shipped_model_has_one_fingerprint_anywhere(hashes, model):
    """A copy of a model draws the same, and so has the same fingerprint."""
    assert hashes.fingerprint(model) == hashes.fingerprint(SHIPPED)


def test_a_readme_does_not_change_a_model(hashes, model):
    """Only files that decide what is drawn count."""
    before = hashes.fingerprint(model)
    (model / "README.md").write_text("new", encoding="utf-8")
    assert hashes.fingerprint(model) == before


def test_a_changed_config_changes_the_model(hashes, model):
    """One byte of a config is another model."""
    before = hashes.fingerprint(model)
    config = model / "scheduler" / "scheduler_config.json"
    config.write_text(config.read_text(encoding="utf-8") + "\n", encoding="utf-8")
    assert hashes.fingerprint(model) != before


def test_a_known_model_is_not_read_again(hashes, model):
    """Planning asks for fingerprints each time: an untouched folder costs only its stats."""
    before = hashes.fingerprint(model)
    config = model / "scheduler" / "scheduler_config.json"
    config.write_text(config.read_text(encoding="utf-8").swapcase(), encoding="utf-8")
    os.utime(config, (LONG_AGO, LONG_AGO))
    assert hashes.fingerprint(model) == before


def missing_shard(model: Path) -> str:
    (shard,) = model.glob("transformer/*00002-of-00002.safetensors")
    shard.unlink()
    return f"{shard}: missing"


def cut_weights(model: Path) -> str:
    weights = model / "vae" / "diffusion_pytorch_model.safetensors"
    os.truncate(weights, weights.stat().st_size - 1)
    return f"{weights}: has"


def pointer_instead_of_weights(model: Path) -> str:
    weights = model / "vae" / "diffusion_pytorch_model.safetensors"
    weights.write_text("version https://git-lfs.github.com/spec/v1\n", encoding="utf-8")
    return f"{weights}: cut short"


def running_download(model: Path) -> str:
    part = model / ".cache" / "huggingface" / "download" / "x.incomplete"
    part.parent.mkdir(parents=True)
    part.touch()
    return f"{part}: a download that has not ended"


def missing_component(model: Path) -> str:
    shutil.rmtree(model / "tokenizer")
    return f"{model / 'tokenizer'}: missing"


def missing_only_weights(model: Path) -> str:
    (model / "text_encoder" / "model.safetensors").unlink()
    return f"{model / 'text_encoder'}"


def broken_index(model: Path) -> str:
    (index,) = model.glob("transformer/*.index.json")
    index.write_text(json.dumps({"weight_map": 3}), encoding="utf-8")
    return f"{index}: damaged"


def no_folder(model: Path) -> str:
    shutil.rmtree(model)
    return f"{model}: no such model folder"


def dangling_link(model: Path) -> str:
    link = model / "vae" / "extra.safetensors"
    link.symlink_to(model / "blobs" / "gone")
    return f"{str(link)!r}: No such file"


BREAKAGES = (
    missing_shard, cut_weights, pointer_instead_of_weights, running_download, missing_component,
    missing_only_weights, broken_index, no_folder, dangling_link,
)  # fmt: skip


@pytest.mark.parametrize("breakage", BREAKAGES)
def test_half_a_model_names_the_file(hashes, model, breakage):
    """A model folder that is not whole is refused by the name of what is missing or cut."""
    hashes.fingerprint(model)
    said = breakage(model)
    with pytest.raises(BadFile) as refused:
        hashes.fingerprint(model)
    assert str(refused.value).startswith(said)
