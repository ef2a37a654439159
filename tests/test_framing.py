"""How a picture of one shape fills a frame of another."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from tasks import ffmpeg
from tasks.framing import Framing, frame
from tasks.stage import Photo
from tests.export_data import scene

FITS = st.sampled_from(["auto", "crop", "blur", "letterbox"])
SIDE = st.integers(16, 3000)
EVEN = st.integers(8, 1500).map(lambda half: 2 * half)
SHARE = st.floats(0, 1)


@pytest.mark.parametrize(
    ("source", "target", "ground"),
    [
        ((720, 1280), (1080, 1920), "none"),
        ((720, 1280), (1080, 1350), "none"),
        ((720, 1280), (1080, 1440), "none"),
        ((720, 1280), (1080, 1080), "blur"),
        ((720, 1280), (1920, 1080), "blur"),
        ((1024, 1024), (1080, 1350), "none"),
        ((1024, 1024), (1080, 1440), "none"),
        ((1024, 1024), (1080, 1920), "blur"),
        ((832, 480), (1920, 1080), "none"),
        ((832, 480), (1440, 1080), "none"),
        ((832, 480), (1080, 1920), "blur"),
    ],
)
def test_auto_crops_between_neighbouring_shapes_and_pads_otherwise(source, target, ground):
    """A crop that keeps 70 % of the picture is made; one that keeps less is not."""
    assert frame(Photo(*source), *target, "auto").ground == ground


@given(SIDE, SIDE, EVEN, EVEN, FITS, SHARE, SHARE)
def test_every_rectangle_is_even_and_inside(width, height, wide, high, fit, x, y):
    """Whatever the shapes, what is cut out lies in the source and what is shown in the frame."""
    framing = frame(Photo(width, height, (x, y)), wide, high, fit)
    areas = [(framing.crop, (width, height)), (framing.place, (wide, high))]
    if framing.ground == "blur":
        areas.append((framing.behind, (width, height)))
    for (left, top, across, down), (most_across, most_down) in areas:
        assert left >= 0
        assert top >= 0
        assert across >= 2
        assert down >= 2
        assert left + across <= most_across
        assert top + down <= most_down
        assert not any(side % 2 for side in (left, top, across, down))


@given(EVEN.filter(lambda side: side > 100), SHARE, SHARE)
def test_the_focal_point_is_never_cut_off(side, x, y):
    """The part that is shown holds the point to keep, to the pixel."""
    left, top, width, height = frame(Photo(side, side, (x, y)), 1080, 1920, "crop").crop
    assert left - 2 <= x * side <= left + width + 2
    assert top - 2 <= y * side <= top + height + 2


def test_the_focal_point_stands_in_the_middle_where_there_is_room():
    """A crop is centred on the point to keep."""
    left, _, width, _ = frame(Photo(1000, 1000, (0.4, 0.5)), 500, 1000, "crop").crop
    assert left + width / 2 == pytest.approx(400, abs=2)


def test_a_pad_of_the_same_shape_is_no_pad():
    """Where the picture fills the frame, nothing is blurred behind it."""
    assert frame(Photo(720, 1280), 1080, 1920, "blur").ground == "none"


def test_a_framing_survives_its_json():
    """A framing read back from a node's params is the same."""
    framing = frame(Photo(832, 480, (0.3, 0.5)), 1080, 1920, "auto")
    assert Framing.model_validate(framing.model_dump(mode="json")) == framing


@pytest.mark.parametrize("fit", ["crop", "blur", "letterbox"])
@pytest.mark.parametrize(
    ("source", "target"),
    [((256, 448), (540, 960)), ((448, 256), (540, 720)), ((96, 96), (320, 180))],
)
def test_pillow_and_ffmpeg_draw_the_same_frame(tmp_path, source, target, fit):
    """The two renderings differ by a few levels: what lies beneath a logo is what is delivered."""
    framing = frame(Photo(*source, (0.4, 0.6)), *target, fit)
    scene(source, 0.5).save(tmp_path / "in.png")
    into = f"{ffmpeg.TO_YUV},format=yuv420p,{ffmpeg.BT709}"
    graph = f"[0:v]{into}[i];{framing.filters('i', 'f')};[f]{ffmpeg.TO_RGB}[o]"
    drawn = str(tmp_path / "out.png")
    ffmpeg.run(["-i", str(tmp_path / "in.png"), "-filter_complex", graph, "-map", "[o]", drawn])
    with Image.open(tmp_path / "in.png") as image, Image.open(drawn) as file:
        ours = np.asarray(framing.draw(image), dtype=float)
        theirs = np.asarray(file.convert("RGB"), dtype=float)
    assert ours.shape == theirs.shape
    assert np.abs(ours - theirs).mean() < 2
    assert np.abs(ours.mean((0, 1)) - theirs.mean((0, 1))).max() < 1
