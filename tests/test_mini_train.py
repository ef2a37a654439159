"""Each training part runs from drawn scenes to saved weights, at a size for a CPU."""

import time
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from gpu.mini.camera import SIZES, Size
from gpu.mini.train import (
    data,
    image_data,
    image_model,
    image_vae,
    video_data,
    video_model,
    video_vae,
)  # fmt: skip
from gpu.mini.train.__main__ import main
from gpu.mini.train.run import Clock, Part, cosine
from gpu.mini.train.sheets import sheet

SMALL = {"portrait": (32, 64), "square": (48, 48), "landscape": (64, 32)}
pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(300),
    pytest.mark.filterwarnings("ignore"),
]


def _noise(vectors: np.ndarray, size: Size, samples: int = 2) -> Tensor:
    """Stands in for the renderer."""
    width, height = size
    return torch.randint(0, 255, (len(vectors), 4, height, width), dtype=torch.uint8)


@pytest.fixture
def part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Part:
    """A part of a few seconds over noise instead of renders."""
    for module in (data, image_data, image_vae, video_data, video_model, video_vae):
        monkeypatch.setattr(module, "paint", _noise, raising=False)
    for name, value in (("DIM", 64), ("LAYERS", 1)):
        monkeypatch.setattr(image_model, name, value)
    for name, value in (("HEADS", 1), ("LAYERS", 1), ("FFN", 64)):
        monkeypatch.setattr(video_model, name, value)
    monkeypatch.setattr(image_model, "samples", lambda *_: None)
    monkeypatch.setattr(video_model, "samples", lambda *_: None)
    for each in SIZES:
        monkeypatch.setitem(SIZES, each, SMALL)
    made = Part(tmp_path, 0.0, 0)
    made.device = "cpu"
    return made


def _give(part: Part, seconds: float) -> None:
    part.seconds = part.elapsed() + seconds


def test_image(part: Part) -> None:
    """Autoencoder, transformer, and the transformer again from its own weights."""
    _give(part, 1)
    image_vae.train_vae(part, count=24, crop=32, batch=2)
    assert (part.out / "image_vae.jpg").exists()
    for side, guided in ((256, (1.0, 1.0)), (512, (0.0, 0.0))):
        _give(part, 1)
        image_model.train_transformer(
            part, part.out, side=side, rates=(1.0, 0.5), guided=guided, count=12, batch=2
        )
    assert (part.out / "image" / "model_index.json").exists()
    assert "saved" in (part.out / "log.txt").read_text(encoding="utf-8")


def test_video(part: Part) -> None:
    """Pictures first, then clips; the transformer goes on from its own weights at another size."""
    _give(part, 1)
    phases = ((0.5, 1, 32, 2), (1.0, data.FRAMES, 32, 1))
    video_vae.train_vae(part, clips=6, pictures=6, phases=phases)
    for side, rates in ((256, (1.0, 0.7)), (384, (0.7, 0.01))):
        _give(part, 1)
        video_model.train_transformer(part, part.out, side=side, rates=rates, count=10, batch=2)
    assert (part.out / "video" / "transformer" / "config.json").exists()
    log = (part.out / "log.txt").read_text(encoding="utf-8")
    for said in ("video 256 step 1 plain", "video 384 step 1 plain", "turntable", "unseen"):
        assert said in log


@pytest.mark.parametrize(
    ("said", "wanted"),
    [("--part transformer", "needs --start"), ("--part vae", "no GPU")],
    ids=["start", "gpu"],
)
def test_the_command_says_what_it_lacks(
    said: str, wanted: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """Earlier weights or a GPU that are missing are one line, not a traceback minutes later."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr("sys.argv", ["train", "video", "--out", str(tmp_path), *said.split()])
    with pytest.raises(SystemExit):
        main()
    assert wanted in capsys.readouterr().err


def test_clock_always_ends() -> None:
    """No time left is an ended clock, not an endless one."""
    clock = Clock(-5)
    time.sleep(0.02)  # it grants a hundredth of a second, so that a rate can be told
    assert clock.tick() >= 1
    assert cosine(1.0, 1000) == pytest.approx(0.03)


def test_sheet(tmp_path: Path) -> None:
    """Three pictures in two columns make two rows."""
    from PIL import Image

    sheet(torch.zeros(3, 3, 8, 10), 2, tmp_path / "s.png")
    assert Image.open(tmp_path / "s.png").size == (20, 16)
