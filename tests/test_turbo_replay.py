"""A text encoder whose launches are played back: on a card bit for bit, elsewhere as it was."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from benchmarks.random_weights import make
from gpu.checkpoint.assemble import ARCHITECTURES
from gpu.fit import Fit
from gpu.parking import Parked
from gpu.turbo import replay
from gpu.turbo.replay import Recorded
from gpu.weights import WeightsSpec

pytestmark = pytest.mark.filterwarnings("default")  # of compilers
FOLDER = ARCHITECTURES / "wan2.1-t2v-1.3b"


def clip(fit, device="cpu"):
    return make(WeightsSpec(FOLDER, "WanPipeline", "w", "float32", device, fit=fit), tiny=True)


def asked(tokens=9, device="cpu"):
    ids = torch.arange(1, 65, device=device)[None]
    return ids, (ids <= tokens).long()


@pytest.mark.slow
def test_only_an_encoder_that_stays_is_recorded():
    """With an offload its weights lie elsewhere each time; uncompiled, all is as ever."""
    recorded = clip(Fit(compile=True)).text_encoder
    assert isinstance(recorded.forward, Recorded)
    for fit in Fit(), Fit("model", compile=True):
        assert not isinstance(clip(fit).text_encoder.forward, Recorded)


@pytest.mark.slow
def test_on_a_processor_the_encoder_answers_itself():
    """The same numbers, and nothing is recorded."""
    plain, ours = clip(Fit()).text_encoder, clip(Fit(compile=True)).text_encoder
    assert ours(*asked()).last_hidden_state.equal(plain(*asked()).last_hidden_state)
    assert ours.forward.tape is None


def test_a_recording_holds_for_one_shape_and_one_place():
    """Weights that came back onto a card lie elsewhere: it would read what is not theirs."""
    encoder = torch.nn.Embedding(70, 8)
    ours, (ids, _) = Recorded(encoder), asked()
    first = ours.place(ids)
    assert ours.place(ids.clone()) == first
    assert ours.place(ids[:, :32]) != first
    encoder.weight.data = encoder.weight.data.clone()
    assert ours.place(ids) != first


def test_parked_weights_take_their_recording_along():
    """Its memory on the card is given back."""
    encoder = torch.nn.Embedding(70, 8)
    encoder.forward = Recorded(encoder)
    encoder.forward.tape = object()
    pipe = SimpleNamespace(components={"text_encoder": encoder}, text_encoder=encoder)
    Parked(pipe).put()
    assert encoder.forward.tape is None
    replay.forget(SimpleNamespace(components={}))  # as a pipeline without a text encoder


@pytest.mark.gpu
def test_what_is_played_back_is_what_the_encoder_says():
    """Bit for bit: of one prompt, another, and after the weights were elsewhere."""
    pipe = clip(Fit(compile=True), "cuda")
    encoder = pipe.text_encoder
    plain = type(encoder).forward
    for tokens in 9, 30, 9:
        right = plain(encoder, *asked(tokens, "cuda")).last_hidden_state
        assert encoder(*asked(tokens, "cuda")).last_hidden_state.equal(right)
    tape = encoder.forward.tape
    assert encoder(*asked(3, "cuda")).last_hidden_state.isfinite().all()
    assert encoder.forward.tape is tape
    place = Parked(pipe)
    place.put()
    place.bring("cuda")
    right = plain(encoder, *asked(30, "cuda")).last_hidden_state
    assert encoder(*asked(30, "cuda")).last_hidden_state.equal(right)
    assert encoder.forward.tape is not tape
