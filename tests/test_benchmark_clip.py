"""The measurement of clips runs on any machine, at a small size, and tells what it should."""

from __future__ import annotations

import pytest

from benchmarks.speed.clip import pieces

pytestmark = [pytest.mark.long, pytest.mark.timeout(300)]  # a dozen pipelines are made


@pytest.mark.parametrize("kind", ["1.3B", "A14B"])
def test_every_stage_is_told(kind: str):
    """From words, or a picture, to the file: each with seconds, beside plain diffusers'."""
    measures = pieces(quick=True)
    stages = {"call", "words", "steps", "decoding", *(["keyframe"] if kind == "A14B" else [])}
    for name, last in ((f"{kind} fp8", set()), (f"{kind} plain diffusers", {"encoding"})):
        figures = {figure.metric: figure for figure in measures[name]()}
        assert "to the MP4, by ffmpeg version" in figures[f"{name}: clip"].note
        times = {stage: figures[f"{name}: {stage}"].value for stage in stages | last}
        assert all(seconds >= 0 for seconds in times.values())
        assert sum(times.values()) == pytest.approx(figures[f"{name}: clip"].value)


def test_errors_are_told_of_every_speed_up():
    """A processor's plain form is float32 itself; 8 bits are off by little."""
    told = {figure.metric: figure.value for figure in pieces(quick=True)["errors"]()}
    for part in ("one forward", "last latents"):
        assert told[f"errors: {part}, plain bfloat16"] < 1e-6
        assert 1e-4 < told[f"errors: {part}, compiled fp8"] < 0.2
    assert told["errors: pixels, ours"] < 1e-4
    assert told["errors: keyframe's latents, ours"] < 1e-4


def test_a_rendered_clip_is_written():
    """The encoder alone, on frames that are there at once."""
    told = {figure.metric: figure for figure in pieces(quick=True)["file"]()}
    assert told["file: H.264, 64x48"].value > 0
