"""Photos that move as two layers: frame 0 is the photo, later frames move as the camera says."""

import random

import numpy as np
import pytest
import torch
from torch import Tensor

from gpu.mini import frames
from gpu.mini.camera import draw_motion
from gpu.mini.captions import vary_motion
from gpu.mini.render.renderer import render
from gpu.mini.scenes import draw_scene
from gpu.mini.train import video_data
from gpu.mini.train.data import Drawn
from gpu.mini.train.layers import filled, layered
from gpu.mini.train.sheets import psnr
from gpu.mini.vocabulary import vocabulary

SIZE = (64, 64)
WORDS = {"product": "lotion", "surface": "wood", "camera": "front", "props": ""}


@pytest.fixture(scope="module")
def scene() -> tuple[object, Tensor]:
    """A scene and its still picture [4, H, W]: colours in -1..1, mask in 0..1."""
    drawn = draw_scene(random.Random(3), "square", WORDS)
    codes = torch.from_numpy(render(frames.picture(drawn)[None], *SIZE)[0]).float()
    return drawn, torch.cat([codes[:3] / 127.5 - 1, codes[3:] / 255])


def _moved(scene: tuple[object, Tensor], motion: str) -> Tensor:
    random.seed(1)
    drawn, still = scene
    vectors = frames.clip(drawn, motion, 5)
    return layered(still, vectors, still, vectors[0])


@pytest.mark.parametrize("motion", vocabulary().ids("motion"))
def test_first_frame_is_the_photo(scene: tuple[object, Tensor], motion: str) -> None:
    """Whatever the motion; only a static clip ends as it began."""
    clip = _moved(scene, motion)
    assert clip.shape == (4, 5, 64, 64)
    assert psnr(clip[:3, 0], scene[1][:3]) > 24
    assert (psnr(clip[:3, 0], clip[:3, 4]) > 60) == (motion == "static")


def test_layers_have_depth(scene: tuple[object, Tensor]) -> None:
    """Pushed in, the product grows; orbits slide the ground, a turntable leaves it alone."""
    first, last = _moved(scene, "push-in")[3, [0, 4]].mean((1, 2))
    assert last > 1.4 * first
    first, last = _moved(scene, "pull-out")[3, [0, 4]].mean((1, 2))
    assert last < 0.7 * first
    top = {m: _moved(scene, m)[:3, :, :, :12] for m in ("orbit-left", "turntable")}
    assert psnr(top["turntable"][:, 0], top["turntable"][:, 4]) > 60
    assert psnr(top["orbit-left"][:, 0], top["orbit-left"][:, 4]) < 35


def test_layers_turn_as_renders_do() -> None:
    """A can's print goes to the side that it goes to when rendered, not to the other one."""
    drawn = draw_scene(random.Random(5), "square", WORDS | {"product": "can"})
    true = {m: frames.clip(drawn, m, 3) for m in ("orbit-left", "orbit-right")}
    codes = {m: torch.from_numpy(render(v, *SIZE)).float() for m, v in true.items()}
    made = {}
    for motion, vectors in true.items():
        still = torch.cat([codes[motion][0, :3] / 127.5 - 1, codes[motion][0, 3:] / 255])
        random.seed(0)
        made[motion] = layered(still, vectors, still, vectors[0])[:3, 2]
    for motion, other in (("orbit-left", "orbit-right"), ("orbit-right", "orbit-left")):
        end = codes[motion][2, :3] / 127.5 - 1
        assert psnr(made[motion], end) > psnr(made[other], end) + 0.3


def test_holes_are_filled_from_around() -> None:
    """A black square on a smooth ramp is gone; what is round it is untouched."""
    ramp = torch.linspace(-1, 1, 64).expand(3, 64, 64).clone()
    hole = torch.zeros(1, 64, 64)
    hole[:, 24:40, 24:40] = 1
    spoilt = torch.where(hole > 0, torch.tensor(-1.0), ramp)
    out = filled(spoilt, hole)
    assert psnr(out, ramp) > 25
    assert torch.equal(out[:, :16], ramp[:, :16])


def _drawn(count: int) -> Drawn:
    rng, motion = random.Random(0), "orbit-left"
    scenes = [draw_scene(rng, "square", WORDS) for _ in range(count)]
    vectors = np.stack([frames.clip(s, motion, video_data.FRAMES) for s in scenes])
    words = [s.words | {"motion": motion} for s in scenes]
    return Drawn("square", vectors, words, [[""] * 3 for _ in scenes])


def test_one_clip_in_a_group_is_a_photo(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not in the first group, which stays clean; a photo costs two rendered frames, not 33."""
    asked = []

    def blank(vectors: np.ndarray, size: tuple[int, int]) -> Tensor:
        asked.append(len(vectors))
        return torch.full((len(vectors), 4, size[1], size[0]), 99, dtype=torch.uint8)

    monkeypatch.setattr(video_data, "paint", blank)
    drawn = _drawn(video_data.GROUP + 2)
    assert video_data.render_clips(drawn, 0, (32, 32)).shape == (8, 4, 33, 32, 32)
    assert video_data.render_clips(drawn, video_data.GROUP, (32, 32)).shape == (2, 4, 33, 32, 32)
    assert asked[:2] == [8 * 33, 33]
    assert asked[2] <= 2


def test_masks_are_pooled_as_frames_are() -> None:
    """The first frame alone, then four at a time."""
    mask = torch.zeros(1, 1, 9, 16, 8)
    mask[:, :, 1:3, :8] = 1
    assert video_data.pooled(mask)[0, :, :, 0].tolist() == [[0, 0], [0.5, 0], [0, 0]]


def test_motions_are_drawn_and_said() -> None:
    """Deep motions 2.5 times as often; every phrase of every motion occurs in captions."""
    rng = random.Random(0)
    drawn = [draw_motion(rng) for _ in range(6000)]
    assert drawn.count("turntable") / drawn.count("static") == pytest.approx(2.5, rel=0.2)
    kinds = [video_data.kind(m) for m in drawn]
    assert kinds.count(0) / len(kinds) == pytest.approx(7 / 14.5, abs=0.03)
    scene = draw_scene(rng, "square").words
    for word in vocabulary().words["motion"]:
        for language in ("en", "zh"):
            said = " ".join(vary_motion(rng, scene, word.id, language) for _ in range(200))
            assert all(phrase in said for phrase in word.phrases(language))
