"""What lies over a delivery and sounds with it: titles, logo, label, sound; on clips and stills."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw, ImageFont

from configs.errors import StageFailed
from tasks import export, ffmpeg
from tasks.layers import Stamp, Titles
from tasks.probe import probe
from tasks.stage import Photo
from tests.export_data import SOURCE, Desk, clip, delivery, scene
from tests.test_export_stage import frames_of

CLIP = Photo(*SOURCE, fps=8, frames=9)
GREEN, BLUE, GOLD = (0, 160, 60), (20, 40, 200), (240, 200, 20)


@pytest.fixture
def desk(tmp_path) -> Desk:
    return Desk(tmp_path / "home")


def embedded(font: bytes) -> str:
    """Return a font as ASS files hold it: 6 bits a character from `!` on, 80 a line."""
    padded = np.frombuffer(font + b"\0" * (-len(font) % 3), np.uint8)
    bits = np.packbits(np.unpackbits(padded).reshape(-1, 6), axis=1) >> 2
    text = (bits[:, 0] + 33).tobytes().decode()[: -(-len(font) * 4 // 3)]
    return "\n".join(text[start : start + 80] for start in range(0, len(text), 80))


def ass(path: Path, size: tuple[int, int], start: str) -> Path:
    """Write titles of one golden box, the upper left quarter of the frame, with Pillow's own font.

    libass draws nothing at all, not even a box, where it has no font.
    """
    font = ImageFont.load_default(20)
    name = font.getname()[0]
    width, height = size
    box = f"m 0 0 l {width // 2} 0 {width // 2} {height // 2} 0 {height // 2}"
    path.write_text(
        f"[Script Info]\nScriptType: v4.00+\nPlayResX: {width}\nPlayResY: {height}\n"
        "YCbCr Matrix: None\n\n[V4+ Styles]\nFormat: Name, Fontname, Fontsize, PrimaryColour, "
        "BorderStyle, Outline, Shadow, Alignment\n"
        f"Style: A,{name},20,&H0014C8F0,1,0,0,7\n\n"
        f"[Fonts]\nfontname: own.ttf\n{embedded(font.font_bytes)}\n\n"
        "[Events]\nFormat: Layer, Start, End, Style, Text\n"
        f"Dialogue: 0,{start},0:01:00.00,A,{{\\an7\\pos(0,0)\\p1}}{box}\n",
        "utf-8",
    )
    return path


def layer(path: Path, size: tuple[int, int], box, colour) -> Path:
    """Write an overlay of one opaque rectangle."""
    picture = Image.new("RGBA", size)
    ImageDraw.Draw(picture).rectangle(box, fill=(*colour, 255))
    picture.save(path)
    return path


def dressed(desk: Desk, target, photo: Photo = CLIP, **changes):
    """Return an export node with titles from 0.3 s on, a logo over them and a label over both."""
    size = target.width, target.height
    wide, high = size
    port = "clip" if target.kind == "clip" else "image"
    picture = desk.root / ("master.mp4" if port == "clip" else "picture.png")
    if port == "clip":
        clip(picture, (photo.width, photo.height), frames=photo.frames, fps=photo.fps)
    else:
        scene((photo.width, photo.height)).save(picture)
    inputs = {
        port: picture,
        "titles": ass(desk.root / "t.ass", size, start="0:00:00.30"),
        "overlay": layer(desk.root / "o.png", size, (10, 10, wide - 10, 39), GREEN),
        "label": layer(desk.root / "l.png", size, (0, 0, 19, high), BLUE),
    } | changes
    pictures = {
        port: photo,
        "titles": Photo(*size, settled=0.5),
        "overlay": Photo(*size),
        "label": Photo(*size, until=0.75),
    }
    pictures |= {"sound": Photo(0, 0)} if "sound" in inputs else {}
    return desk.node(export.STAGE, target, inputs, pictures)


def near(pixel, colour) -> bool:
    return bool(np.abs(np.asarray(pixel, float) - colour).max() < 14)


def test_titles_logo_and_label_lie_over_each_other_in_time(desk):
    """The label is on top and goes at its second; the logo stays; titles come at their time."""
    (made,) = desk.make(export.STAGE, dressed(desk, delivery(*SOURCE, fps={"min": 24, "max": 30})))
    frames = frames_of(made.drafts["delivery"].path)
    bare = np.asarray(scene(SOURCE), float)
    assert len(frames) == 27
    early, late = frames[0], frames[20]
    assert near(early[20, 12], BLUE)  # all three lie here
    assert near(early[20, 50], GREEN)
    assert near(early[100, 50], bare[100, 50])  # no titles yet
    assert near(late[20, 12], GREEN)  # the label is gone
    assert near(late[100, 50], GOLD)
    assert near(late[100, 120], bare[100, 120])
    assert near(frames[17][20, 5], BLUE)
    assert not near(frames[19][20, 5], BLUE)


def test_titles_come_with_the_clips_next_frame(desk):
    """Titles of 0.3 s come with the frame of 0.375 s, in which the picture moves too."""
    (made,) = desk.make(export.STAGE, dressed(desk, delivery(*SOURCE, fps={"min": 24, "max": 30})))
    shown = [near(frame[100, 50], GOLD) for frame in frames_of(made.drafts["delivery"].path)]
    assert shown.index(True) in {8, 9}  # 0.375 s * 24 = 9, or its middle


@pytest.mark.parametrize("size", [(256, 160), (144, 144), (100, 300)])
def test_letters_keep_their_shape_in_a_frame_of_another(tmp_path, size):
    """A square stays one, as on Bilibili's covers of 16:10 over clips of 16:9."""
    titles = Titles(ass(tmp_path / "t.ass", (128, 128), start="0:00:00.00"), (128, 128))
    drawn = np.asarray(titles.lay(Image.new("RGB", size), 1.0))
    ys, xs = np.nonzero(drawn[..., 0] > 128)
    side = min(size) // 2
    assert (np.ptp(xs) + 1, np.ptp(ys) + 1) == pytest.approx((side, side), abs=2)
    assert (xs.min(), ys.min()) == ((size[0] - min(size)) // 2, (size[1] - min(size)) // 2)


@pytest.mark.parametrize("cover", [(144, 256), (144, 192), (180, 320)])
def test_a_cover_shows_titles_as_they_settle_and_the_label(desk, cover):
    """The cover has the titles of the second they all stand, in a frame of any size."""
    width, height = cover
    target = delivery(*SOURCE, cover={"width": width, "height": height})
    (made,) = desk.make(export.STAGE, dressed(desk, target))
    with Image.open(made.drafts["cover"].path) as image:
        assert image.size == cover
        assert near(image.getpixel((round(width * 0.3), round(height * 0.4))), GOLD)
        assert near(image.getpixel((round(width * 0.3), round(height * 0.45))), GOLD)
        assert not near(image.getpixel((round(width * 0.3), round(height * 0.55))), GOLD)
        assert not near(image.getpixel((round(width * 0.55), round(height * 0.4))), GOLD)
        assert near(image.getpixel((4, height // 2)), BLUE)


@settings(max_examples=60)
@given(
    size=st.tuples(st.integers(32, 400), st.integers(32, 400)),
    corner=st.tuples(st.integers(0, 143), st.integers(0, 255)),
    extent=st.tuples(st.integers(4, 144), st.integers(4, 256)),
)
def test_no_frame_cuts_a_stamp(tmp_path_factory, size, corner, extent):
    """In a cover of any shape all of a logo or label is there, with its proportions."""
    left, top = corner
    right, bottom = min(143, left + extent[0]), min(255, top + extent[1])
    path = layer(tmp_path_factory.mktemp("o") / "o.png", SOURCE, (left, top, right, bottom), BLUE)
    stamp = Stamp.of(path)
    cover = Image.new("RGB", size)
    stamp.lay(cover)
    seen = cover.getchannel("B").point(lambda value: 255 * (value > 60)).getbbox()
    x, y, far_x, far_y = seen or (0, 0, 0, 0)
    across, down = right - left + 1, bottom - top + 1
    scale = min(min(size) / 144, size[0] / stamp.area[2], size[1] / stamp.area[3])
    assert far_x - x >= across * scale - 2.5
    assert far_y - y >= down * scale - 2.5


@pytest.mark.parametrize("kind", ["png", "jpeg"])
def test_a_still_has_all_that_a_clip_has(desk, kind):
    """Titles by the same renderer, logo and label over them."""
    target = delivery(288, 512, kind="still", format=kind)
    (made,) = desk.make(export.STAGE, dressed(desk, target, Photo(*SOURCE)))
    with Image.open(made.drafts["delivery"].path) as image:
        pixels = np.asarray(image.convert("RGB"))
    assert near(pixels[20, 12], BLUE)
    assert near(pixels[20, 50], GREEN)
    assert near(pixels[200, 100], GOLD)
    assert near(pixels[300, 250], np.asarray(scene((288, 512)))[300, 250])


@pytest.mark.parametrize("name", ["50%d off", "春 é'", "a:b;c[d],e\\f", "new\nline", " = "])
def test_titles_are_found_in_any_folder(tmp_path, name):
    """A path goes through two readers in ffmpeg, of options and of graphs; no name breaks out."""
    desk = Desk(tmp_path / name)
    (made,) = desk.make(export.STAGE, dressed(desk, delivery(*SOURCE)))
    assert near(frames_of(made.drafts["delivery"].path)[8][100, 50], GOLD)


def tone(path: Path, seconds: float) -> Path:
    """Write a tone as a stereo WAV of 48 kHz."""
    source = f"sine=f=440:r=48000:d={seconds},aformat=channel_layouts=stereo"
    ffmpeg.run(["-f", "lavfi", "-i", source, "-c:a", "pcm_s16le", str(path)])
    return path


@pytest.mark.parametrize("seconds", [0.6, 1.125, 3])
def test_the_sound_is_as_long_as_the_clip(desk, seconds):
    """A sound of any length is muxed as AAC, and neither shortens nor lengthens the clip."""
    sound = tone(desk.root / "s.wav", seconds)
    (made,) = desk.make(export.STAGE, dressed(desk, delivery(*SOURCE), sound=sound))
    path = made.drafts["delivery"].path
    assert probe(path).audio
    said = subprocess.run(
        [ffmpeg.binary(), "-hide_banner", "-i", str(path)],
        capture_output=True,
        text=True,
        check=False,
    ).stderr
    assert "Audio: aac (LC)" in said
    assert "48000 Hz, stereo" in said
    raw = desk.root / "s.raw"
    ffmpeg.run(["-i", str(path), "-f", "s16le", "-ac", "1", "-ar", "48000", str(raw)])
    samples = np.fromfile(raw, np.int16).astype(float)
    assert len(samples) / 48000 == pytest.approx(1.125, abs=0.03)
    loud = np.abs(samples[: int(0.55 * 48000)]).mean()
    assert loud > 500
    if seconds < 1:
        assert np.abs(samples[int(0.7 * 48000) :]).mean() < loud / 50


def test_a_title_file_without_titles_is_no_picture_at_all(desk):
    """A file that libass cannot read fails its export with ffmpeg's words."""
    broken = desk.root / "broken.ass"
    broken.write_bytes(b"\x00\x01")
    node = dressed(desk, delivery(*SOURCE), titles=broken)
    with pytest.raises(StageFailed, match="ffmpeg ended with"):
        desk.make(export.STAGE, node)
