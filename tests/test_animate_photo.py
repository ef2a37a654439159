"""An own photo is opened safely and becomes plain sRGB; its shape decides the clip's size."""

from __future__ import annotations

import contextlib
import io
import os
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageCms

from configs.errors import BadFile
from tasks.photo import adapt, open_photo, size_of

RED, BLUE, WHITE = (200, 30, 40), (40, 30, 200), (255, 255, 255)


def saved(path, image, **options):
    image.save(path, **options)
    return path


def corners():
    """A 32x16 picture, red on the left and blue on the right."""
    image = Image.new("RGB", (32, 16), BLUE)
    image.paste(RED, (0, 0, 16, 16))
    return image


def near(pixel, wanted, by=4):
    return max(abs(a - b) for a, b in zip(pixel, wanted, strict=True)) <= by


def png_header(width, height):
    """A PNG that claims a size and holds one byte of data."""

    def chunk(kind, body):
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"\0")) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def test_a_keyframe_passes_unchanged(tmp_path):
    """An RGB PNG without a profile keeps its bytes."""
    path = saved(tmp_path / "a.png", corners())
    assert open_photo(path).tobytes() == corners().tobytes()


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_turns_it_upright(tmp_path, orientation):
    """Size and pixels agree, for each of the eight orientations that a camera writes."""
    exif = Image.Exif()
    exif[274] = orientation
    path = saved(tmp_path / "a.png", corners(), exif=exif)
    photo = open_photo(path)
    assert photo.size == size_of(path) == ((32, 16) if orientation < 5 else (16, 32))
    first = {1: RED, 2: BLUE, 3: BLUE, 4: RED, 5: RED, 6: RED, 7: BLUE, 8: BLUE}[orientation]
    assert photo.getpixel((0, 0)) == first


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "PA"])
def test_what_is_transparent_becomes_the_ground(tmp_path, mode):
    """Alpha of any kind is laid over the ground, white where none is chosen."""
    image = Image.new("RGBA", (8, 8), (0, 0, 0, 0))
    path = saved(tmp_path / "a.png", image.convert("LA") if mode == "LA" else image)
    if mode in {"P", "PA"}:
        palette = Image.new("P", (8, 8), 0)
        palette.putpalette([0, 0, 0] * 256)
        saved(path, palette, transparency=0)
    assert open_photo(path).getpixel((3, 3)) == WHITE
    assert open_photo(path, ground=RED).getpixel((3, 3)) == RED


def test_half_transparent_is_mixed(tmp_path):
    """Half of red over white is pink."""
    path = saved(tmp_path / "a.png", Image.new("RGBA", (8, 8), (200, 0, 0, 128)))
    assert near(open_photo(path).getpixel((3, 3)), (227, 127, 127))


def test_cmyk_jpeg_becomes_rgb(tmp_path):
    """A printer's JPEG keeps its red."""
    path = saved(tmp_path / "a.jpg", Image.new("RGB", (16, 16), (255, 0, 0)).convert("CMYK"))
    assert near(open_photo(path).getpixel((8, 8)), (255, 0, 0))


def test_sixteen_bits_are_scaled(tmp_path):
    """A 16-bit grey of 60 % is 60 % of 255, where Pillow alone would clip it to white."""
    grey = Image.fromarray(np.full((8, 8), 39321, dtype=np.uint16))
    assert near(open_photo(saved(tmp_path / "a.png", grey)).getpixel((3, 3)), (153, 153, 153), by=1)


def swapped_profile():
    """A wide profile in disguise: sRGB, with the primaries of red and blue changed over."""
    data = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    tags = {}
    for index in range(struct.unpack(">I", data[128:132])[0]):
        at = 132 + 12 * index
        tags[bytes(data[at : at + 4])] = at
    red, blue = tags[b"rXYZ"], tags[b"bXYZ"]
    data[red : red + 4], data[blue : blue + 4] = b"bXYZ", b"rXYZ"
    return bytes(data)


def test_an_icc_profile_is_honoured(tmp_path):
    """Colours are converted to sRGB: in a profile with red and blue changed over, red is blue."""
    image = Image.new("RGB", (8, 8), (255, 0, 0))
    path = saved(tmp_path / "a.png", image, icc_profile=swapped_profile())
    assert near(open_photo(path).getpixel((3, 3)), (0, 0, 255))


def test_an_rgb_profile_on_a_grey_photo_is_no_matter(tmp_path):
    """Some programs leave the sRGB profile in a photo saved as grey."""
    path = saved(tmp_path / "a.jpg", Image.new("L", (8, 8), 99), icc_profile=swapped_profile())
    assert near(open_photo(path).getpixel((3, 3)), (99, 99, 99))


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("a.png", b"", "is empty; export it again"),
        ("a.png", png_header(400, 7), "has 400x7 pixels; take one whose sides have 8 or more"),
        ("a.jpg", b"MZ\x90\0 a program", "not an image"),
        ("a.png", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "not an image"),
        ("a.svg", b"<svg xmlns='http://www.w3.org/2000/svg'/>", "not an image"),
        ("a.png", png_header(10_000, 10_000), "100 megapixels; at most 50"),
        ("a.png", png_header(60_000, 60_000), "make it smaller"),
        ("a.png", png_header(64, 64), "cut short or broken"),
        ("a.png", png_header(0, 64), "not an image"),
    ],
    ids=[
        "empty",
        "thin",
        "program",
        "postscript",
        "svg",
        "100-megapixel",
        "bomb",
        "no-data",
        "no-width",
    ],
)
def test_what_is_no_photo_is_refused_in_one_sentence(tmp_path, name, content, says):
    """A file that lies about what it is gives one clear error."""
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(BadFile, match=says) as error:
        open_photo(path)
    assert "\n" not in str(error.value)
    assert str(tmp_path) not in str(error.value)


def test_size_is_refused_before_the_data_is_read(tmp_path):
    """`size_of` refuses 100 megapixels at plan time."""
    path = tmp_path / "a.png"
    path.write_bytes(png_header(10_000, 10_000))
    with pytest.raises(BadFile, match="100 megapixels"):
        size_of(path)


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP", "TIFF"])
def test_animated_pictures_are_refused(tmp_path, kind):
    """One of several frames would be a guess."""
    frames = [Image.new("RGB", (8, 8), (i, 0, 0)) for i in (0, 99)]
    path = saved(tmp_path / "a", frames[0], format=kind, save_all=True, append_images=frames[1:])
    with pytest.raises(BadFile, match="several frames or pages"):
        open_photo(path)


def test_a_phones_mpo_is_its_first_picture(tmp_path):
    """Phones save a JPEG followed by others, such as a depth map."""
    other = [Image.new("RGB", (8, 8))]
    path = saved(tmp_path / "a.jpg", corners(), format="MPO", save_all=True, append_images=other)
    assert near(open_photo(path).getpixel((4, 8)), RED, by=8)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("none.png", "none.png: no such file$"),
        ("pipe", "pipe: no such file$"),
        (".", "is a folder; write the path of a picture in it"),
    ],
)
def test_where_there_is_no_file_it_says_so(tmp_path, name, says):
    """What is there in its place is told; a named pipe would wait for ever."""
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(BadFile, match=says):
        size_of(tmp_path / name)


def test_a_broken_profile_is_named(tmp_path):
    """A profile that is no profile is an error of its own."""
    path = saved(tmp_path / "a.png", corners(), icc_profile=b"not a profile")
    with pytest.raises(BadFile, match=r"a\.png: .*profile"):
        open_photo(path)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF"])
def test_every_cut_of_a_photo_is_a_clear_error(tmp_path, kind):
    """A photo cut at any twentieth of its length is refused, or still a whole photo."""
    buffer = io.BytesIO()
    rng = np.random.default_rng(0)
    Image.fromarray(rng.integers(0, 256, (24, 24, 3), dtype=np.uint8)).save(buffer, kind)
    data = buffer.getvalue()
    path = tmp_path / "a"
    for part in range(20):
        path.write_bytes(data[: len(data) * part // 20])
        with pytest.raises(BadFile):
            open_photo(path)


@given(data=st.binary(max_size=200), at=st.integers(0, 400))
def test_spoilt_photos_never_crash(tmp_path_factory, data, at):
    """Bytes overwritten at random give a picture or a BadFile, and nothing else."""
    buffer = io.BytesIO()
    corners().save(buffer, "PNG", icc_profile=swapped_profile())
    good = buffer.getvalue()
    path = tmp_path_factory.mktemp("spoilt") / "a.png"
    path.write_bytes(good[:at] + data + good[at + len(data) :])
    with contextlib.suppress(BadFile):
        assert open_photo(path).mode == "RGB"


@pytest.mark.parametrize(
    ("size", "area", "adapted"),
    [
        ((384, 384), 384 * 384, (384, 384)),
        ((288, 512), 384 * 384, (288, 512)),
        ((4000, 3000), 384 * 384, (448, 336)),
        ((3000, 4000), 384 * 384, (336, 448)),
        ((1, 1), 384 * 384, (384, 384)),
        ((4000, 1000), 384 * 384, (768, 192)),
        ((1280, 720), 1280 * 720, (1280, 720)),
        ((3840, 2160), 832 * 480, (848, 480)),
        ((1200, 800), 1280 * 720, (1168, 784)),  # sqrt(921600 * 1.5) = 1175.8, 73.5 times 16
        ((800, 1200), 1280 * 720, (784, 1168)),
    ],
)
def test_a_clip_follows_the_photos_shape(size, area, adapted):
    """The trained area is kept, and both sides divide by 16."""
    assert adapt(size, area, 16) == adapted


@given(st.integers(100, 8000), st.floats(0.25, 4))
def test_the_nearest_size_is_taken(width, ratio):
    """Sides lie within half of 16 of the exact ones, whatever the photo's shape."""
    height = round(width * ratio)
    wide, high = adapt((width, height), 832 * 480, 16)
    assert wide % 16 == high % 16 == 0
    assert abs(wide - (832 * 480 * width / height) ** 0.5) <= 8
    assert abs(high - (832 * 480 * height / width) ** 0.5) <= 8
