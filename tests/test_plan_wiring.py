"""A pipeline's wiring: the order of its stages, and one error for each thing that is wrong."""

from __future__ import annotations

import pytest

from configs.errors import BadPlan
from configs.fill import load
from configs.library import SHIPPED
from configs.pipeline import Pipeline
from flows.wiring import wire
from tasks.stages import STAGES

STAGE = {
    "expand": "{id: expand, per: shot}",
    "keyframe": "{id: keyframe, per: aspect, in: {prompt: expand.picture}}",
    "animate": "{id: animate, per: aspect, in: {image: keyframe.image, prompt: expand.motion}}",
    "watermark": "{id: watermark, per: delivery, in: {image: keyframe.image}}",
    "export": "{id: export, per: delivery, in: {clip: animate.clip, overlay: watermark.overlay}}",
}


@pytest.fixture
def wired(tmp_path):
    def made(*extra: str, **stages: str):
        path = tmp_path / "mine.yaml"
        lines = [*{**STAGE, **stages}.values(), *extra]
        path.write_text("stages:\n" + "".join(f"  - {line}\n" for line in lines), "utf-8")
        return wire(*load(path, Pipeline), STAGES)

    return made


def test_the_file_s_order_does_not_count(tmp_path):
    """Stages come in the order of need, then in the order a campaign meets them."""
    path = tmp_path / "mine.yaml"
    path.write_text("stages:\n" + "".join(f"  - {s}\n" for s in reversed(STAGE.values())), "utf-8")
    steps = wire(*load(path, Pipeline), STAGES)
    assert [step.id for step in steps] == list(STAGE)
    assert [step.id for step in steps if step.sink] == ["export"]


@pytest.mark.parametrize(
    "path", sorted((SHIPPED / "pipelines").glob("*.yaml")), ids=lambda p: p.stem
)
def test_shipped_pipelines_are_right(path):
    """Every pipeline of the package passes."""
    assert wire(*load(path, Pipeline), STAGES)


def test_a_stage_may_be_used_twice(wired):
    """A second use has an id of its own."""
    steps = wired(
        "{id: cover, stage: keyframe, per: delivery, in: {prompt: expand.picture}}",
        watermark="{id: watermark, per: delivery, in: {image: cover.image}}",
    )
    cover = next(step for step in steps if step.id == "cover")
    assert cover.stage.id == "keyframe"


WRONG = {
    "unknown source": (
        {
            "animate": "{id: animate, per: aspect, in: "
            "{image: keyfame.image, prompt: expand.motion}}",
        },
        r"mine\.yaml:4: stages\[2\]\.in\.image: 'keyfame\.image': .*did you mean 'keyframe'",
    ),
    "unknown output": (
        {"keyframe": "{id: keyframe, per: aspect, in: {prompt: expand.pictures}}"},
        r"mine\.yaml:3: .*did you mean 'picture'",
    ),
    "no output named": (
        {"keyframe": "{id: keyframe, per: aspect, in: {prompt: expand}}"},
        r"mine\.yaml:3: .*'expand': no port ''",
    ),
    "unknown input": (
        {"keyframe": "{id: keyframe, per: aspect, in: {prompts: expand.picture}}"},
        r"mine\.yaml:3: stages\[1\]\.in\.prompts: .*did you mean 'prompt'",
    ),
    "wrong type": (
        {"export": "{id: export, per: delivery, in: {clip: keyframe.image}}"},
        r"mine\.yaml:6: .*'clip' takes clip, but 'keyframe\.image' is image",
    ),
    "text into an image": (
        {"watermark": "{id: watermark, per: delivery, in: {image: expand.picture}}"},
        r"mine\.yaml:5: .*'image' takes image, but 'expand\.picture' is text",
    ),
    "needed port left out": (
        {"keyframe": "{id: keyframe, per: aspect}"},
        r"mine\.yaml:3: .*needs the port 'prompt'",
    ),
    "per aspect from per delivery": (
        {"keyframe": "{id: keyframe, per: delivery, in: {prompt: expand.picture}}"},
        r"mine\.yaml:4: .*'keyframe\.image' is made per delivery; write `per: delivery`",
    ),
    "a picture per shot": (
        {"keyframe": "{id: keyframe, per: shot, in: {prompt: expand.picture}}"},
        r"mine\.yaml:3: stages\[1\]\.per: keyframe is made `per: aspect` or `per: delivery`",
    ),
    "an export per aspect": (
        {
            "watermark": "{id: watermark, per: delivery, in: {image: keyframe.image}}",
            "export": "{id: export, per: aspect, in: {clip: animate.clip}}",
        },
        r"mine\.yaml:6: stages\[4\]\.per: export is made `per: delivery`",
    ),
    "a stage nothing uses": (
        {"export": "{id: export, per: delivery, in: {image: keyframe.image}}"},
        r"mine\.yaml:4: stages\[2\]: nothing uses what this stage makes",
    ),
    "an unknown stage": (
        {"keyframe": "{id: keyframes, per: aspect, in: {prompt: expand.picture}}"},
        r"mine\.yaml:3: stages\[1\]\.id: .*did you mean 'keyframe'",
    ),
    "a stage called product": (
        {"expand": "{id: product, stage: expand, per: shot}"},
        r"mine\.yaml:2: stages\[0\]\.id: `product` is the campaign's",
    ),
}


@pytest.mark.parametrize(("stages", "message"), WRONG.values(), ids=WRONG)
def test_miswired(wired, stages, message):
    """One error, at the line of the pipeline file, with the right word."""
    with pytest.raises(BadPlan, match=message) as error:
        wired(**stages)
    assert str(error.value).count("\n") == 0


def test_a_circle(wired):
    """A cycle is told with the stages it runs through."""
    with pytest.raises(BadPlan, match=r"circle: (watermark -> again -> watermark|again -> water)"):
        wired(
            "{id: again, stage: export, per: delivery, in: "
            "{image: keyframe.image, overlay: watermark.overlay}}",
            watermark="{id: watermark, per: delivery, in: {image: again.cover}}",
        )
