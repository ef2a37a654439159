"""The measurement of clips runs on any machine, at a small size, and tells what it should."""

from __future__ import annotations

import pytest

from benchmarks.speed.clip import measure


@pytest.mark.slow
@pytest.mark.timeout(300)  # a dozen pipelines are made
@pytest.mark.parametrize("kind", ["1.3B", "A14B"])
def test_every_stage_is_told(kind: str):
    """From words, or a picture, to the file: each with seconds; 8 bits are off by little."""
    figures = {figure.metric: figure for figure in measure(quick=True, kinds=(kind,))}
    stages = {"words", "keyframe", "steps", "decoding"} - (
        {"keyframe"} if kind == "1.3B" else set()
    )
    for name in ("bfloat16", "fp8"):
        times = {stage: figures[f"{kind} {name}: {stage}"].value for stage in ("call", *stages)}
        assert all(seconds >= 0 for seconds in times.values())
        assert sum(times.values()) == pytest.approx(figures[f"{kind} {name}: clip"].value)
    assert figures["file: H.264, 64x48"].value > 0
    if kind == "1.3B":
        assert figures["plain diffusers: clip"].value > 0
        assert figures["error of one forward, eager"].value < 1e-4
        assert 1e-4 < figures["error of one forward, compiled, fp8"].value < 0.2
