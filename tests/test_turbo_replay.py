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
from gpu.turbo.zimage import read_words
from gpu.weights import WeightsSpec

pytestmark = pytest.mark.filterwarnings("default")  # of compilers
PIPELINES = {"WanPipeline": "wan2.1-t2v-1.3b", "ZImagePipeline": "z-image-turbo"}


def made(pipeline, fit, device="cpu"):
    folder = ARCHITECTURES / PIPELINES[pipeline]
    return make(WeightsSpec(folder, pipeline, "w", "float32", device, fit=fit), tiny=True)


def asked(tokens=9, device="cpu"):
    ids = torch.arange(1, 65, device=device)[None]
    return ids, (ids <= tokens).long()


def said(output):
    """Return the hidden states that a pipeline reads of an encoder's output."""
    return output.hidden_states[-2] if output.hidden_states else output.last_hidden_state


@pytest.mark.slow
@pytest.mark.parametrize("pipeline", PIPELINES)
def test_only_an_encoder_that_stays_is_recorded(pipeline):
    """With an offload its weights lie elsewhere each time; uncompiled, all is as ever."""
    recorded = made(pipeline, Fit(compile=True)).text_encoder
    assert isinstance(recorded.forward, Recorded)
    for fit in Fit(), Fit("model", compile=True):
        assert not isinstance(made(pipeline, fit).text_encoder.forward, Recorded)


@pytest.mark.slow
def test_on_a_processor_the_encoder_answers_itself():
    """The same numbers, and nothing is recorded."""
    plain, ours = (made("WanPipeline", fit).text_encoder for fit in (Fit(), Fit(compile=True)))
    assert said(ours(*asked())).equal(said(plain(*asked())))
    assert ours.forward.tape is None


@pytest.mark.slow
def test_z_images_words_ask_the_card_for_nothing():
    """What asks for a number, as how many tokens there are, could not be recorded."""
    encoder = made("ZImagePipeline", Fit()).text_encoder.to("meta")
    shape = said(read_words(encoder, *(one.to("meta") for one in asked()))).shape
    assert shape == (1, 64, encoder.config.hidden_size)


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
@pytest.mark.parametrize("pipeline", PIPELINES)
def test_what_is_played_back_is_what_the_encoder_says(pipeline):
    """Bit for bit: of one prompt, another, and after the weights were elsewhere."""
    pipe = made(pipeline, Fit(compile=True), "cuda")
    encoder = pipe.text_encoder
    work = encoder.forward.work
    for tokens in 9, 30, 9:
        right = said(work(*asked(tokens, "cuda")))
        assert said(encoder(*asked(tokens, "cuda"))).equal(right)
    tape = encoder.forward.tape
    assert said(encoder(*asked(3, "cuda"))).isfinite().all()
    assert encoder.forward.tape is tape
    two = [one.repeat(2, 1) for one in asked(9, "cuda")]
    assert said(encoder(*two)).isfinite().all()
    assert encoder.forward.tape is tape
    place = Parked(pipe)
    place.put()
    place.bring("cuda")
    assert said(encoder(*asked(30, "cuda"))).equal(said(work(*asked(30, "cuda"))))
    assert encoder.forward.tape is not tape
