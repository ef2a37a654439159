"""What stands out in a picture or clip, and that crops keep it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from tasks import export
from tasks.ffmpeg import write_clip
from tasks.framing import frame
from tasks.saliency import best_window, salience
from tasks.stage import Photo
from tests.export_data import RED, Desk, delivery
from tests.test_export_stage import frames_of

WIDE = (256, 144)


def ground(size: tuple[int, int], kind: str) -> Image.Image:
    """Return a ground without a subject: plain, shaded, or a texture of many colours."""
    width, height = size
    if kind == "plain":
        return Image.new("RGB", size, (225, 220, 205))
    if kind == "shaded":
        return Image.linear_gradient("L").resize(size).point(lambda v: 120 + v // 3).convert("RGB")
    noise = np.random.default_rng(1).integers(90, 190, (height // 8, width // 8, 3), np.uint8)
    return Image.fromarray(noise).resize(size, Image.Resampling.BICUBIC)


def disc(picture: Image.Image, x: float, y: float, radius: int = 28, colour=RED) -> Image.Image:
    """Draw a disc into the picture, its middle at fractions of the sides."""
    across, down = x * picture.width, y * picture.height
    box = (across - radius, down - radius, across + radius, down + radius)
    ImageDraw.Draw(picture).ellipse(box, fill=colour)
    return picture


@given(x=st.floats(0.12, 0.88), kind=st.sampled_from(["plain", "shaded", "texture"]))
def test_the_best_window_holds_the_subject_wherever_it_is(x, kind):
    """A third of a wide picture holds a disc of a fifth of its width, to a few pixels."""
    picture = disc(ground(WIDE, kind), x, 0.5)
    middle, _ = best_window(salience([picture]), 81 / 256, 1)
    assert abs(middle - x) * 256 + 28 < 81 / 2 + 6


def test_between_two_subjects_lies_nothing():
    """The window takes one of two discs, where the middle of both would take neither."""
    picture = disc(disc(ground(WIDE, "plain"), 0.15, 0.5), 0.85, 0.5)
    middle, _ = best_window(salience([picture]), 81 / 256, 1)
    assert min(abs(middle - 0.15), abs(middle - 0.85)) < 0.05


@pytest.mark.parametrize("size", [(256, 144), (144, 256), (3, 900), (1, 1)])
def test_a_picture_of_one_colour_is_cut_in_the_middle(size):
    """Where nothing stands out nothing moves, and no shape is too thin."""
    across, down = best_window(salience([Image.new("RGB", size, RED)]), 0.7, 0.7)
    assert across == pytest.approx(0.5, abs=0.51 / max(1, size[0] * 96 / max(size)))
    assert down == pytest.approx(0.5, abs=0.51 / max(1, size[1] * 96 / max(size)))


def test_a_point_set_by_hand_goes_before():
    """A framing with a focal point is fixed at plan time; one without waits for the picture."""
    by_hand = frame(Photo(*WIDE, focus=(0.9, 0.5)), 144, 144, "crop")
    assert (by_hand.free, by_hand.crop) == (None, (112, 0, 144, 144))
    free = frame(Photo(*WIDE), 144, 144, "crop")
    assert free.free == WIDE
    aimed = free.aimed(salience([disc(ground(WIDE, "plain"), 0.12, 0.5)]))
    assert aimed.free is None
    assert aimed.crop[0] <= 4


@pytest.mark.parametrize("fit", ["blur", "letterbox"])
def test_what_is_not_cut_is_not_free(fit):
    """Pads show the whole picture, and a picture of the frame's own shape has nothing to move."""
    assert frame(Photo(*WIDE), 144, 144, fit).free is None
    assert frame(Photo(*WIDE), 512, 288, "crop").free is None


@pytest.fixture
def desk(tmp_path) -> Desk:
    return Desk(tmp_path / "home")


def red_share(pixels: np.ndarray) -> float:
    """Return which part of a frame is as red as the disc."""
    return float((np.abs(pixels - np.array(RED)).max(-1) < 40).mean())


def test_a_clip_is_cut_by_what_stands_out_in_all_of_it(desk):
    """The disc moves from the edge inwards; clip and cover keep it, and the crop is recorded."""
    frames = (disc(ground(WIDE, "plain"), 0.12 + 0.003 * number, 0.5) for number in range(40))
    path = desk.root / "m.mp4"
    write_clip(path, map(np.asarray, frames), size=WIDE, fps=16)
    photo = Photo(*WIDE, fps=16, frames=40)
    settings = {"export": {"fit": "crop"}}
    target = delivery(144, 144)
    node = desk.node(export.STAGE, target, {"clip": path}, {"clip": photo}, settings=settings)
    (made,) = desk.make(export.STAGE, node)
    assert made.facts["crop"][0] < 30
    whole = np.pi * 28**2 / 144**2
    shown = frames_of(made.drafts["delivery"].path)
    assert red_share(shown[0]) > 0.9 * whole
    assert red_share(shown[39]) > 0.9 * whole
    with Image.open(made.drafts["cover"].path) as cover:
        assert red_share(np.asarray(cover.convert("RGB"), float)) > 0.9 * whole


def test_a_still_is_cut_by_what_stands_out(desk):
    """A generated picture has no focal point at plan time; its export finds one."""
    picture = desk.root / "k.png"
    disc(ground(WIDE, "texture"), 0.85, 0.5).save(picture)
    target = delivery(144, 144, kind="still", format="png")
    settings = {"export": {"fit": "crop"}}
    node = desk.node(
        export.STAGE, target, {"image": picture}, {"image": Photo(*WIDE)}, settings=settings
    )
    (made,) = desk.make(export.STAGE, node)
    with Image.open(made.drafts["delivery"].path) as image:
        assert red_share(np.asarray(image, float)) > 0.9 * np.pi * 28**2 / 144**2
