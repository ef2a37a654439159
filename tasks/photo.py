"""A customer's own photo: opened safely, turned upright, and made plain sRGB.

A photo is hostile until opened here: it may be no image, a decompression bomb, or cut short.
"""

from __future__ import annotations

import io
import math
import struct
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import ExifTags, Image, ImageCms, ImageOps, UnidentifiedImageError

from configs.errors import BadFile

MOST_PIXELS = 50_000_000
"""A 50-megapixel photo takes 150 MB as RGB, and twice that while it is converted."""

LEAST_SIDE = 8
"""Pixels: one of a model's latents covers as many, and a frame is cut to whole pairs of them."""

FORMATS = ("PNG", "JPEG", "WEBP", "TIFF", "BMP", "GIF", "AVIF")
"""Pillow opens dozens more, among them PostScript, which runs a program."""

WHITE = (255, 255, 255)

QUARTER_TURNS = range(5, 9)
"""EXIF orientations that swap width and height."""


def size_of(path: Path) -> tuple[int, int]:
    """Return width and height in pixels after EXIF orientation, reading the header only.

    Raises:
        BadFile: where it is missing, no image, of several frames, or too large.
    """
    with _opened(path) as image:
        width, height = image.size
        turned = image.getexif().get(ExifTags.Base.Orientation) in QUARTER_TURNS
        return (height, width) if turned else (width, height)


def open_photo(path: Path, ground: tuple[int, int, int] = WHITE) -> Image.Image:
    """Return the photo upright, in 8-bit sRGB, with what is transparent filled by `ground`.

    Raises:
        BadFile: as `size_of`, or where its data or colour profile is broken.
    """
    with _opened(path) as image:
        upright = ImageOps.exif_transpose(image)
        if upright.mode.startswith("I"):  # 16 bits a channel, which `convert` would clip
            upright = upright.point(lambda value: value / 257).convert("L")
        if not upright.has_transparency_data:
            return _srgb(upright)
        flat = Image.new("RGB", upright.size, ground)
        flat.paste(_srgb(upright), mask=upright.convert("RGBA").getchannel("A"))
        return flat


def adapt(size: tuple[int, int], area: int, multiple: int) -> tuple[int, int]:
    """Return the clip's size for a picture of `size`: its shape, at about `area` pixels.

    With r = height / width: width = sqrt(area / r), height = sqrt(area * r), each rounded to
    `multiple`; the picture is then resized straight, without a crop. This is TurboDiffusion's
    adaptive resolution (wan2.2_i2v_infer.py).

    Args:
        size: width and height of the picture in pixels.
        area: width times height that the model was trained at.
        multiple: both sides divide by it.
    """
    shape = size[1] / size[0]
    width, height = math.sqrt(area / shape), math.sqrt(area * shape)
    return (
        max(1, round(width / multiple)) * multiple,
        max(1, round(height / multiple)) * multiple,
    )


@contextmanager
def _opened(path: Path) -> Iterator[Image.Image]:
    if lacking := _lacking(path):
        raise BadFile(f"{path.name}: {lacking}")
    try:
        # Pillow warns of spoilt EXIF and of more than 90 megapixels, in words for programmers.
        with warnings.catch_warnings(action="ignore"), _header(path) as image:
            _check_header(image, path.name)
            yield image
    # Pillow's readers raise any of these on bytes that lie.
    except (OSError, SyntaxError, ValueError, TypeError, RuntimeError, struct.error) as error:
        raise BadFile(f"{path.name}: is cut short or broken: {error}; export it again") from error
    except ImageCms.PyCMSError as error:
        raise BadFile(f"{path.name}: its colour profile is broken; save it as sRGB") from error


def _lacking(path: Path) -> str:
    """Return why there is nothing to open at a path; or nothing."""
    if path.is_file():
        return "" if path.stat().st_size else "is empty; export it again"
    if path.is_dir():
        return "is a folder; write the path of a picture in it"
    return "no such file"


def _header(path: Path) -> Image.Image:
    try:
        return Image.open(path, formats=FORMATS)
    except Image.DecompressionBombError as error:
        raise BadFile(f"{path.name}: {error}; make it smaller") from error
    except UnidentifiedImageError as error:
        raise BadFile(
            f"{path.name}: is not an image of a kind that is read; save it as PNG or JPEG"
        ) from error


def _check_header(image: Image.Image, name: str) -> None:
    width, height = image.size
    if width * height > MOST_PIXELS:
        raise BadFile(
            f"{name}: has {width}x{height} = {width * height / 1e6:.0f} megapixels; at most "
            f"{MOST_PIXELS // 1_000_000} are taken: make it smaller"
        )
    if min(width, height) < LEAST_SIDE:
        raise BadFile(
            f"{name}: has {width}x{height} pixels; take one whose sides have {LEAST_SIDE} or more"
        )
    # A phone's MPO is a JPEG followed by others, such as its depth map.
    if getattr(image, "is_animated", False) and image.format != "MPO":
        raise BadFile(f"{name}: has several frames or pages; save one of them as PNG")
    if image.mode == "F":
        raise BadFile(f"{name}: has floating-point levels; save it as 8-bit PNG")


def _srgb(image: Image.Image) -> Image.Image:
    """Return the colours of an image as RGB in sRGB."""
    if not image.info.get("icc_profile"):
        return image.convert("RGB")
    profile = ImageCms.ImageCmsProfile(io.BytesIO(image.info["icc_profile"]))
    stored = {"GRAY": "L", "CMYK": "CMYK"}.get(profile.profile.xcolor_space.strip(), "RGB")
    converted = ImageCms.profileToProfile(
        image.convert(stored),
        profile,
        ImageCms.createProfile("sRGB"),
        # Keeps colours that both spaces have, where "perceptual" would move a brand's colour.
        renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
        outputMode="RGB",
        flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
    )
    assert converted is not None  # None is for conversion in place
    return converted


def small_jpeg(image: Image.Image, side: int = 320) -> bytes:
    """Return a picture as a JPEG whose longer side has `side` pixels: 5 to 15 kB."""
    scale = side / max(image.size)
    width, height = (max(1, round(edge * scale)) for edge in image.size)
    small = image.convert("RGB").resize((width, height), Image.Resampling.BICUBIC)
    data = io.BytesIO()
    small.save(data, "JPEG", quality=80)
    return data.getvalue()
