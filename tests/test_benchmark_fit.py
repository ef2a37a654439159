"""The benchmark of profiles, with small networks: all that runs on a card, but for its size."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
import torch

from benchmarks import fit
from benchmarks.figures import Figure, write
from benchmarks.fit import Case, Ran, figures, join, measure, profile_for, rows, show
from configs.home import Home
from configs.library import Library


@pytest.fixture
def library(tmp_path):
    return Library.open(Home(tmp_path))


def tiny(model, library):
    return Case.of(model, library, steps=2, tiny=True)


@pytest.mark.parametrize(
    ("cap", "profile"), [(12, "12gb"), (16, "12gb"), (24, "24gb"), (40, "40gb"), (80, "80gb")]
)
def test_a_cap_takes_the_profile_of_a_card_of_its_size(library, cap, profile):
    """16 GB cards run the profile of 12."""
    assert profile_for(cap, library) == profile


@pytest.mark.slow
def test_a_picture_is_drawn_as_the_profile_says(library):
    """Twelve gigabytes: layer by layer, tiled; time of every step and the peak are told."""
    ran = measure([12], tiny("z-image-turbo", library), library)
    assert ran.error == ""
    assert (ran.profile, ran.fit) == ("12gb", "offload group, attention native, vae tiled")
    assert 0 < ran.step < ran.seconds
    assert ran.peak > 0.1
    assert show(ran).startswith("12 GB          12gb  z-image-turbo")


@pytest.mark.slow
@pytest.mark.parametrize(
    "model",
    [
        "wan2.1-t2v-1.3b-comfyui",
        "wan2.2-ti2v-5b",
        "wan2.2-i2v-a14b",
        "wan2.2-i2v-a14b-comfyui",
        "turbowan2.1-t2v-1.3b",
        "turbowan2.2-i2v-a14b-quant",
    ],
)
def test_a_clip_is_made_of_every_architecture(model, library):
    """From words or a picture; one transformer, or two experts, also with fp8 weights."""
    ran = measure([24], tiny(model, library), library)
    assert ran.error == ""
    assert ran.fit.startswith("offload model" if "2.2" in model else "offload none")
    assert ran.shape == "64x64x5"


def test_caps_that_fit_a_model_alike_are_run_once(library, monkeypatch):
    """12 and 16 GB take one profile; 24 and 40 keep the picture model whole."""
    monkeypatch.setattr(fit, "measure", lambda caps, *_: Ran(tuple(caps), "", "", "", ""))
    case = tiny("z-image-turbo", library)
    assert [ran.caps for ran in rows([12, 16, 24, 40], case, library)] == [(12, 16), (24, 40)]


def test_where_memory_ran_out_the_next_cap_is_tried(library, monkeypatch):
    """It may do better."""
    monkeypatch.setattr(
        fit,
        "measure",
        lambda caps, *_: Ran(tuple(caps), "", "", "", "a -> b" if caps[0] == 12 else "b"),
    )
    case = tiny("z-image-turbo", library)
    assert [ran.caps for ran in rows([12, 16], case, library)] == [(12,), (16,)]


def test_what_does_not_run_is_a_row_too(library, monkeypatch):
    """It says why, and the others go on."""

    def broken(*_):
        raise torch.OutOfMemoryError("CUDA out of memory\nand much more")

    monkeypatch.setattr(fit, "_work", broken)
    ran = measure([12], tiny("z-image-turbo", library), library)
    assert ran.error == "CUDA out of memory"
    assert "does not run: CUDA out of memory" in show(ran)


def test_rows_become_figures():
    """Seconds a step, of all, and the peak, with what ran as a note."""
    ran = Ran((12, 16), "12gb", "m", "64x64", "offload group", step=0.5, seconds=2, peak=9.1)
    step, told, peak = figures(ran)
    assert step.metric == "m 64x64 under 12, 16 GB: a step"
    assert [(one.value, one.unit) for one in (step, told, peak)] == [
        (0.5, "s"),
        (2, "s"),
        (9.1, "GB"),
    ]
    assert "offload group" in step.note


def test_runs_of_several_models_are_joined(tmp_path, monkeypatch):
    """Row after row, the last of one name, of one kind of card and libraries; others not."""
    monkeypatch.setattr(fit, "RESULTS", tmp_path)
    monkeypatch.setattr("benchmarks.figures.RESULTS", tmp_path)
    parts = [write("fit", [Figure(name, 1.0, "s")], device="H100").rename(tmp_path / name)
             for name in "ab"]  # fmt: skip
    again = write("fit", [Figure("a", 2.0, "s")], device="H100").rename(tmp_path / "again")
    beside = json.loads(again.read_text("utf-8")) | {"machine": {"cores": 999}}
    again.write_text(json.dumps(beside), "utf-8")
    join([*parts, again])
    told = json.loads((tmp_path / "fit.json").read_text("utf-8"))
    assert [(one["metric"], one["value"]) for one in told["figures"]] == [("a", 2.0), ("b", 1.0)]
    assert [one["note"] for one in told["figures"]] == ["beside 999 cores", ""]
    assert told["device"] == "H100"
    other = write("fit", [], device="A100").rename(tmp_path / "c")
    with pytest.raises(ValueError, match=r"c: ran on .*A100.* on .*H100"):
        join([*parts, other])


def test_eight_bits_are_known_by_the_file(library):
    """ComfyUI's where the row says so, TurboDiffusion's always."""
    names = ("wan2.2-i2v-a14b-comfyui", "turbowan2.1-t2v-14b-quant", "turbowan2.1-t2v-14b")
    specs = [tiny(name, library).spec(80, "cpu", library.profiles["80gb"]) for name in names]
    assert [spec.files.keep_packed for spec in specs] == [True, True, False]
    assert [bool(spec.files.turbo) for spec in specs] == [False, True, True]


@pytest.mark.slow
def test_without_a_card_it_says_what_can_be_done():
    """It does not begin to make 20 GB of weights."""
    if fit.detect().kind == "cuda":
        pytest.skip("this machine has a card")
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.fit"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "--tiny runs the same code on a processor" in done.stderr
