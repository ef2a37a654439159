"""Forms and tables of clips become campaigns; what is wrong with them is said in their words."""

from __future__ import annotations

import json
from zipfile import ZipFile

import pytest

from catalogs.store import Store
from configs.errors import BadField, BadInput
from configs.library import Library
from flows.batch import Batch, zipped
from flows.batch import brief as batch_brief
from flows.clips import brief
from flows.forms import ImageToVideo, TextToVideo
from flows.plan import prepare
from tests.campaigns import home_with, run_plainly


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A home with a photo, a logo and two campaigns."""
    return home_with(tmp_path_factory.mktemp("forms") / "home")


def planned(home, form, kind="text-to-video"):
    """Return what the form's campaign would make."""
    return prepare(home, brief(kind, form, home)).plan


def params(plan, stage):
    """Return the settings of a plan's one node of a stage."""
    (node,) = [node for node in plan.nodes.values() if node.kind == stage]
    return node.params


@pytest.mark.parametrize("words", ["一支口红 {{ day }}", 'a "red" lipstick % {# on marble'])
def test_a_prompt_is_taken_as_it_stands(home, words):
    """No template has a part in it: braces, quotes and hanzi reach the model."""
    plan = planned(home, TextToVideo(prompt=words, seed=0, motion="push-in"))
    assert params(plan, "keyframe")["prompt"] == words
    assert params(plan, "keyframe")["seed"] == params(plan, "animate")["seed"] == 0


def test_the_same_form_is_the_same_work(home):
    """Equal forms give equal keys and one campaign; another seed gives others."""
    form = ImageToVideo(picture="brand/photo.png", seed=4)
    first, again = planned(home, form), planned(home, form)
    other = planned(home, form.model_copy(update={"seed": 5}))
    assert set(first.nodes) == set(again.nodes)
    assert first.campaign.name == again.campaign.name != other.campaign.name
    assert params(first, "animate") != params(other, "animate")


@pytest.mark.parametrize(
    ("shape", "size"),
    [("9:16", (288, 512)), ("3:4", (288, 384)), ("1:1", (384, 384)), ("16:9", (512, 288))],
)
def test_a_clip_has_the_shape_asked_for(home, shape, size):
    """As large as the small model draws."""
    asked = brief("text-to-video", TextToVideo(prompt="x", seed=1, shape=shape), home)
    (delivery,) = asked.deliveries.values()
    assert (delivery.width, delivery.height) == size


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"steps": 21}, "Steps of the clip: 21 is more than mini-clip takes; write 2 to 20"),
        ({"steps": 1}, "Steps of the clip: 1 is less than mini-clip takes; write 2 to 20"),
        ({"seconds": 9}, "Length in seconds: 9 is longer than mini-clip can make"),
        ({"resolution": "720p"}, "Resolution: mini-clip draws at 512x288, not 720p"),
        ({"model": "mini-clips"}, "Clip model: "),
        ({"resolution": "480p", "model": "wan2.2-ti2v-5b"}, "draws at 720p, not 480p"),
    ],
)
def test_a_wish_beyond_the_model_is_refused_in_the_forms_words(home, asked, said):
    """With the field's title, the limit, and what to write."""
    with pytest.raises(BadInput) as refused:
        brief("text-to-video", TextToVideo(prompt="x", seed=1, **asked), home)
    assert said in str(refused.value)


def test_what_every_model_can_do_is_read_from_models_yaml(home):
    """Each clip model takes its own steps, length and resolution, by every shape."""
    library = Library.open(home)
    for name in library.making("clip"):
        model = library.models[name]
        form = TextToVideo(
            prompt="x", model=name, steps=model.max_steps, seconds=model.frames / model.fps
        )
        form.check(library, name)
        with pytest.raises(BadInput):
            form.model_copy(update={"steps": model.max_steps + 1}).check(library, name)


def test_a_brand_lends_its_logo(home):
    """`Brand of` takes a campaign's brand; an unknown one is refused by name."""
    plan = planned(home, TextToVideo(prompt="x", seed=1, look="demo"))
    assert plan.campaign.brand.logo == "brand/lumiere.png"
    with pytest.raises(BadInput, match="demmo"):
        planned(home, TextToVideo(prompt="x", seed=1, look="demmo"))


def table(home, name, text):
    """Write a table into the home and return the campaign it asks for."""
    folder = home.root / "batches"
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(text, "utf-8")
    return batch_brief(Batch(table=f"batches/{name}", seed=3), home)


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_a_table_is_one_campaign_with_a_shot_a_row(home, kind):
    """Prompts, pictures and a row's own settings, from CSV and JSONL alike."""
    rows = [
        {"prompt": "一只红色的马克杯，白色背景", "steps": 2},
        {"name": "mug", "picture": "brand/photo.png", "motion": "pan-left", "seed": 0},
    ]
    if kind == "csv":
        text = '\ufeffname,prompt,picture,motion,steps,seed\n,"一只红色的马克杯，白色背景",,,2,\n'
        text += "mug,,brand/photo.png,pan-left,,0\n"
    else:
        text = "".join(json.dumps(row) + "\n" for row in rows)
    plan = prepare(home, table(home, f"two.{kind}", text)).plan
    made = {shot.product.id: shot for shot in plan.shots}
    clips = {
        node.address.shot.split("/")[0]: node.params
        for node in plan.nodes.values()
        if node.kind == "animate"
    }
    first = "row-2" if kind == "csv" else "row-1"
    assert set(made) == {first, "mug"}
    assert clips[first]["steps"] == 2
    assert clips["mug"]["motion"] == "pan-left"
    assert clips["mug"]["seed"] == 0


def test_every_wrong_row_is_told_at_its_line(home):
    """All at once, with file and line."""
    text = "prompt,picture,steps\na mug,,2\n,,2\na mug,,many\na mug,,99\n"
    with pytest.raises(BadField) as refused:
        table(home, "wrong.csv", text)
    said = str(refused.value).splitlines()
    assert [one.partition("wrong.csv:")[2].partition(":")[0] for one in said] == ["3", "4", "5"]
    assert "neither a prompt nor a picture" in said[0]
    assert "steps" in said[1]
    assert "Steps of the clip: 99" in said[2]


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("a.csv", "prompt,size\nx,9\n", "size"),
        ("b.csv", "prompt\nx,y\n", "more cells"),
        ("c.jsonl", "[1]\n", "is no object"),
        ("d.jsonl", '{"prompt": "x"', "is not JSON"),
        ("e.csv", "prompt\n", "has no rows"),
        ("f.txt", "x", "save it as .csv or .jsonl"),
        ("g.csv", "name,prompt\na,x\na,y\n", "stands on line 2 already"),
        ("h.csv", "picture\n../../etc/passwd\n", "h.csv:2"),
        ("i.csv", "picture\nbrand/none.png\n", "i.csv:2"),
    ],
)
def test_a_table_that_cannot_be_read_is_one_sentence(home, name, text, said):
    """What is wrong, and where; a picture outside the home is refused at its row."""
    with pytest.raises(BadInput) as refused:
        prepare(home, table(home, name, text))
    assert said in str(refused.value)
    assert name in str(refused.value)


def test_a_table_in_another_encoding_says_how_to_save_it(home):
    """Spreadsheets in China save GBK."""
    folder = home.root / "batches"
    folder.mkdir(exist_ok=True)
    (folder / "gbk.csv").write_bytes("prompt\n口红\n".encode("gbk"))
    with pytest.raises(BadField, match=r"gbk\.csv:2: is not UTF-8"):
        batch_brief(Batch(table="batches/gbk.csv", seed=1), home)


@pytest.mark.long
@pytest.mark.timeout(200)
def test_a_table_becomes_one_zip(tmp_path):
    """Two rows of equal work are drawn once and packed under both names."""
    home = home_with(tmp_path / "home")
    text = "name,picture,motion,steps,seed\nleft,brand/photo.png,pan-left,2,5\n"
    asked = table(home, "two.csv", text + "again,brand/photo.png,pan-left,2,5\n")
    run = run_plainly(home, asked)
    assert sum(e.place.stage == "animate" and e.state == "made" for e in run.entries) == 2
    packed = zipped(home, prepare(home, asked), run.id)
    ((path, _),) = packed.zips.items()
    assert path.name.startswith("batch-")
    with ZipFile(path) as archive:
        clips = [name for name in archive.namelist() if name.endswith(".mp4")]
        assert len(clips) == 2
        assert {"manifest.csv", "publish.ics"} <= set(archive.namelist())
    held = [Store(home.store).record(key) for key in Store(home.store).held()]
    assert sum(record.recipe["stage"] == "animate" for record in held) == 1
