"""Training of the mark: attacks as they really are, and steps that teach."""

from __future__ import annotations

import io
import random

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from gpu.mark import network, pictures
from gpu.mark.attacks import attack, jpeg
from gpu.mark.train import Pair, train
from gpu.mini.train.run import Part

pytestmark = pytest.mark.slow


def graphics(count: int = 4, side: int = 64) -> torch.Tensor:
    torch.manual_seed(3)
    return pictures.graphics(count, side, "cpu")


def test_our_jpeg_is_pillows():
    """At quality 75 both come within two thirds of a level of each other, on average."""
    levels = graphics(1, 128)
    file = io.BytesIO()
    picture = Image.fromarray(levels[0].byte().permute(1, 2, 0).numpy())
    picture.save(file, "jpeg", quality=75)
    theirs = np.asarray(Image.open(file)).astype(float)
    ours = jpeg(levels, torch.tensor([75.0]))[0].permute(1, 2, 0).numpy()
    plain = abs(theirs - np.asarray(picture)).mean()
    assert abs(theirs - ours).mean() < max(0.66, plain / 2)


def test_attacks_let_the_gradient_through():
    """Whatever is drawn, pictures stay whole levels, and what was cut off is told."""
    random.seed(1)
    for _ in range(6):
        levels = graphics().requires_grad_()
        attacked, cuts = attack(levels, 1.0)
        assert 0 <= attacked.min() <= attacked.max() <= 255
        assert (attacked - attacked.round()).abs().max() == 0
        assert 0 <= cuts.min() <= cuts.max() <= 0.11
        attacked.sum().backward()
        assert levels.grad is not None
        assert levels.grad.abs().sum() > 0


def test_a_cell_is_found_where_a_crop_moved_it():
    """Half a side cut off in front: half of the cells are gone, the rest has twice the room."""
    weights = network.reach(torch.tensor(0.5), torch.tensor(0.0), 4, 40)
    assert weights[:2].sum() == 0
    assert weights[2].argmax() in (9, 10)
    assert weights[3].argmax() in (29, 30)


def test_the_mark_is_even_and_fine():
    """On a flat ground every cell has the same energy, and blotches are missing."""
    torch.manual_seed(1)
    encoder = network.Encoder()
    signs = torch.ones(1, 1, 4, 4)
    mark = encoder(torch.full((1, 3, 80, 80), 128.0), signs).detach()
    energy = torch.nn.functional.avg_pool2d(mark.square().mean(1, True), 20).sqrt()
    assert energy.max() / energy.min() < 1.5
    assert torch.nn.functional.avg_pool2d(mark, 20).abs().max() < 0.1 * energy.mean()


def test_a_short_training_leaves_weights(tmp_path):
    """Steps are taken, the loss is told, both networks are saved, and no state is left."""
    part = Part(tmp_path, 1.5, 6)
    train(part, graphics(8).byte(), size=4, side=60)
    weights = load_file(tmp_path / "mark.safetensors")
    assert {name.split(".")[0] for name in weights} == {"encoder", "decoder"}
    assert all(value.isfinite().all() for value in weights.values())
    assert "step 0" in (tmp_path / "log.txt").read_text("utf-8")
    assert not (tmp_path / "state.pt").exists()


def test_a_stopped_training_goes_on(tmp_path):
    """What was learned and the optimizer's memory come back."""
    first = Pair(Part(tmp_path / "a", 9, 6), 60)
    first.step(graphics(), 1.0, 5.0, 0.0)
    torch.save({**first.state(), "done": 0.9, "step": 41}, tmp_path / "state.pt")
    second = Pair(Part(tmp_path / "b", 9, 7), 60)
    second.resume(torch.load(tmp_path / "state.pt", weights_only=True))
    for one, other in zip(first.opt.all, second.opt.all, strict=True):
        assert torch.equal(one, other)
    assert second.opt.count == 1
    train(Part(tmp_path, 0.5, 6), graphics(8).byte(), size=4, side=60)
    assert "goes on from 90%" in (tmp_path / "log.txt").read_text("utf-8")
