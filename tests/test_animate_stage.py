"""The animate stage: what it decides at plan time, and the master clip it writes."""

from __future__ import annotations

import shutil
from dataclasses import replace

import pytest
from PIL import Image

from catalogs.node import Address, InputFile, Node
from configs.errors import BadFile, BadPlan, Interrupted
from tasks.animate import STAGE
from tasks.probe import probe
from tasks.quality import read_small
from tasks.stage import Photo

PIXELS = {"dtype": "float32", "quantisation": "none", "attention": "native", "device": "cpu"}
KEYFRAME = {"image": Photo(64, 64)}


@pytest.fixture
def home(studio, clip_model, tiny_clip):
    """A studio whose home has the tiny clip model and one photo."""
    made = studio({"tiny": clip_model})
    shutil.copytree(tiny_clip.folder, made.home.root / "models" / "tiny")
    (made.home.root / "brand").mkdir()
    Image.linear_gradient("L").save(made.home.root / "brand" / "mug.jpg")
    return made


@pytest.fixture
def node(cell, clip_model):
    def make(**settings):
        cell_ = cell(clip_model, {"animate": settings}, pictures={"image": Photo(256, 256)})
        return Node(
            address=Address("animate", "p/2026-03-02", "square"),
            kind="animate",
            version=1,
            params=STAGE.decide(cell_).params,
            inputs={"image": InputFile("0" * 64, "brand/mug.jpg")},
            model="tiny-in-home",
            pixels=PIXELS,
            notes={"model": "tiny"},
        )

    return make


def test_the_models_own_settings_are_the_default(cell, clip_model):
    """Length, rate, steps and guidance are the model's; size the keyframe's; seed the shot's."""
    decided = STAGE.decide(cell(clip_model, {"animate": {"motion": "pan-left"}}, pictures=KEYFRAME))
    assert decided.uses_model
    assert decided.params == {
        "prompt": "a red mug",
        "width": 64,
        "height": 64,
        "frames": 9,
        "fps": 16,
        "steps": 2,
        "guidance": 0.0,
        "seed": 77,
        "max_tokens": 64,
        "motion": "pan-left",
    }


@pytest.mark.parametrize(
    ("aspect", "photo", "size"),
    [
        ("portrait", (64, 96), (64, 96)),
        ("square", (4000, 3000), (80, 48)),
        ("portrait", (4000, 3000), (96, 64)),
    ],
)
def test_a_clip_follows_its_pictures_shape(cell, clip_model, aspect, photo, size):
    """A keyframe keeps its size; an own photo keeps its shape, at the model's area."""
    picture = Photo(*photo, focus=(0.2, 0.4))
    decided = STAGE.decide(cell(clip_model, aspect=aspect, pictures={"image": picture}))
    assert (decided.params["width"], decided.params["height"]) == size
    assert decided.gives == {"clip": Photo(*size, focus=(0.2, 0.4), fps=16, frames=9)}


@pytest.mark.parametrize(("seconds", "frames"), [(0.1, 5), (1, 17), (1.1, 17), (1.2, 21), (2, 33)])
def test_seconds_become_4k_plus_1_frames(cell, clip_model, seconds, frames):
    """The nearest length that the video autoencoder can pack."""
    settings = {"animate": {"seconds": seconds}}
    assert STAGE.decide(cell(clip_model, settings, pictures=KEYFRAME)).params["frames"] == frames


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"seconds": 3}, r"animate\.seconds: 3\.0 is above the model's 2\.1"),
        ({"steps": 1}, r"animate\.steps: 1 is below the model's 2; write 2 to 20"),
        ({"steps": 50}, r"animate\.steps: 50 is above the model's 20"),
        ({"guidance": 5.0}, r"animate\.guidance: 5\.0 is above the model's 0\.0"),
    ],
)
def test_what_the_model_cannot_do_is_a_plan_error(cell, clip_model, settings, says):
    """It is said before anything is spent."""
    with pytest.raises(BadPlan, match=says):
        STAGE.decide(cell(clip_model, {"animate": settings}, pictures=KEYFRAME))


def test_a_strip_is_not_animated(cell, clip_model):
    """A panorama longer than 4:1 would be a few dozen pixels high."""
    with pytest.raises(BadPlan, match="the picture is 9000x1000; shapes up to 4:1"):
        STAGE.decide(cell(clip_model, pictures={"image": Photo(9000, 1000)}))


def test_a_node_becomes_a_master_clip(node, home, tmp_path):
    """H.264 in 4:2:0 with all three BT.709 tags, index in front, and the frames planned."""
    (made,) = STAGE.run([node()], home, tmp_path)
    draft = made.drafts["clip"]
    facts = probe(draft.path)
    assert (facts.width, facts.height, facts.frames, facts.fps) == (64, 64, 9, 16)
    assert (draft.width, draft.height, draft.frames, draft.fps) == (64, 64, 9, 16)
    assert (facts.pixel_format, facts.colour, facts.full_range) == ("yuv420p", (1, 1, 1), False)
    assert facts.index_first
    assert (draft.kind, draft.mime, draft.seconds) == ("clip", "video/mp4", 9 / 16)
    assert len(read_small(draft)) == 9


def test_the_same_node_gives_the_same_bytes(node, home, tmp_path):
    """Frames, encoder and container are all deterministic."""
    made = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (clip,) = STAGE.run([node()], home, tmp_path / name)
        made.append(clip.drafts["clip"].path.read_bytes())
    assert made[0] == made[1]


def test_a_missing_model_is_named(node, studio, clip_model, tmp_path):
    """The message says which folder is not there."""
    studio = studio({"tiny": clip_model})
    (studio.home.root / "brand").mkdir(parents=True)
    Image.new("RGB", (9, 9)).save(studio.home.root / "brand" / "mug.jpg")
    with pytest.raises(BadFile, match=r"models/tiny/model_index\.json: is missing"):
        next(STAGE.run([replace(node(), model="not there")], studio, tmp_path))


def test_a_cancel_leaves_no_file(node, home, tmp_path):
    """It ends after the step that is running."""
    with pytest.raises(Interrupted):
        next(STAGE.run([node()], replace(home, cancelled=lambda: True), tmp_path))
    assert not list(tmp_path.glob("*.mp4"))
