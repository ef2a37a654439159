"""Steps, early previews and cancels, while the shipped models draw."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from configs.errors import Interrupted
from gpu import preview
from gpu.fit import Fit
from gpu.image import PictureRequest, draw
from gpu.video import ClipRequest, animate
from gpu.watch import Watch
from gpu.weights import Weights, WeightsSpec
from tests.conftest import SHIPPED

pytestmark = pytest.mark.slow  # whole pictures, clips and downloads: half a minute together

LIKE = 0.8
"""Correlation of levels that a preview must have with the finished picture."""


@pytest.fixture(scope="module")
def weights():
    return Weights(4)


@pytest.fixture
def request_(mini_picture):
    return PictureRequest(
        mini_picture, "red lipstick on white marble", 128, 128, steps=4, seed=7, max_tokens=128
    )


def alike(shown, finished):
    """Correlate two pictures at the smaller one's size."""
    small = np.asarray(finished.resize(shown.size, Image.Resampling.BOX), dtype=float)
    return np.corrcoef(np.asarray(shown, dtype=float).ravel(), small.ravel())[0, 1]


def test_previews_look_like_the_finished_picture(request_, weights):
    """From the second step on; each a latent's size, and nearer than the one before."""
    shown = []
    picture = draw(request_, weights, Watch(on_preview=shown.append))
    assert [small.size for small in shown] == [(16, 16)] * 4
    likeness = [alike(small, picture) for small in shown]
    assert min(likeness[1:]) > LIKE
    assert likeness[-1] > likeness[0]


def test_a_clip_shows_its_middle(weights):
    """Where it will have moved; from the shipped clip model."""
    spec = WeightsSpec(SHIPPED / "video", "WanImageToVideoPipeline", "mini-clip", "bfloat16", "cpu")
    shown = []
    clip = animate(
        ClipRequest(spec, picture(), "orbit left", 128, 128, 9, 2, 7, max_tokens=64),
        weights,
        Watch(on_preview=shown.append),
    )
    assert [small.size for small in shown] == [(16, 16)] * 2
    assert alike(shown[-1], Image.fromarray(clip[4:8].mean(axis=0).astype(np.uint8))) > LIKE


def picture():
    """Three bands of colour, so that a wrong channel or axis shows."""
    bands = [Image.new("RGB", (128, 128), colour) for colour in ("firebrick", "gold", "navy")]
    whole = Image.new("RGB", (128, 128))
    for number, band in enumerate(bands):
        whole.paste(band.resize((128, 43)), (0, 43 * number))
    return whole


def test_a_preview_changes_no_byte(request_, weights):
    """It only looks; afterwards the scheduler is as it was."""
    watched = draw(request_, weights, Watch(on_preview=lambda _: None))
    assert watched.tobytes() == draw(request_, weights).tobytes()
    with weights.lease(request_.spec) as pipe:
        assert "step" not in vars(pipe.scheduler)


@pytest.mark.parametrize(("every", "count"), [(1, 4), (2, 2), (3, 2), (9, 1)])
def test_previews_come_at_most_every_so_many_steps(request_, weights, every, count):
    """The first step is always shown."""
    shown = []
    draw(request_, weights, Watch(on_preview=shown.append, preview_every=every))
    assert len(shown) == count


def test_the_matrix_is_found_once_for_loaded_weights(request_, weights, monkeypatch):
    """A week of pictures encodes the random ones once."""
    watch = Watch(on_preview=lambda _: None)
    draw(request_, weights, watch)
    monkeypatch.setattr(preview, "_find", None)
    draw(request_, weights, watch)


def test_the_matrix_gives_known_colours_back(request_, weights):
    """Plain pictures, which were not among those it was found with."""
    import torch

    with weights.lease(request_.spec) as pipe, torch.inference_mode():
        for colour in ("firebrick", "gold", "navy", "white"):
            plain = np.asarray(Image.new("RGB", (64, 64), colour), dtype=np.float32) / 255
            latents = preview.encode(pipe, torch.from_numpy(plain).permute(2, 0, 1)[None])
            seen = np.asarray(preview.look(pipe, latents)).mean(axis=(0, 1))
            assert np.abs(seen - plain[0, 0] * 255).max() < 36  # levels: a matrix is no decoder


def test_a_cancel_from_a_preview_ends_the_work(request_, weights):
    """What a person sees is what they stop for; the scheduler is left as it was."""
    shown = []
    with pytest.raises(Interrupted, match="after step 1 of 4"):
        draw(request_, weights, Watch(on_preview=shown.append, cancelled=lambda: bool(shown)))
    with weights.lease(request_.spec) as pipe:
        assert "step" not in vars(pipe.scheduler)


def test_a_cancel_ends_within_a_step_on_a_processor(request_, weights):
    """A clip's step takes seconds there: each block is a place to stop, and nothing is left."""
    asked, steps = [], []
    with pytest.raises(Interrupted, match="within a step"):
        draw(
            request_,
            weights,
            Watch(
                on_step=lambda done, _: steps.append(done),
                cancelled=lambda: asked.append(1) or len(asked) > 3,
            ),
        )
    assert (len(asked), steps) == (4, [0])
    assert draw(request_, weights).tobytes() == draw(request_, weights).tobytes()


def test_a_cancel_ends_between_tiles(request_, weights):
    """A large picture is decoded for seconds: each tile is a place to stop."""
    spec = replace(request_.spec, fit=Fit(tiling=True))
    tiles, asked, steps = [], [], []
    with weights.lease(spec) as pipe:
        pipe.vae.tile_sample_min_size, pipe.vae.tile_latent_min_size = 64, 8
        hook = pipe.vae.decoder.register_forward_hook(lambda *_: tiles.append(1))
    with pytest.raises(Interrupted, match="before all was decoded"):
        draw(
            replace(request_, spec=spec),
            weights,
            Watch(
                on_step=lambda done, _: steps.append(done),
                # asked once more after the last step, then before each tile
                cancelled=lambda: steps[-1:] == [4] and (asked.append(1) or len(asked) > 3),
            ),
        )
    hook.remove()
    assert len(tiles) == 2


@pytest.mark.parametrize("offload", ["model", "group"])
def test_after_a_cancel_an_offload_goes_on_well(request_, weights, offload):
    """Hooks that were stopped half-way are set back: the next picture has the same bytes."""
    spec = replace(request_.spec, fit=Fit(offload))
    with pytest.raises(Interrupted):
        draw(replace(request_, spec=spec), weights, Watch(cancelled=lambda: True))
    after = draw(replace(request_, spec=spec), weights)
    assert after.tobytes() == draw(request_, weights).tobytes()
