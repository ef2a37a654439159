"""Clips from words alone: a profile's `text_clip` makes them, and no keyframe is drawn."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from PIL import Image

from catalogs.catalog import Catalog
from catalogs.node import NodeOutput
from catalogs.store import Store
from configs.errors import BadInput, BadPlan, Interrupted
from flows.batch import Batch
from flows.batch import brief as batch_brief
from flows.clips import brief
from flows.forms import ImageToVideo, TextToVideo
from flows.plan import prepare
from flows.rerun import rerun
from gpu.video import ClipRequest, animate
from gpu.watch import Watch
from gpu.weights import Weights, WeightsSpec
from tasks.probe import probe
from tests.campaigns import STILLS, home_with, run_plainly

WEIGHTS = Path(__file__).parents[1] / "gpu" / "mini" / "weights" / "video"
MODELS = {
    "words": {
        "makes": "text-clip", "pipeline": "WanPipeline", "folder": "words", "dialect": "wan",
        "sizes": {"portrait": [160, 288], "square": [160, 160], "landscape": [288, 160]},
        "steps": 2, "min_steps": 2, "max_steps": 20, "max_tokens": 400,
        "frames": 9, "max_frames": 33, "fps": 16,
    }
}  # fmt: skip
MINI = {"device": "cpu", "picture": "mini-picture", "clip": "mini-clip", "budget_gb": 2}
TEXT_CLIP = {
    **STILLS, "name": "words", "pipeline": "text-clip", "deliveries": ["douyin"], "settings": {},
}  # fmt: skip
PROMPT = "a red mug on a white table"


def save_words(folder: Path) -> None:
    """Save the shipped clip model as the class that takes no picture: what it makes is a blur."""
    shutil.copytree(WEIGHTS, folder)
    index = json.loads((folder / "model_index.json").read_text("utf-8"))
    for part in ("image_encoder", "image_processor"):
        del index[part]
    index["_class_name"] = "WanPipeline"
    (folder / "model_index.json").write_text(json.dumps(index), "utf-8")


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A home whose profile makes clips from words alone."""
    made = home_with(tmp_path_factory.mktemp("words") / "home", TEXT_CLIP)
    save_words(made.root / "models" / "words")
    (made.root / "models.yaml").write_text(yaml.safe_dump(MODELS), "utf-8")
    rows = {"mini": {**MINI, "text_clip": "words"}}
    (made.root / "profiles.yaml").write_text(yaml.safe_dump(rows), "utf-8")
    return made


def planned(home, **asked):
    """Return the plan of a filled-in form."""
    form = TextToVideo(**{"prompt": PROMPT, "seed": 4, **asked})
    return prepare(home, brief("text-to-video", form, home)).plan


def kinds(plan):
    """Return a plan's nodes by their kind."""
    return {node.kind: node for node in plan.nodes.values()}


def test_a_form_asks_the_text_model_for_the_clip(home):
    """One node from the words, with all that decides it; the logo looks at its first frame."""
    nodes = kinds(planned(home, look="demo"))
    clip = nodes["animate"]
    assert "keyframe" not in nodes
    assert (clip.notes["model"], clip.inputs) == ("words", {})
    asked = {
        "prompt": PROMPT,
        "motion": "auto",
        "width": 160,
        "height": 288,
        "frames": 9,
        "steps": 2,
        "seed": 4,
    }
    assert asked.items() <= clip.params.items()
    assert nodes["watermark"].inputs["image"] == NodeOutput(clip.key, "still")
    assert set(nodes["sign"].inputs) == {"delivery", "cover", "clip"}


def test_forms_of_words_offer_the_text_model(home, monkeypatch):
    """Beside those that start from a picture, which is all that a picture's own form offers."""
    monkeypatch.setenv("KEYREEL_HOME", str(home.root))
    offered = [
        form.model_json_schema()["properties"]["model"]["enum"]
        for form in (TextToVideo, Batch, ImageToVideo)
    ]
    assert offered == [["auto", "mini-clip", "words"]] * 2 + [["auto", "mini-clip"]]


@pytest.mark.parametrize(
    "changed",
    [{"prompt": "a mug"}, {"seed": 5}, {"steps": 3}, {"seconds": 1}, {"shape": "1:1"}],
    ids=str,
)
def test_what_decides_the_clip_is_in_its_key(home, changed):
    """Prompt, seed, steps, frames and size; the same form has the same key."""
    first = kinds(planned(home))["animate"].key
    assert kinds(planned(home))["animate"].key == first
    assert kinds(planned(home, **changed))["animate"].key != first


def test_movement_and_camera_follow_the_words(home):
    """A prompt is taken as it stands; what moves comes after it."""
    said = kinds(planned(home, movement="it spins", motion="pan-left"))["animate"].params["prompt"]
    assert said.startswith(f"{PROMPT}. ")
    assert said.endswith("; it spins.")


@pytest.mark.parametrize("asked", [{"picture_model": "mini-picture"}, {"model": "mini-clip"}])
def test_a_picture_is_drawn_first_where_that_is_asked_for(home, asked):
    """By naming a picture model, or a clip model that starts from one."""
    nodes = kinds(planned(home, **asked))
    assert nodes["keyframe"].notes["model"] == "mini-picture"
    assert nodes["animate"].notes["model"] == "mini-clip"


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"picture_model": "mini-picture", "model": "words"}, "Picture model: words makes clips"),
        ({"steps": 21}, "Steps of the clip: 21 is more than words takes; write 2 to 20"),
        ({"seconds": 3}, "Length in seconds: 3 is longer than words can make"),
        ({"resolution": "480p"}, "Resolution: words draws at 288x160, not 480p"),
    ],
)
def test_a_wish_beyond_the_text_model_is_refused(home, asked, said):
    """By what models.yaml says of it, in the form's words."""
    with pytest.raises(BadInput, match=said):
        planned(home, **asked)


def test_a_machine_without_a_text_model_says_that_it_draws_first(tmp_path):
    """The plan's shot tells it, and the keys are those of other campaigns."""
    home = home_with(tmp_path / "home", TEXT_CLIP)
    plan = prepare(home, "words").plan
    assert plan.prompts["rouge-01/2026-03-02"].notes[0] == (
        "a picture is drawn first: mini-clip makes clips of pictures"
    )
    (home.campaigns / "words.yaml").write_text(
        yaml.safe_dump({**TEXT_CLIP, "pipeline": "social-clip"}), "utf-8"
    )
    assert set(prepare(home, "words").plan.nodes) == set(plan.nodes)


def test_a_table_mixes_words_and_pictures(home):
    """A row of words goes to the text model, a row with a picture to the other."""
    folder = home.root / "batches"
    folder.mkdir(exist_ok=True)
    text = "prompt,picture,steps\na red mug,,3\n,brand/photo.png,4\n"
    (folder / "mixed.csv").write_text(text, "utf-8")
    plan = prepare(home, batch_brief(Batch(table="batches/mixed.csv", seed=1), home)).plan
    clips = [node for node in plan.nodes.values() if node.kind == "animate"]
    made = {node.notes["model"]: (node.params["steps"], set(node.inputs)) for node in clips}
    assert made == {"words": (3, set()), "mini-clip": (4, {"image"})}


def test_a_campaign_tells_the_text_model_everything(home):
    """The template's scene, then the camera; an own photo is animated as ever."""
    plan = prepare(home, "words").plan
    told = plan.prompts["rouge-01/2026-03-02"]
    assert set(told.texts) == {"footage"}
    assert told.texts["footage"].startswith(told.scene)
    assert "the footage is steady and smooth" in told.texts["footage"]
    clips = [node for node in plan.nodes.values() if node.kind == "animate"]
    assert {node.notes["model"] for node in clips} == {"words", "mini-clip"}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"approve": "keyframes"}, r"words\.yaml:\d+: approve: rouge-01/2026-03-02 has no keyf"),
        ({"settings": {"animate.model": "words"}}, r"\d+: mug-01.*it makes clips from words alone"),
        (
            {"settings": {"animate.model": "words"}, "pipeline": "social-clip"},
            r"words\.yaml:\d+:\d+: .*'words' makes clips from words alone; those that start",
        ),
    ],
)
def test_what_words_alone_cannot_be_is_told_at_its_line(home, change, said):
    """No keyframe waits for approval; a photo is no words; other pipelines take pictures."""
    campaign = {**TEXT_CLIP, "name": "wrong", **change}
    (home.campaigns / "words.yaml").write_text(yaml.safe_dump(campaign), "utf-8")
    try:
        with pytest.raises((BadPlan, BadInput), match=said):
            prepare(home, "words")
    finally:
        (home.campaigns / "words.yaml").write_text(yaml.safe_dump(TEXT_CLIP), "utf-8")


def test_the_text_model_runs_as_clips_do(tmp_path):
    """Previews while it denoises, the same bytes twice, a stop between steps, and no picture."""
    save_words(tmp_path / "words")
    spec = WeightsSpec(tmp_path / "words", "WanPipeline", "words", "float32", "cpu")
    asked = ClipRequest(spec, None, PROMPT, 96, 64, frames=5, steps=2, seed=7, max_tokens=64)
    weights, seen = Weights(1), []
    first = animate(asked, weights, Watch(on_preview=seen.append))
    assert (first.shape, len(seen)) == ((5, 64, 96, 3), 2)
    assert (animate(asked, weights) == first).all()
    steps = []
    stop = Watch(on_step=lambda *step: steps.append(step), cancelled=lambda: (1, 2) in steps)
    with pytest.raises(Interrupted):
        animate(asked, weights, stop)
    assert steps[-1] == (1, 2)
    with pytest.raises(BadInput, match="image: the model makes clips from words alone, no pic"):
        animate(replace(asked, image=Image.new("RGB", (9, 9))), weights)


@pytest.mark.slow
@pytest.mark.timeout(200)
def test_words_become_a_delivery(home):
    """Made, signed, in the catalog with its prompt; made again, the clip is the same bytes."""
    form = TextToVideo(prompt=PROMPT, seed=4, look="demo")
    asked = brief("text-to-video", form, home)
    run = run_plainly(home, asked)
    assert {entry.state for entry in run.entries} == {"made"}
    store = Store(home.store)
    keys = {entry.place.stage: entry.key for entry in run.entries}
    file = probe(store.output(keys["sign"], "delivery"))
    assert (file.width, file.height, file.frames) == (160, 284, 9)
    with Image.open(store.output(keys["sign"], "cover")) as cover:
        assert cover.size == (160, 284)
    _, rows = Catalog(home.catalog, store).query(
        "SELECT DISTINCT port, model, prompt FROM v_assets WHERE stage = 'animate' ORDER BY port"
    )
    assert [tuple(row) for row in rows] == [
        ("clip", "words", PROMPT), ("still", "words", PROMPT)
    ]  # fmt: skip
    assert [one.port for one in rerun(home, keys["animate"]) if one.same] == ["clip", "still"]
    page = (home.runs / run.id / "index.html").read_text("utf-8")
    assert "no picture is drawn" in page
