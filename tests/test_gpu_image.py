"""One picture from one request, drawn by the shipped model itself."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from configs.errors import BadInput, Interrupted, Rejected
from gpu.image import PictureRequest, draw, to_bytes
from gpu.watch import Watch
from gpu.weights import Weights


@pytest.fixture(scope="module")
def weights():
    return Weights(1)


@pytest.fixture
def request_(mini_picture):
    """Two steps at a size the model was not trained for: quick, and wrong in shape only."""
    return PictureRequest(
        mini_picture, "red lipstick", width=96, height=64, steps=2, seed=7, max_tokens=128
    )


def test_a_picture_has_the_size_asked_for(request_, weights):
    """Width by height, RGB, and not one colour."""
    picture = draw(request_, weights)
    assert (picture.size, picture.mode) == ((96, 64), "RGB")
    assert np.asarray(picture).std() > 5


def test_the_same_request_gives_the_same_bytes(request_, weights):
    """Whatever was drawn between, and with the weights loaded afresh."""
    first = draw(request_, weights)
    draw(replace(request_, width=64, steps=3), weights)
    assert draw(request_, weights).tobytes() == first.tobytes()
    assert draw(request_, Weights(1)).tobytes() == first.tobytes()


@pytest.mark.parametrize("change", [{"seed": 0}, {"prompt": "blue mug"}, {"steps": 3}])
def test_another_request_gives_another_picture(request_, weights, change):
    """Seed, words and steps all matter."""
    assert draw(replace(request_, **change), weights).tobytes() != draw(request_, weights).tobytes()


def test_guidance_uses_the_negative_prompt(request_, weights):
    """With guidance on, other negative words give another picture."""
    guided = replace(request_, guidance=2.0, negative="red")
    other = draw(replace(guided, negative="blue mug"), weights)
    assert draw(guided, weights).tobytes() != other.tobytes()


def test_every_step_is_told(request_, weights):
    """Eight steps are eight evaluations, told one by one, from the beginning of the first."""
    told = []
    draw(replace(request_, steps=8), weights, Watch(on_step=lambda *step: told.append(step)))
    assert told == [(n, 8) for n in range(9)]


def test_a_cancel_ends_between_steps_and_decodes_nothing(request_, weights):
    """The second step is the last, and the autoencoder never runs."""
    told, decoded = [], []
    with weights.lease(request_.spec) as pipe:
        hook = pipe.vae.decoder.register_forward_hook(lambda *_: decoded.append(1))
    with pytest.raises(Interrupted, match="after step 2 of 8"):
        draw(
            replace(request_, steps=8),
            weights,
            Watch(on_step=lambda *step: told.append(step), cancelled=lambda: len(told) == 3),
        )
    hook.remove()
    assert (told[-1], decoded) == ((2, 8), [])


def test_after_a_cancel_the_next_picture_is_right(request_, weights):
    """A stopped pipeline keeps nothing of the picture it was stopped in."""
    first = draw(request_, weights)
    with pytest.raises(Interrupted):
        draw(request_, weights, Watch(cancelled=lambda: True))
    assert draw(request_, weights).tobytes() == first.tobytes()


@pytest.mark.parametrize("side", ["width", "height"])
def test_sides_that_do_not_divide_are_an_error(request_, weights, side):
    """Nothing is rounded in silence."""
    with pytest.raises(BadInput, match="both sides must be multiples of 16"):
        draw(replace(request_, **{side: 100}), weights)


def test_a_prompt_too_long_is_an_error(request_, weights):
    """The pipeline itself would cut it in silence."""
    with pytest.raises(BadInput, match=r"the prompt has \d+ tokens, the model reads 128: 'very"):
        draw(replace(request_, prompt="very " * 200), weights)


def test_broken_weights_are_found_by_their_numbers(request_):
    """Weights that give no numbers are refused, not saved as a black picture."""
    weights = Weights(1)
    with weights.lease(request_.spec) as pipe:
        pipe.vae.decoder.conv_out.weight.data.fill_(float("nan"))
    with pytest.raises(Rejected, match=r"not numbers \(NaN\), computing in bfloat16"):
        draw(request_, weights)


def test_a_tensor_becomes_bytes_as_pillow_would_round():
    """0 is 0, 1 is 255, and halves go to the even neighbour."""
    assert to_bytes(torch.tensor([0.0, 0.5, 1.5, 255.0]) / 255, "").tolist() == [0, 0, 2, 255]
    assert Image.fromarray(to_bytes(torch.ones(2, 2, 3), "")).getpixel((0, 0)) == (255, 255, 255)
