"""Weights put out of a card wait in main memory; on a processor there is nowhere to put them."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

from gpu import locked, parking
from gpu.fit import Fit
from gpu.image import PictureRequest, draw
from gpu.locked import Locked
from gpu.lora import wear
from gpu.parking import Parked, Parking, measure
from gpu.weights import Weights, load
from tests.lora_data import on, write

pytestmark = pytest.mark.slow


@pytest.fixture
def bus(monkeypatch):
    """There is no card here: what would come back onto it comes back into main memory."""
    bring = Parked.bring
    monkeypatch.setattr(Parked, "bring", lambda self, device: bring(self, "cpu"))


def small(size=100):
    """A pipeline of one network, two of whose layers share a weight."""
    network = torch.nn.Sequential(torch.nn.Linear(size, size), torch.nn.Linear(size, size))
    network[1].weight = network[0].weight
    network.register_buffer("table", torch.arange(3))
    return SimpleNamespace(components={"transformer": network, "tokenizer": "none"})


def card(tiny_clip, name, fit=None):
    return replace(tiny_clip, device="cuda", fingerprint=name, fit=fit or Fit())


def test_parked_weights_are_the_same_numbers(bus):
    """And layers that shared a weight still do."""
    pipe = small()
    network = pipe.components["transformer"]
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    place = Parked(pipe)
    for _ in range(2):
        place.put()
        assert network[0].weight.data_ptr() == place._memory.bytes.data_ptr()
        assert place.bring("cuda") is pipe
        assert network[0].weight.data_ptr() != place._memory.bytes.data_ptr()
        assert network[1].weight is network[0].weight
        assert all(network.state_dict()[name].equal(was) for name, was in before.items())
    assert place.bytes < 2 * sum(tensor.nbytes for tensor in before.values())


def test_a_picture_from_parked_weights_has_the_same_bytes(mini_picture, bus, tmp_path):
    """An adapter that was on is off in between, and put on again where it is asked for."""
    weights = Weights(4)
    request = PictureRequest(mini_picture, "red mug", 64, 64, steps=1, seed=7, max_tokens=128)
    with weights.lease(mini_picture) as pipe:
        write(tmp_path / "a.safetensors", "Z-Image kohya fused", pipe.transformer, parts=["layers"])
        loras = (on(tmp_path / "a.safetensors", 0.9),)
    plain, worn = draw(request, weights), draw(replace(request, loras=loras), weights)
    place = Parked(pipe)
    place.put()
    assert pipe.worn[0] == ()
    place.bring("cuda")
    assert draw(request, weights).tobytes() == plain.tobytes()
    assert draw(replace(request, loras=loras), weights).tobytes() == worn.tobytes()
    wear(pipe, ())


def test_a_model_put_out_comes_back_without_a_load(tiny_clip, bus):
    """The cache says what it did: two loads, one return."""
    a, b = card(tiny_clip, "a"), card(tiny_clip, "b")
    loaded = []

    def make(spec):
        loaded.append(spec.fingerprint)
        return small()

    weights = Weights(1e-9, load=make, weigh=lambda _: 8)
    for spec in (a, b, a):
        with weights.lease(spec):
            pass
    stats = weights.stats()
    assert loaded == ["a", "b"]
    assert (stats.loads, stats.returns, stats.evictions) == (2, 1, 2)
    assert stats.parked == 2 * measure(small())
    weights.release_all()
    assert weights.stats().parked == 0
    with weights.lease(a):
        assert loaded == ["a", "b", "a"]


@pytest.mark.parametrize(
    "change", [{"device": "cpu"}, {"fit": Fit("group")}, {"fit": Fit("model")}]
)
def test_what_lies_in_main_memory_is_not_parked(tiny_clip, change):
    """On a processor, and with an offload, put out is put out."""
    spots = Parking()
    assert not spots.put(replace(card(tiny_clip, "a"), **change), small())
    assert spots.bytes == 0


def test_parked_weights_stay_within_their_share(tiny_clip, bus, monkeypatch):
    """Those parked longest ago make room; what is too large for all of it is not parked."""
    one = measure(small())
    monkeypatch.setattr(parking, "usable_ram", lambda: 5 * one)
    spots = Parking(share=0.5)
    a, b, c = (card(tiny_clip, name) for name in "abc")
    assert all(spots.put(spec, small()) for spec in (a, b, c))
    assert spots.bytes == 2 * one
    assert spots.take(a) is None
    assert spots.take(b) is not None
    assert not spots.put(card(tiny_clip, "d"), small(200))
    assert spots.bytes == 2 * one


def test_memory_that_others_hold_is_not_taken(tiny_clip, monkeypatch):
    """The machine has enough, but not now."""
    monkeypatch.setattr(parking, "_free_ram", lambda: 100)
    assert not Parking().put(card(tiny_clip, "a"), small())


def test_memory_that_cannot_be_had_is_no_error(tiny_clip, monkeypatch):
    """The kernel says no: the weights are dropped, as without parking."""
    monkeypatch.setattr(locked.mmap, "mmap", refuse)
    with pytest.raises(MemoryError, match="main memory"):
        Locked(8)
    assert not Parking().put(card(tiny_clip, "a"), small())


def refuse(*_):
    raise OSError("Cannot allocate memory")


def test_memory_that_cannot_be_locked_serves_all_the_same(tiny_clip, bus, monkeypatch):
    """Only slower: as on this machine, which has no card."""
    monkeypatch.setattr(locked, "_lock", lambda _: False)
    spots = Parking()
    spec, pipe = card(tiny_clip, "a"), small()
    assert spots.put(spec, pipe)
    assert spots.take(spec) is pipe


def test_a_card_too_full_to_return_to_gives_the_weights_up(tiny_clip, monkeypatch):
    """They are loaded anew, in whatever fit there is room for."""

    def full(*_):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(Parked, "bring", full)
    spots, spec = Parking(), card(tiny_clip, "a")
    spots.put(spec, small())
    with pytest.raises(torch.OutOfMemoryError):
        spots.take(spec)
    assert (spots.take(spec), spots.bytes) == (None, 0)


@pytest.mark.gpu
def test_a_card_reads_locked_memory_and_survives_a_refusal():
    """Locking twice is refused by the driver; the next kernel hears nothing of it."""
    with Locked(1 << 20) as block:
        assert block.locked
        assert not locked._lock(block.bytes)
        assert torch.ones(2, device="cuda").sum().item() == 2


@pytest.mark.gpu
def test_weights_leave_a_card_and_come_back(mini_picture):
    """The same pipeline, and the same bytes."""
    spec = replace(mini_picture, device="cuda")
    before = torch.cuda.memory_allocated()
    pipe = load(spec)
    pipe.vae.decoder.to(memory_format=torch.channels_last)
    strides = [tensor.stride() for tensor in pipe.vae.decoder.parameters()]
    first = {name: tensor.cpu() for name, tensor in pipe.transformer.state_dict().items()}
    spots = Parking()
    assert spots.put(spec, pipe)
    assert torch.cuda.memory_allocated() == before
    spots.take(spec)
    assert all(pipe.transformer.state_dict()[name].cpu().equal(was) for name, was in first.items())
    assert [tensor.stride() for tensor in pipe.vae.decoder.parameters()] == strides
