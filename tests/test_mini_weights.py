"""The shipped weights: small enough, loaded by the stock pipelines, and they obey."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from gpu.device import dtype_for, processor

WEIGHTS = Path(__file__).parents[1] / "gpu" / "mini" / "weights"
MIB = 2**20
DTYPE = getattr(torch, dtype_for(processor()))
# Two clips: in float32 and on a busy machine, minutes.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


def test_sizes() -> None:
    """48 MiB in all and 16 MiB a file: what a repository and a wheel can carry."""
    files = [f for f in WEIGHTS.rglob("*") if f.is_file()]
    assert max(f.stat().st_size for f in files) <= 16 * MIB
    assert sum(f.stat().st_size for f in files) <= 48 * MIB


@pytest.mark.parametrize("model", ["image", "video"])
def test_vocabulary_travels_with_the_weights(model: str) -> None:
    """Each model says what it knows, and it is what it was trained on."""
    own = json.loads((WEIGHTS / model / "vocabulary.json").read_text(encoding="utf-8"))
    source = WEIGHTS.parent / "vocabulary.json"
    assert own == json.loads(source.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def lipstick() -> np.ndarray:
    """An eight-step keyframe of a red lipstick, RGB in 0..1."""
    from diffusers import ZImagePipeline

    pipe = ZImagePipeline.from_pretrained(WEIGHTS / "image", dtype=DTYPE)
    pipe.set_progress_bar_config(disable=True)
    out = pipe(
        prompt="red matte lipstick on a seamless studio surface, white background, front view",
        height=384, width=384, num_inference_steps=8, guidance_scale=0.0, max_sequence_length=128,
        generator=torch.Generator().manual_seed(3), output_type="np",
    ).images[0]  # fmt: skip
    return np.asarray(out)


def test_red_lipstick_is_red(lipstick: np.ndarray) -> None:
    """Where the picture differs from its white corners most, in the middle, it is red."""
    red = lipstick[..., 0] - lipstick[..., 1:].max(-1)
    middle = red[64:320, 128:256]
    assert (middle > 0.25).mean() > 0.15
    corners = np.stack([lipstick[:24, :24], lipstick[:24, -24:]])
    assert corners.mean() > 0.75
    assert np.ptp(corners.mean((0, 1, 2))) < 0.12


@pytest.fixture(scope="module")
def moved(lipstick: np.ndarray) -> dict[str, np.ndarray]:
    """The lipstick pushed in on and held still: frames [33, H, W, 3] in 0..1 at a small size."""
    from diffusers import WanImageToVideoPipeline
    from PIL import Image

    pipe = WanImageToVideoPipeline.from_pretrained(WEIGHTS / "video", dtype=DTYPE)
    pipe.set_progress_bar_config(disable=True)
    first = Image.fromarray((lipstick * 255).round().astype(np.uint8))
    clips = {}
    for motion in ("camera pushes in", "static camera"):
        clips[motion] = pipe(
            image=first, prompt=motion, height=384, width=384, num_frames=33,
            num_inference_steps=4, guidance_scale=1.0, max_sequence_length=64,
            generator=torch.Generator().manual_seed(1), output_type="np",
        ).frames[0]  # fmt: skip
    return clips


def _red_area(frame: np.ndarray) -> float:
    return float((frame[..., 0] - frame[..., 1:].max(-1) > 0.2).mean())


@pytest.mark.long
def test_push_in_grows(moved: dict[str, np.ndarray]) -> None:
    """The product's area at the end is at least 1.3 times that of the start."""
    clip = moved["camera pushes in"]
    assert clip.shape == (33, 384, 384, 3)
    assert _red_area(clip[-1]) > 1.3 * _red_area(clip[0])


@pytest.mark.long
def test_static_stays(moved: dict[str, np.ndarray], lipstick: np.ndarray) -> None:
    """A static clip keeps the product's area within a tenth, and its picture."""
    clip = moved["static camera"]
    assert _red_area(clip[-1]) == pytest.approx(_red_area(clip[0]), rel=0.1)
    assert np.abs(clip[-1] - clip[0]).mean() < 0.03


@pytest.mark.long
def test_first_frame_is_the_keyframe(moved: dict[str, np.ndarray], lipstick: np.ndarray) -> None:
    """At least 28 dB, in every motion: a clip starts with the picture that was approved."""
    for clip in moved.values():
        error = float(np.square(clip[0] - lipstick).mean())
        assert 10 * np.log10(1 / error) >= 28
