"""Networks that take turns on a card wait in locked memory: their numbers are never lost."""

from __future__ import annotations

import gc
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

from gpu import locked
from gpu.fit import Fit
from gpu.image import PictureRequest, draw
from gpu.locked import SHARE, Locked, fits, hold
from gpu.turns import Waiting, _Weight, take_turns
from gpu.weights import Weights, load
from tests.lora_data import on, write


def network():
    """Two layers that share a weight, and a buffer."""
    made = torch.nn.Sequential(torch.nn.Linear(30, 30), torch.nn.Linear(30, 30))
    made[1].weight = made[0].weight
    made.register_buffer("table", torch.arange(3))
    return made


def test_weights_are_the_same_numbers_where_they_wait():
    """In locked memory, and layers that shared a weight still do."""
    made = network()
    before = {name: tensor.clone() for name, tensor in made.state_dict().items()}
    made.to = Waiting(made)
    assert made.to("cpu") is made
    assert made.to(device=torch.device("cpu")) is made
    assert all(made.state_dict()[name].equal(was) for name, was in before.items())
    assert made[0].weight.data_ptr() == made.to._memory[0].bytes.data_ptr()
    assert made[1].weight is made[0].weight


def test_a_changed_number_stays_changed():
    """What an adapter puts in its place is not undone, nor what it puts back."""
    made = network()
    made.to = Waiting(made)
    bias = made[0].bias
    original = bias.data
    bias.data = original + 1
    made.to("cpu")
    assert bias.data.equal(original + 1)
    bias.data = original
    made.to("cpu")
    assert bias.data.equal(original)


def test_another_number_format_is_as_ever():
    """`to` with a format is torch's own."""
    made = network()
    made.to = Waiting(made)
    made.to(torch.bfloat16)
    assert made[0].weight.dtype == torch.bfloat16
    assert made.table.dtype == torch.int64


def test_memory_is_taken_a_block_at_a_time(monkeypatch):
    """So that little is there twice while it moves; a weight larger than a block has its own."""
    monkeypatch.setattr(locked, "BLOCK", 4096)
    tensors = [torch.full((size,), float(size)) for size in (10, 900, 100, 2000, 10)]
    blocks = hold(tensors)
    assert [len(block.bytes) for block in blocks] == [256 + 3840, 512, 8192, 256]
    assert all(tensor.eq(len(tensor)).all() for tensor in tensors)
    assert hold([]) == []


def test_as_one_comes_all_others_go(monkeypatch):
    """A text encoder, too, though a keyframe's autoencoder is not what comes after it."""

    class Still(torch.nn.Linear):
        def to(self, *_):
            return self

    went = []
    networks = [Still(2, 2, bias=False) for _ in range(3)]
    number = {one.weight: n for n, one in enumerate(networks)}
    monkeypatch.setattr(
        _Weight, "move", lambda one, device: went.append((number[one.tensor], device.type))
    )
    for one in networks:
        vars(one)["to"] = Waiting(one, networks)
    networks[1].to("meta")
    assert went == [(0, "cpu"), (2, "cpu"), (1, "meta")]


@pytest.mark.parametrize(("memory", "ours"), [(20_000, True), (2_000, False)])
def test_memory_that_is_not_there_is_not_locked(monkeypatch, memory, ours):
    """Weights mapped from a file, on a machine that has not room for them, stay mapped."""
    monkeypatch.setattr(locked, "usable_ram", lambda: memory + Locked.held / SHARE)
    part, told = network(), []
    components = {"transformer": part, "tokenizer": "none"}
    pipe = SimpleNamespace(
        components=components, enable_model_cpu_offload=lambda device: told.append(device)
    )
    take_turns(pipe, "cpu")
    assert isinstance(part.to, Waiting) == ours
    assert told == ["cpu"]


def test_numbers_keep_their_order_in_memory():
    """A decoder with its channels last is one form to a compiler, and another without."""
    last = torch.randn(2, 3, 4, 4).to(memory_format=torch.channels_last)
    tensors = [last.clone(), torch.randn(5, 7).t(), torch.tensor(3.0), torch.randn(0, 4)]
    right = [tensor.clone() for tensor in tensors]
    strides = [tensor.stride() for tensor in tensors]
    hold(tensors)
    assert [tensor.stride() for tensor in tensors] == strides
    assert all(map(torch.equal, tensors, right))


def test_all_that_is_locked_counts(monkeypatch):
    """A second model finds less room than the first; what is given back is there again."""
    tensors, room = [torch.zeros(512)], Locked.held + 2048
    monkeypatch.setattr(locked, "usable_ram", lambda: room / SHARE + 1)
    with Locked(1000):
        assert not fits(tensors)
    assert fits(tensors)


def test_a_copy_that_an_adapter_replaced_is_let_go():
    """A card would keep it for as long as the model."""
    weight = torch.nn.Parameter(torch.ones(3))
    here, copy = weight.data, weight.data.clone()
    weight.data = copy
    one = _Weight(weight, here, copy)
    weight.data = weight.data + 1
    one.move(torch.device("cpu"))
    assert one.now is here
    assert weight.data.equal(torch.full((3,), 2.0))
    weight.data = here
    one.move(torch.device("cpu"))
    assert weight.data_ptr() == here.data_ptr()


@pytest.mark.slow
def test_networks_take_turns_in_every_picture_and_give_all_back(mini_picture):
    """Also in the second: diffusers hooks all on anew after each. No block outlives the weights."""
    gc.collect()
    before = Locked.held
    weights, spec = Weights(4), replace(mini_picture, fit=Fit("model"))
    asked = PictureRequest(spec, "red mug", 64, 64, steps=1, seed=7, max_tokens=128)
    first = draw(asked, weights).tobytes()
    with weights.lease(spec) as pipe:
        ways = [part.to for part in (pipe.text_encoder, pipe.transformer, pipe.vae)]
    assert all(isinstance(way, Waiting) for way in ways)
    assert draw(asked, weights).tobytes() == first
    with weights.lease(spec) as pipe:
        assert [part.to for part in (pipe.text_encoder, pipe.transformer, pipe.vae)] == ways
    assert Locked.held > before
    del pipe, ways
    weights.release_all()
    assert Locked.held == before


@pytest.mark.slow
def test_an_adapter_is_put_on_and_off_between_turns(mini_picture, tmp_path):
    """The same pictures as by weights that stay."""
    weights = Weights(4)
    with weights.lease(mini_picture) as pipe:
        write(tmp_path / "a.safetensors", "Z-Image kohya fused", pipe.transformer, parts=["layers"])
    worn = (on(tmp_path / "a.safetensors", 0.9),)
    asked = PictureRequest(mini_picture, "red mug", 64, 64, steps=1, seed=7, max_tokens=128)
    turns = replace(asked, spec=replace(mini_picture, fit=Fit("model")))
    for one in (), worn, ():
        right = draw(replace(asked, loras=one), weights).tobytes()
        assert draw(replace(turns, loras=one), weights).tobytes() == right


@pytest.mark.gpu
def test_a_network_that_was_put_out_leaves_no_byte_on_the_card(mini_picture):
    """And comes back bit for bit, any number of times."""
    spec = replace(mini_picture, device="cuda", fit=Fit("model"))
    pipe = load(spec)
    first = {name: tensor.clone() for name, tensor in pipe.transformer.state_dict().items()}
    before = torch.cuda.memory_allocated()
    for _ in range(2):
        pipe.vae.to("cuda")
        pipe.transformer.to("cuda")
        assert not next(pipe.vae.parameters()).is_cuda
        assert torch.cuda.memory_allocated() > before
        assert all(tensor.is_cuda for tensor in pipe.transformer.state_dict().values())
        assert all(
            pipe.transformer.state_dict()[name].cpu().equal(was) for name, was in first.items()
        )
        pipe.transformer.to("cpu")
        assert torch.cuda.memory_allocated() == before
