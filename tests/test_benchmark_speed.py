"""The measurement of speed, with small networks: all that runs on a card, but for its size."""

from __future__ import annotations

import math
import os

import pytest

from benchmarks import gpu_speed
from benchmarks.figures import Figure
from benchmarks.mini.told import record
from benchmarks.speed import picture
from benchmarks.speed.realistic import words_of


@pytest.mark.long
@pytest.mark.timeout(400)
def test_every_figure_of_pictures_is_measured():
    """Each way's picture, stages and batch; each speed-up's error; files; a new process."""
    told = {}
    for piece, figures in picture.pieces(quick=True).items():
        made = list(figures())
        assert made, piece
        assert all(one.metric.startswith(f"{piece}: ") for one in made)
        told |= {one.metric: one for one in made}
    assert all(math.isfinite(one.value) and one.value >= 0 for one in told.values())
    for name in ("plain diffusers", "bfloat16", "fp8"):
        assert told[f"{name}: picture"].value > 0
        parts = [told[f"{name}: {stage}"].value for stage in ("call", "words", "steps", "decoding")]
        assert 1e-3 * sum(parts) > told[f"{name}: from the call to the first step"].value / 2
    assert told["bfloat16: batch of 4, time a picture"].bar == "<= 0.85"
    assert told["errors: last latents, plain bfloat16"].value < 1e-6  # a processor's is float32
    assert told["errors: words, fp8"].value < 1e-6
    assert 0.01 < told["errors: one forward, fp8"].value < 0.2
    stages = [name for name in told if name.startswith("new process: ")]
    assert {"new process: imports", "new process: weights", "new process: steps"} <= {*stages}
    assert told["new process: graphs for another size"].value == 0


def test_a_piece_joins_what_such_a_card_measured_that_day():
    """Measured again it replaces its own figures; another version's or day's are dropped."""
    figure = Figure("fp8: picture", 1.0, "s"), Figure("bfloat16: picture", 2.0, "s")
    before, again = record(figure), record([Figure("fp8: picture", 3.0, "s")])
    both = gpu_speed.merged(before, "fp8", again)["figures"]
    assert [one["value"] for one in both] == [2.0, 3.0]
    elsewhere = gpu_speed.merged({**before, "machine": {}}, "fp8", again)
    assert [one["note"] for one in elsewhere["figures"]] == ["", f"beside {os.cpu_count()} cores"]
    for other in ({"date": "2001-01-01"}, {"versions": {}}, {"device": "another"}):
        assert gpu_speed.merged({**before, **other}, "fp8", again) == again
    assert gpu_speed.merged({}, "fp8", again) == again


def test_no_two_prompts_are_alike():
    """A prompt that came before would be answered from memory."""
    assert len({words_of(n) for n in range(40)}) == 40
