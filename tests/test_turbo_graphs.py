"""Compiled parts from files, as a new process finds them, against the same parts run plainly."""

from __future__ import annotations

import logging
import os
import shutil
import time

import pytest
import torch
from torch import nn
from torch._dynamo.utils import counters

from gpu.turbo import graphs

pytestmark = [
    pytest.mark.slow, pytest.mark.timeout(240),
    pytest.mark.skipif(shutil.which("g++") is None, reason="Inductor compiles for a CPU with g++"),
    pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning"),  # by Inductor's own import
]  # fmt: skip

OPTIONS = {"dynamic": True, "backend": "inductor"}


class Block(nn.Module):
    """A part with a condition on what it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(8, 8)

    def forward(self, x, mask=None):
        x = torch.nn.functional.gelu(self.layer(x))
        return x if mask is None else x * mask


class Broken(Block):
    """One that torch takes apart into several graphs, which no file holds."""

    def forward(self, x, mask=None):
        x = self.layer(x)
        torch._dynamo.graph_break()
        return x.relu()


def parts(root, kind=Block, most=8, attention="native"):
    """Two parts of one class with weights of their own, as a new process would have them."""
    torch.compiler.reset()
    counters.clear()
    put = graphs.shelves(root, OPTIONS, most, attention)
    torch.manual_seed(1)
    made = kind().eval(), kind().eval()
    for one in made:
        put(one)
    return made


def traced() -> int:
    return counters["stats"]["unique_graphs"]


def right(part, *given):
    return type(part).forward(part, *given)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """A folder with the two forms of a block: without a mask, and with one."""
    folder = tmp_path_factory.mktemp("graphs")
    with torch.no_grad():
        one, other = parts(folder)
        for given in ([torch.randn(3, 8)], [torch.randn(3, 8), torch.randn(3, 8)]):
            for part in (one, other):
                assert torch.allclose(part(*given), right(part, *given), atol=1e-6)
        assert traced() == 2  # not four: the weights are given to a form
    assert len(list(folder.rglob("*.graph"))) == 2
    return folder


@torch.no_grad()
def test_a_new_process_traces_nothing(root):
    """Either form, other sizes, other weights: from the files alone."""
    for part in parts(root):
        for size in (3, 5):
            x, mask = torch.randn(2, size, 8).unbind()
            assert torch.allclose(part(x), right(part, x), atol=1e-6)
            assert torch.allclose(part(x, mask), right(part, x, mask), atol=1e-6)
    assert traced() == 0


@torch.no_grad()
def test_what_a_process_beside_it_wrote_is_not_compiled_again(root, tmp_path):
    """Two resident processes begin at once: the second asks when the first has written."""
    late, _ = parts(tmp_path)
    shutil.copytree(root, tmp_path, dirs_exist_ok=True)
    x, mask = torch.randn(3, 8), torch.randn(3, 8)
    assert torch.allclose(late(x), right(late, x), atol=1e-6)
    assert torch.allclose(late(x, mask), right(late, x, mask), atol=1e-6)
    assert traced() == 0


@torch.no_grad()
def test_what_no_file_fits_is_made(root):
    """Other numbers, or an adapter in a layer's place: a further form, and the right result."""
    part, _ = parts(root)
    part.double()
    x = torch.randn(3, 8, dtype=torch.float64)
    assert torch.allclose(part(x), right(part, x))
    part.layer = nn.Sequential(part.layer, nn.Linear(8, 8).double())
    assert torch.allclose(part(x), right(part, x))
    assert traced() == 2
    assert len(list(root.rglob("*.graph"))) == 4


@torch.no_grad()
def test_a_hook_stays_outside(tmp_path):
    """As diffusers' offloading puts one about a block that is compiled."""
    part, _ = parts(tmp_path)
    compiled = part.forward
    part.forward = hook = lambda *given: compiled(*given) + 1
    x = torch.randn(3, 8)
    for _ in range(2):
        assert torch.allclose(part(x), right(part, x) + 1, atol=1e-6)
    assert part.forward is hook
    assert traced() == 1


@torch.no_grad()
def test_a_damaged_file_is_removed_and_told(root, caplog):
    """And what it held is made again."""
    for file in root.rglob("*.graph"):
        file.write_bytes(file.read_bytes()[:99])
    part, _ = parts(root)
    x = torch.randn(3, 8)
    with caplog.at_level(logging.WARNING):
        assert torch.allclose(part(x), right(part, x), atol=1e-6)
    assert "is removed" in caplog.text
    assert len(list(root.rglob("*.graph"))) == 1


@torch.no_grad()
def test_what_cannot_be_kept_is_compiled_as_ever(tmp_path, caplog):
    """It is told once; so is more than there is room for."""
    x = torch.randn(3, 8)
    with caplog.at_level(logging.WARNING):
        for part in parts(tmp_path, Broken):
            assert torch.allclose(part(x), right(part, x), atol=1e-6)
    assert caplog.text.count("is compiled anew in each process") == 1
    part, _ = parts(tmp_path, most=0)
    assert torch.allclose(part(x), right(part, x), atol=1e-6)
    assert list(tmp_path.rglob("*.graph")) == []


def test_other_code_has_files_of_its_own(monkeypatch):
    """A part's code stands in no condition: the folder's name changes with every package's."""
    before = graphs.stamp()
    monkeypatch.setattr(graphs, "_version", lambda name: "0" if name == "peft" else "1")
    assert graphs.stamp.__wrapped__() != before


@torch.no_grad()
def test_another_attention_has_files_of_its_own(root, tmp_path):
    """No condition tells how a part attends: its files would run another's code."""
    shutil.copytree(root, tmp_path, dirs_exist_ok=True)
    part, _ = parts(tmp_path, attention="_native_cudnn")
    x = torch.randn(3, 8)
    assert torch.allclose(part(x), right(part, x), atol=1e-6)
    assert traced() == 1
    assert len({file.parent for file in tmp_path.rglob("*.graph")}) == 2


@torch.no_grad()
def test_files_that_others_may_have_written_are_not_read(root, tmp_path, caplog):
    """They are pickles: a part is compiled in each process then, and it is told."""
    shutil.copytree(root, tmp_path, dirs_exist_ok=True)
    tmp_path.chmod(0o777)
    part, _ = parts(tmp_path)
    x = torch.randn(3, 8)
    with caplog.at_level(logging.WARNING):
        assert torch.allclose(part(x), right(part, x), atol=1e-6)
    assert "others may write there" in caplog.text
    assert traced() == 1


@torch.no_grad()
def test_a_form_that_cannot_be_written_is_used(tmp_path, caplog, monkeypatch):
    """A full disk costs the next process its time, not this one its compiled part."""

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(graphs, "_write", full)
    part, other = parts(tmp_path)
    x = torch.randn(3, 8)
    with caplog.at_level(logging.WARNING):
        for one in (part, other):
            assert torch.allclose(one(x), right(one, x), atol=1e-6)
    assert "is not kept on disk" in caplog.text
    assert traced() == 1


def test_what_an_old_version_left_goes(tmp_path):
    """Two months after its last use; what is in use stays."""
    for name, days in (("old", 61), ("other", 3)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "one.graph").touch()
        then = time.time() - days * 86_400
        os.utime(tmp_path / name, (then, then))
    graphs.sweep(tmp_path)
    assert [one.name for one in tmp_path.iterdir()] == ["other"]


def test_a_forward_of_its_own_is_not_replaced_by_its_class(tmp_path):
    """As transformers wraps the layers of an encoder that has run."""
    part = Block()
    part.forward = lambda x: x + 1
    graphs.shelves(tmp_path, OPTIONS, 8, "native")(part)
    assert torch.equal(part(torch.ones(2)), torch.full((2,), 2.0))
    assert list(tmp_path.rglob("*.graph")) == []
