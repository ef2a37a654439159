"""A prompt is encoded once; what is drawn from the kept embedding has the same bytes."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace

import pytest
import torch
from PIL import Image

from gpu.device import one_thread
from gpu.embeddings import Embeddings
from gpu.fit import Fit
from gpu.image import PictureRequest, draw
from gpu.video import ClipRequest, animate
from gpu.weights import Weights


@pytest.fixture(scope="module")
def weights():
    return Weights(4)


@pytest.fixture(autouse=True)
def empty(weights):
    weights.embeddings = Embeddings()


@pytest.fixture
def picture(mini_picture):
    return PictureRequest(mini_picture, "red lipstick", 64, 64, steps=1, seed=7, max_tokens=128)


@pytest.fixture
def clip(tiny_clip):
    grey = Image.linear_gradient("L").convert("RGB")
    return ClipRequest(tiny_clip, grey, "orbit left", 64, 64, 5, steps=1, seed=7, max_tokens=64)


@contextmanager
def listening(weights, spec):
    """Give the list of calls of the text encoder."""
    calls = []
    with weights.lease(spec) as pipe:
        hook = pipe.text_encoder.register_forward_hook(lambda *_: calls.append(1))
    yield calls
    hook.remove()


def test_a_picture_of_the_same_words_encodes_them_once(picture, weights):
    """Another seed and size need no text encoder; the bytes are those of a fresh cache."""
    other = replace(picture, seed=8, width=96)
    with listening(weights, picture.spec) as calls:
        draw(picture, weights)
        again = draw(other, weights)
    assert len(calls) == 1
    weights.embeddings = Embeddings()
    assert draw(other, weights).tobytes() == again.tobytes()


def test_a_small_encoder_reads_in_one_thread_the_same_bits(picture, weights):
    """The picture after it is drawn in all threads; a large network has them throughout."""
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        with weights.lease(picture.spec) as pipe:
            given = picture.spec, picture.prompt, None, picture.max_tokens
            (shared,) = Embeddings().given(pipe, *given)["prompt_embeds"]
            with one_thread(pipe.text_encoder):
                assert torch.get_num_threads() == 1
                (alone,) = Embeddings().given(pipe, *given)["prompt_embeds"]
        assert torch.equal(shared, alone)
        with one_thread(torch.nn.Linear(4000, 4000, device="meta")):
            assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_a_clip_of_the_same_words_encodes_them_once(clip, weights):
    """With guidance the negative words are kept, too, by themselves."""
    guided = replace(clip, guidance=3.0, negative="blur")
    with listening(weights, clip.spec) as calls:
        first = animate(guided, weights)
        assert len(calls) == 2
        assert (animate(guided, weights) == first).all()
        animate(replace(guided, prompt="push in"), weights)
    assert len(calls) == 3
    assert (animate(guided, Weights(1)) == first).all()


def test_guidance_that_is_off_encodes_no_negative_words(clip, weights):
    """Wan's scale is off at 1."""
    with listening(weights, clip.spec) as calls:
        animate(replace(clip, guidance=1.0, negative="blur"), weights)
    assert len(calls) == 1


@pytest.mark.parametrize("change", [{"prompt": "blue mug"}, {"max_tokens": 100}])
def test_other_words_are_encoded(picture, weights, change):
    """As is the same prompt padded to another length."""
    draw(picture, weights)
    with listening(weights, picture.spec) as calls:
        draw(replace(picture, **change), weights)
    assert len(calls) == 1


def test_an_offload_shares_what_was_encoded_without(picture, weights):
    """Where it saves most: the text encoder is not moved onto the card at all."""
    first = draw(picture, weights)
    offloaded = replace(picture, spec=replace(picture.spec, fit=Fit("model")))
    with listening(weights, offloaded.spec) as calls:
        assert draw(offloaded, weights).tobytes() == first.tobytes()
    assert calls == []


def test_another_model_has_its_own(picture, weights):
    """The fingerprint of its files tells it apart."""
    draw(picture, weights)
    changed = replace(picture, spec=replace(picture.spec, fingerprint="changed"))
    with listening(weights, changed.spec) as calls:
        draw(changed, weights)
    assert len(calls) == 1


def test_the_room_is_never_exceeded(picture, weights):
    """The prompt not asked for longest goes first."""
    draw(picture, weights)
    one = weights.embeddings.bytes
    weights.embeddings = Embeddings(room=int(2.5 * one))
    a, b, c = (replace(picture, prompt=f"red {word}") for word in ("mug", "pen", "box"))
    with listening(weights, picture.spec) as calls:
        for request in (a, b, a, c, a, b):
            draw(request, weights)
            assert 0 < weights.embeddings.bytes <= 2.5 * one
    assert len(calls) == 4  # a, b, c, and b again
