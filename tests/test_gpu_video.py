"""One clip from one picture, through a tiny random model of the production classes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from configs.errors import BadInput, Interrupted, Rejected
from gpu.fit import Fit
from gpu.video import ClipRequest, animate
from gpu.watch import Watch
from gpu.weights import Weights


@pytest.fixture(scope="module")
def weights():
    return Weights(1)


@pytest.fixture
def request_(tiny_clip):
    picture = Image.linear_gradient("L").convert("RGB")
    return ClipRequest(
        tiny_clip, picture, "orbit left", 96, 64, frames=9, steps=2, seed=7, max_tokens=64
    )


def test_a_clip_has_the_frames_and_size_asked_for(request_, weights):
    """(frames, height, width, 3) bytes."""
    clip = animate(request_, weights)
    assert (clip.shape, clip.dtype) == ((9, 64, 96, 3), np.uint8)
    assert clip.flags.c_contiguous


def test_the_same_request_gives_the_same_bytes(request_, weights):
    """Whatever was made between, and with the weights loaded afresh."""
    first = animate(request_, weights)
    animate(replace(request_, frames=5), weights)
    assert (animate(request_, weights) == first).all()
    assert (animate(request_, Weights(1)) == first).all()


@pytest.mark.parametrize(
    "change",
    [{"seed": 8}, {"prompt": "push in"}, {"steps": 3}, {"image": Image.new("RGB", (9, 9), "red")}],
)
def test_another_request_gives_another_clip(request_, weights, change):
    """Seed, words, steps and picture all matter."""
    assert (animate(replace(request_, **change), weights) != animate(request_, weights)).any()


def test_the_picture_is_resized_straight(request_, weights):
    """A picture of another shape is squeezed into the clip's, not cropped."""
    picture = request_.image.resize((96, 64), Image.Resampling.LANCZOS)
    squeezed = animate(replace(request_, image=picture), weights)
    assert (animate(request_, weights) == squeezed).all()


def test_frames_are_given_while_later_ones_are_made(request_, weights):
    """In order, group by group: one frame, then four for each latent frame."""
    given = []
    clip = animate(request_, weights, take=lambda first, frames: given.append((first, frames)))
    assert [(first, len(frames)) for first, frames in given] == [(0, 1), (1, 4), (5, 4)]
    assert (np.concatenate([frames for _, frames in given]) == clip).all()


def test_a_tiled_clip_is_given_at_once(request_, weights):
    """The library blends tiles of whole clips; the frames are nearly those of no tiles."""
    given = []
    tiled = replace(request_, spec=replace(request_.spec, fit=Fit(tiling=True)), width=288)
    clip = animate(tiled, weights, take=lambda first, frames: given.append((first, len(frames))))
    assert given == [(0, 9)]
    plain = animate(replace(tiled, spec=request_.spec), weights)
    assert 0 < np.abs(clip.astype(int) - plain).mean() < 8  # levels: edges differ


def test_every_step_is_told(request_, weights):
    """Progress counts denoising steps."""
    told = []
    animate(replace(request_, steps=4), weights, Watch(on_step=lambda *step: told.append(step)))
    assert told == [(done, 4) for done in range(5)]


@pytest.mark.parametrize("decoded", [0, 1, 2])
def test_a_cancel_ends_between_steps_or_groups_of_frames(request_, weights, decoded):
    """Nine frames are three groups; each is a place to stop."""
    groups = []
    with weights.lease(request_.spec) as pipe:
        hook = pipe.vae.decoder.norm_out.register_forward_hook(lambda *_: groups.append(1))
    steps = []
    watch = Watch(
        on_step=lambda done, _: steps.append(done),
        cancelled=lambda: steps[-1:] == [request_.steps] and len(groups) == decoded,
    )
    with pytest.raises(Interrupted):
        animate(request_, weights, watch)
    hook.remove()
    assert len(groups) == decoded


def test_after_a_cancel_the_next_clip_is_right(request_, weights):
    """A stopped autoencoder keeps no frames of the clip it was stopped in."""
    first = animate(request_, weights)
    answers = iter([False, False, False, True])
    with pytest.raises(Interrupted):
        animate(request_, weights, Watch(cancelled=lambda: next(answers)))
    assert (animate(request_, weights) == first).all()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"width": 100}, "100x64: both sides must be multiples of 16"),
        ({"frames": 10}, r"10 frames: must be 4k \+ 1"),
        ({"frames": 0}, r"0 frames: must be 4k \+ 1"),
        ({"prompt": "slowly " * 99}, r"the prompt has \d+ tokens, the model reads 64"),
    ],
)
def test_what_the_pipeline_would_round_or_cut_is_an_error(request_, weights, change, says):
    """Nothing is changed in silence."""
    with pytest.raises(BadInput, match=says):
        animate(replace(request_, **change), weights)


def test_broken_weights_are_found_by_their_numbers(request_):
    """Weights that give no numbers are refused, not saved as black frames."""
    weights = Weights(1)
    with weights.lease(request_.spec) as pipe:
        pipe.vae.decoder.conv_out.weight.data.fill_(float("nan"))
    with pytest.raises(Rejected, match=r"not numbers \(NaN\), computing in float32"):
        animate(request_, weights)
