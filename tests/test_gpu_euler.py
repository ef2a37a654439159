"""Four straight steps: on the grid that distilled adapters were trained for, and back again."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from PIL import Image

from gpu.euler import straight
from gpu.video import ClipRequest, animate
from gpu.weights import Weights


def test_the_grid_is_the_shifted_line_and_steps_are_straight():
    """σ = 5u / (1 + 4u) for u = 1, ¾, ½, ¼, then 0; x goes by (σ' - σ)·v."""
    own = object()
    pipe = SimpleNamespace(scheduler=own)
    with straight(pipe, 5.0, 4):
        sampler = pipe.scheduler
        sampler.set_timesteps(4)
        grid = [5 * u / (1 + 4 * u) for u in (1, 0.75, 0.5, 0.25)] + [0]
        assert sampler.sigmas.tolist() == pytest.approx(grid, abs=1e-3)
        assert sum(t >= 900 for t in sampler.timesteps) == 2  # two of each expert of Wan 2.2 A14B
        random = torch.Generator().manual_seed(0)
        x = expected = torch.randn(1, 4, 2, 4, 4, generator=random)
        for step, t in enumerate(sampler.timesteps):
            v = torch.randn(x.shape, generator=random)
            x = sampler.step(v, t, x, return_dict=False)[0]
            expected = expected + (sampler.sigmas[step + 1] - sampler.sigmas[step]) * v
            torch.testing.assert_close(x, expected, rtol=1e-5, atol=1e-5)
    assert pipe.scheduler is own


def test_none_leaves_the_sampler_and_an_error_brings_it_back():
    """The pipeline is shared with requests that want its own."""
    own = object()
    pipe = SimpleNamespace(scheduler=own)
    with straight(pipe, None, 4):
        assert pipe.scheduler is own
    with pytest.raises(RuntimeError, match="stopped"), straight(pipe, 5.0, 4):
        raise RuntimeError("stopped")
    assert pipe.scheduler is own


def test_a_clip_in_straight_steps_is_another_one(tiny_clip):
    """The same weights draw both, in turn."""
    picture = Image.linear_gradient("L").convert("RGB")
    plain = ClipRequest(
        tiny_clip, picture, "orbit", 64, 64, frames=5, steps=2, seed=7, max_tokens=64
    )
    weights = Weights(1)
    before = animate(plain, weights)
    assert (animate(replace(plain, euler_shift=5.0), weights) != before).any()
    assert (animate(plain, weights) == before).all()
    assert weights.stats().loads == 1
