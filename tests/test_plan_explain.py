"""Who set a value of a shot."""

from __future__ import annotations

import pytest

from configs.errors import BadInput
from configs.home import Home
from flows.explain import explain
from tests.plan_data import Desk


@pytest.fixture(scope="module")
def resolved(tmp_path_factory):
    return Desk(Home(tmp_path_factory.mktemp("plan") / "home")).resolve()


def test_every_layer_is_told(resolved):
    """From the default to the override, each with its file and line; the last one counts."""
    lines = explain(resolved, "rouge-01/2026-03-06", "animate.motion").splitlines()
    assert lines[0] == 'rouge-01/2026-03-06: animate.motion is "orbit-left", set by overrides[0]'
    assert lines[1].split() == ["default", '"auto"', "(configs/settings.py)"]
    assert lines[2].split()[:2] == ["overrides[0]", '"orbit-left"']
    assert "campaigns/demo.yaml:" in lines[2]


def test_the_brand_s_watermark_is_a_layer(resolved):
    """Settings of the brand stand above the default."""
    text = explain(resolved, "mug-01/2026-03-02", "watermark.opacity")
    assert text.startswith("mug-01/2026-03-02: watermark.opacity is 0.8, set by brand")


def test_a_drawn_motion_is_told(resolved):
    """Where a motion is left to `auto`, the one that was drawn is told too."""
    text = explain(resolved, "mug-01/2026-03-02", "animate.motion")
    assert text.splitlines()[0].startswith(
        'mug-01/2026-03-02: animate.motion is "auto", set by default; drawn for this shot: '
    )


@pytest.mark.parametrize(
    ("shot", "field", "message"),
    [
        ("rouge-1/2026-03-06", "animate.motion", "did you mean 'rouge-01/2026-03-06'"),
        ("rouge-01/2026-03-06", "animate.motoin", "did you mean 'animate.motion'"),
        ("rouge-01/2026-03-06", "crf", "export.crf"),
    ],
)
def test_a_wrong_word_is_one_error(resolved, shot, field, message):
    """The nearest shot or setting is told."""
    with pytest.raises(BadInput, match=message):
        explain(resolved, shot, field)
