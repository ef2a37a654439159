"""The keyframe stage: what it decides at plan time, and the PNG it draws."""

from __future__ import annotations

import subprocess
import sys

import pytest
from PIL import Image

from catalogs.node import Address, Node
from configs.campaign import Focus, Product
from configs.errors import BadPlan, Interrupted
from gpu.device import usable_ram
from tasks.keyframe import STAGE
from tasks.stage import Photo

PIXELS = {"dtype": "bfloat16", "quantisation": "none", "attention": "native", "device": "cpu"}


@pytest.fixture
def node(cell, picture_model):
    def make(**settings):
        return Node(
            address=Address("keyframe", "p/2026-03-02", "square"),
            kind="keyframe",
            version=1,
            params=STAGE.decide(cell(picture_model, {"keyframe": settings})).params,
            model="shipped-picture",
            pixels=PIXELS,
            notes={"model": "mini"},
        )

    return make


def test_the_models_own_settings_are_the_default(cell, picture_model):
    """Size by aspect, steps, guidance and tokens are the model's; the seed is the shot's."""
    decided = STAGE.decide(cell(picture_model, aspect="landscape"))
    assert decided.uses_model
    assert decided.params == {
        "prompt": "a red mug",
        "negative": "",
        "width": 96,
        "height": 64,
        "steps": 2,
        "guidance": 0.0,
        "seed": 77,
        "max_tokens": 128,
    }


def test_settings_go_over_the_models_own(cell, picture_model):
    """0 is a seed."""
    params = STAGE.decide(cell(picture_model, {"keyframe": {"steps": 8, "seed": 0}})).params
    assert (params["steps"], params["seed"]) == (8, 0)


def test_the_products_focus_goes_with_the_picture(cell, picture_model):
    """Deliveries crop around it."""
    product = Product(id="p", name="mug", focus=Focus(x=0.3, y=0.7))
    decided = STAGE.decide(cell(picture_model, product=product))
    assert decided.gives == {"image": Photo(64, 64, (0.3, 0.7))}


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"steps": 21}, r"keyframe\.steps: 21 is above the model's 20"),
        ({"guidance": 3.0}, r"keyframe\.guidance: 3\.0 is above the model's 0\.0"),
        ({"negative": "blurry"}, r"keyframe\.negative: has no effect without guidance"),
    ],
)
def test_what_the_model_cannot_do_is_a_plan_error(cell, picture_model, settings, says):
    """It is said before anything is spent, with the shot and the limit."""
    with pytest.raises(BadPlan, match=says) as error:
        STAGE.decide(cell(picture_model, {"keyframe": settings}))
    assert str(error.value).startswith("p/2026-03-02: ")


def test_a_negative_prompt_needs_guidance(cell, picture_model):
    """With a model that takes both, both are kept."""
    model = picture_model.model_copy(update={"max_guidance": 5.0})
    settings = {"keyframe": {"guidance": 3.0, "negative": "blurry"}}
    params = STAGE.decide(cell(model, settings)).params
    assert (params["guidance"], params["negative"]) == (3.0, "blurry")


def test_a_keyframe_needs_a_shape(cell, picture_model):
    """A pipeline that runs it once a shot has none to draw in."""
    with pytest.raises(BadPlan, match="write `per: aspect`"):
        STAGE.decide(cell(picture_model, aspect=""))


def test_a_profile_without_a_picture_model(cell):
    """The message says what is missing."""
    with pytest.raises(BadPlan, match="no picture model"):
        STAGE.decide(cell(None))


def test_a_node_becomes_a_png(node, studio, picture_model, tmp_path):
    """Size as planned, and the record's facts say on what it was drawn."""
    (made,) = STAGE.run([node()], studio({"mini": picture_model}), tmp_path)
    draft = made.drafts["image"]
    assert (draft.kind, draft.mime, draft.width, draft.height) == ("image", "image/png", 64, 64)
    with Image.open(draft.path) as image:
        assert (image.format, image.mode, image.size) == ("PNG", "RGB", (64, 64))
        assert image.info == {}
    assert made.facts["device"]
    assert made.facts["threads"] >= 1
    # Bytes, not KiB or pages: of this whole process, whatever other tests it ran before.
    assert 1e8 < made.facts["peak_bytes"] < usable_ram()
    assert made.seconds > made.facts["load_seconds"] >= 0


@pytest.mark.slow
def test_a_picture_takes_little_memory(mini_picture):
    """In a process of its own, which other tests' models have not made larger."""
    code = """
import sys
from pathlib import Path
from gpu.device import peak_bytes
from gpu.image import PictureRequest, draw
from gpu.weights import Weights, WeightsSpec
spec = WeightsSpec(Path(sys.argv[1]), "ZImagePipeline", "mini-picture", "bfloat16", "cpu")
draw(PictureRequest(spec, "red mug", 64, 64, steps=1, seed=7, max_tokens=128), Weights(4))
print(peak_bytes("cpu"))
"""
    said = subprocess.run(
        [sys.executable, "-c", code, mini_picture.folder],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert 1e8 < int(said.stdout) < 2.5e9


def test_the_same_node_gives_the_same_bytes(node, studio, picture_model, tmp_path):
    """The PNG holds pixels only: no time, no path."""
    drawn = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (made,) = STAGE.run([node()], studio({"mini": picture_model}), tmp_path / name)
        drawn.append(made.drafts["image"].path.read_bytes())
    assert drawn[0] == drawn[1]


def test_each_node_is_given_as_soon_as_it_is_done(node, studio, picture_model, tmp_path):
    """The first can be committed before the second is begun."""
    told = []
    studio = studio({"mini": picture_model}, on_progress=told.append)
    made = STAGE.run([node(), node(seed=5)], studio, tmp_path)
    first = next(made)
    assert [(step.done, step.total) for step in told] == [(0, 2), (1, 2), (2, 2)]
    assert all(step.node is first.node for step in told)
    assert next(made).drafts["image"].path != first.drafts["image"].path


def test_a_cancel_leaves_no_file(node, studio, picture_model, tmp_path):
    """It ends after the step that is running."""
    studio = studio({"mini": picture_model}, cancelled=lambda: True)
    with pytest.raises(Interrupted):
        next(STAGE.run([node()], studio, tmp_path))
    assert not list(tmp_path.glob("*.png"))
