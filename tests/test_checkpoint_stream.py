"""A file's tensors through locked pieces: the same numbers as safetensors' own reader gives."""

from __future__ import annotations

from itertools import islice, pairwise

import pytest
import torch
from safetensors.torch import save_file

from configs.errors import BadFile
from gpu.checkpoint import stream as streams
from gpu.checkpoint.stream import Span, stream
from gpu.checkpoint.tensors import open_tensors


@pytest.fixture
def tensors():
    """Of several formats; some smaller than a piece, one longer than the whole ring."""
    torch.manual_seed(0)
    return {
        "long": torch.randn(700, 300),
        "half": torch.randn(33, 7).bfloat16(),
        "one": torch.tensor(3.5),
        "none": torch.empty(0, 4),
        "packed": torch.randint(-128, 127, (129, 5), dtype=torch.int8),
        "fp8": torch.randn(64, 3).to(torch.float8_e4m3fn),
    }


@pytest.fixture
def small(monkeypatch):
    """Pieces of 4 KB: the ring is used over and over."""
    monkeypatch.setattr(streams, "PIECE", 4096)


def spans(file):
    return [file._span(name) for name in file.entries]


def test_every_tensor_comes_back_bit_for_bit(tensors, small, tmp_path):
    """In the order asked for, whatever that is."""
    save_file(tensors, tmp_path / "a.safetensors")
    file = open_tensors(tmp_path / "a.safetensors")
    for order in (list(file.entries), sorted(file.entries)):
        wanted = [file._span(name) for name in order]
        for name, read in zip(order, stream(file.path, wanted, "cpu"), strict=True):
            assert (read.dtype, read.shape) == (tensors[name].dtype, tensors[name].shape)
            assert read.view(-1).view(torch.uint8).equal(tensors[name].view(-1).view(torch.uint8))


def test_what_lies_together_is_read_in_whole_pieces(small):
    """Whatever tensors begin and end within; a gap begins another piece, none is longer."""
    ends = [0, 100, 9_000, 9_000, 20_000, 20_001]
    together = [Span(torch.uint8, (end - begin,), begin, end) for begin, end in pairwise(ends)]
    apart = Span(torch.uint8, (5,), 30_000, 30_005)
    sizes = [cuts[-1].end - cuts[0].begin for cuts in streams._reads([*together, apart])]
    assert sizes == [4096] * 4 + [20_001 - 4 * 4096, 5]


def test_a_file_cut_short_while_it_is_read(tensors, small, tmp_path):
    """Its length was right when its header was read."""
    save_file(tensors, tmp_path / "a.safetensors")
    file = open_tensors(tmp_path / "a.safetensors")
    asked = spans(file)
    with (tmp_path / "a.safetensors").open("r+b") as other:
        other.truncate(asked[0].begin + 100)
    with pytest.raises(BadFile, match="was cut short while it was read"):
        list(stream(file.path, asked, "cpu"))


def test_reading_may_be_left_half_way(tensors, small, tmp_path):
    """Where a later step fails, readers end and memory goes."""
    save_file(tensors, tmp_path / "a.safetensors")
    file = open_tensors(tmp_path / "a.safetensors")
    reading = stream(file.path, spans(file), "cpu")
    assert len(list(islice(reading, 2))) == 2
    reading.close()
    assert next(reading, None) is None


def test_nothing_asked_for_is_nothing_read(tmp_path):
    """A file without tensors is one too."""
    save_file({"a": torch.ones(2)}, tmp_path / "a.safetensors")
    assert list(stream(tmp_path / "a.safetensors", [], "cpu")) == []
    span = Span(torch.float32, (0,), 8, 8)
    assert [read.shape for read in stream(tmp_path / "a.safetensors", [span], "cpu")] == [(0,)]
