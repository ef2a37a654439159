"""The benchmark of profiles, with small networks: all that runs on a card, but for its size."""

from __future__ import annotations

import subprocess
import sys

import pytest

from benchmarks import fit
from benchmarks.fit import Ran, children, figures, measure, profile_for, show
from configs.home import Home
from configs.library import Library


@pytest.mark.parametrize(
    ("cap", "profile"), [(12, "12gb"), (16, "12gb"), (24, "24gb"), (40, "40gb"), (80, "80gb")]
)
def test_a_cap_takes_the_profile_of_a_card_of_its_size(tmp_path, cap, profile):
    """16 GB cards run the profile of 12."""
    assert profile_for(cap, Library.open(Home(tmp_path))) == profile


@pytest.mark.slow
def test_a_picture_is_drawn_as_the_profile_says():
    """Twelve gigabytes: layer by layer, tiled; time of every step and the peak are told."""
    ran = measure(12, "z-image-turbo", steps=3, tiny=True)
    assert ran.error == ""
    assert (ran.profile, ran.fit) == ("12gb", "offload group, attention native, vae tiled")
    assert 0 < ran.step < ran.seconds
    assert ran.peak > 0.1
    assert "12 GB  12gb  z-image-turbo" in show(ran)


@pytest.mark.slow
@pytest.mark.parametrize("model", ["wan2.2-ti2v-5b", "wan2.2-i2v-a14b"])
def test_a_clip_is_made_of_every_architecture(model):
    """One transformer, or two experts of which each has its steps."""
    ran = measure(24, model, steps=3, tiny=True)
    assert ran.error == ""
    assert ran.fit.startswith("offload model")
    assert ran.shape == "64x64x5"


def test_what_does_not_run_is_a_row_too(monkeypatch):
    """A process that dies says so in its row, and the others go on."""
    monkeypatch.setattr(fit.sys, "executable", "/bin/false")
    (ran,) = children([12], ["z-image-turbo"], [])
    assert ran.error == "ended with 1: no word"
    assert "does not run: ended with 1" in show(ran)


def test_rows_become_figures():
    """Seconds a step and the peak, with what ran as a note."""
    step, peak = figures([Ran(12, "12gb", "m", "64x64", "offload group", step=0.5, peak=9.1)])
    assert (step.value, step.unit, peak.value, peak.unit) == (0.5, "s", 9.1, "GB")
    assert "offload group" in step.note


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
