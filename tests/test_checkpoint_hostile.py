"""Weight files are hostile until checked: one sentence that names the file, and no code run."""

from __future__ import annotations

import json
import pickle
import struct

import pytest
import torch
from safetensors.torch import save_file

from configs.errors import BadFile
from gpu.checkpoint.tensors import open_tensors


def refused(path, says):
    with pytest.raises(BadFile, match=says) as error:
        open_tensors(path)
    assert str(path.parent) in str(error.value)
    assert "\n" not in str(error.value)


def raw(path, header, data=b""):
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)
    return path


class Evil:
    """Unpickling it would write to stdout."""

    def __reduce__(self):
        return print, ("pwned",)


def test_a_missing_file_is_named(tmp_path):
    """The message says what belongs where."""
    refused(tmp_path / "z.safetensors", r"z\.safetensors: is missing; put the model's file there")


def test_other_kinds_of_files_are_not_read(tmp_path):
    """A checkpoint of old, or a text."""
    path = tmp_path / "model.ckpt"
    path.write_bytes(b"x")
    refused(path, r"files of this kind are not read; give one of \.safetensors, ")


@pytest.mark.parametrize("left", [0, 4, 60, -1])
def test_a_half_downloaded_file_is_named(left, tmp_path):
    """Cut anywhere, in the header or in the numbers."""
    path = tmp_path / "z.safetensors"
    save_file({"a": torch.zeros(4, 4)}, path)
    path.write_bytes(path.read_bytes()[:left])
    refused(path, r"z\.safetensors: (is no safetensors file|has \d+ of \d+ bytes)")


@pytest.mark.parametrize(
    "entry",
    [
        {"dtype": "F32", "shape": [2], "data_offsets": [0, 16]},  # bytes and shape disagree
        {"dtype": "F32", "shape": [-4], "data_offsets": [0, 16]},
        {"dtype": "PY_OBJECT", "shape": [4], "data_offsets": [0, 16]},
        {"dtype": "F32", "shape": [4], "data_offsets": [16, 0]},
        {"dtype": "F32", "shape": "4", "data_offsets": [0, 16]},
        {"dtype": "F32", "shape": [1 << 62, 4], "data_offsets": [0, 16]},
        {"dtype": "F32"},
        [],
    ],
)
def test_a_header_that_lies_is_refused(entry, tmp_path):
    """Before a number is read."""
    refused(raw(tmp_path / "z.safetensors", {"a": entry}, bytes(16)), "z.safetensors: ")


def test_overlapping_tensors_are_refused(tmp_path):
    """Two names for the same bytes."""
    entry = {"dtype": "F32", "shape": [4], "data_offsets": [0, 16]}
    refused(raw(tmp_path / "z.safetensors", {"a": entry, "b": entry}, bytes(16)), "no safetensors")


def test_a_shard_cannot_climb_out(tmp_path):
    """An index names files beside it."""
    for name in ("../other.safetensors", "/etc/passwd", "a/b.safetensors", "x.bin"):
        index = tmp_path / "m.safetensors.index.json"
        index.write_text(json.dumps({"weight_map": {"a": name}}), "utf-8")
        refused(index, f"names the shard '{name}'; shards lie beside their index")


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"weight_map": []}'])
def test_a_broken_index_is_named(text, tmp_path):
    """JSON that is none, or no index."""
    index = tmp_path / "m.safetensors.index.json"
    index.write_text(text, "utf-8")
    refused(index, r"index\.json: ")


def test_an_index_and_its_shards_agree(tmp_path):
    """A key that is not where the index says, or that the index does not know."""
    save_file({"a": torch.zeros(1), "b": torch.zeros(1)}, tmp_path / "s.safetensors")
    index = tmp_path / "m.safetensors.index.json"
    shard = "s.safetensors"
    index.write_text(json.dumps({"weight_map": {"a": shard, "c": shard}}), "utf-8")
    refused(index, r"s\.safetensors: lacks 'c', which m\.safetensors\.index\.json says it holds")
    index.write_text(json.dumps({"weight_map": {"a": shard}}), "utf-8")
    refused(index, "does not name 'b'")


@pytest.mark.parametrize("value", [Evil(), {"weight": Evil()}, {"weight": torch.nn.Linear(1, 1)}])
@pytest.mark.parametrize("plain", [True, False])
def test_a_pickle_that_runs_code_is_refused(value, plain, tmp_path, capfd):
    """Unrun."""
    path = tmp_path / "turbo.pth"
    path.write_bytes(pickle.dumps(value)) if plain else torch.save(value, path)
    refused(path, r"turbo\.pth: is a pickle that torch\.load\(weights_only=True\) refuses")
    assert "pwned" not in capfd.readouterr().out


@pytest.mark.parametrize("value", [[torch.zeros(1)], {"state_dict": {"a": torch.zeros(1)}}, {1: 2}])
def test_a_pickle_of_more_than_tensors_is_refused(value, tmp_path):
    """Training states and wrappers."""
    torch.save(value, tmp_path / "turbo.pth")
    refused(tmp_path / "turbo.pth", "is no dictionary of tensors alone")


def test_a_pickle_before_torch_1_6_is_read(tmp_path):
    """The old format has no zip to map."""
    path = tmp_path / "old.pth"
    torch.save({"a": torch.ones(2)}, path, _use_new_zipfile_serialization=False)
    assert open_tensors(path).read("a", "cpu").tolist() == [1, 1]


@pytest.mark.parametrize("data", [b"", b"GGUF", b"GGUF" + b"\xff" * 60, b"\0" * 100])
def test_a_broken_gguf_is_named(data, tmp_path):
    """Lengths that lie must not be trusted."""
    path = tmp_path / "z.gguf"
    path.write_bytes(data)
    refused(path, r"z\.gguf: is no GGUF file, or cut short")


def test_gguf_without_its_library_says_what_to_install(tmp_path, monkeypatch):
    """It is an extra."""
    import sys

    monkeypatch.setitem(sys.modules, "gguf", None)
    (tmp_path / "z.gguf").write_bytes(b"GGUF")
    refused(tmp_path / "z.gguf", "needs the package gguf; install it: pip install gguf")
