"""The measurement of speed, with small networks: all that runs on a card, but for its size."""

from __future__ import annotations

import math

import pytest

from benchmarks.speed import picture
from benchmarks.speed.realistic import words_of

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]


def test_every_figure_of_pictures_is_measured():
    """Each way's picture, stages and batch; each speed-up's error; files; a new process."""
    told = {one.metric: one for one in picture.measure(quick=True)}
    assert all(math.isfinite(one.value) and one.value >= 0 for one in told.values())
    for name in ("plain diffusers", "bfloat16", "fp8"):
        assert told[f"{name}: picture"].value > 0
        parts = [told[f"{name}: {stage}"].value for stage in ("call", "words", "steps", "decoding")]
        assert 1e-3 * sum(parts) > told[f"{name}: from the call to the first step"].value / 2
    assert told["bfloat16: batch of 4, time a picture"].bar == "<= 0.85"
    assert told["error of last latents, plain bfloat16"].value < 1e-6  # a processor's is float32
    assert told["error of words, fp8"].value < 1e-6
    assert 0.01 < told["error of one forward, fp8"].value < 0.2
    assert "the process before" in told["process start to first picture"].note


def test_no_two_prompts_are_alike():
    """A prompt that came before would be answered from memory."""
    assert len({words_of(n) for n in range(40)}) == 40
