"""A customer's own photo: opened safely, turned upright, and made plain sRGB.

A photo is hostile until opened here: it may be no image, a decompression bomb, or cut short.
"""

from __future__ import annotations

import io
import math
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image, ImageCms, ImageOps, UnidentifiedImageError

from configs.errors import BadFile

MOST_PIXELS = 50_000_000
"""A 50-megapixel photo takes 150 MB as RGB, and twice that while it is converted."""

FORMATS = ("PNG", "JPEG", "WEBP", "TIFF", "BMP", "GIF", "MPO")
"""Pillow opens dozens more, among them PostScript, which runs a program."""

WHITE = (255, 255, 255)


def size_of(path: Path) -> tuple[int, int]:
    """Return width and height in pixels after EXIF orientation, reading the header only.

    Raises:
        BadFile: where it is missing, not an image, animated or too large.
    """
    with _opened(path) as image:
        width, height = image.size
        # EXIF 274 is the orientation; 5 to 8 are turned by a quarter.
        return (height, width) if image.getexif().get(274, 1) >= 5 else (width, height)


def open_photo(path: Path, ground: tuple[int, int, int] = WHITE) -> Image.Image:
    """Return the photo upright, in sRGB, with what is transparent filled by `ground`.

    Raises:
        BadFile: as `size_of`, or where its data is cut short.
    """
    with _opened(path) as image:
        try:
            image.load()
            return _flat(_srgb(ImageOps.exif_transpose(image), path), ground)
        except (OSError, SyntaxError, ValueError) as error:
            raise BadFile(
                f"{path.name}: is cut short or broken: {error}; export it again"
            ) from error


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
    try:
        with warnings.catch_warnings(action="ignore", category=Image.DecompressionBombWarning):
            image = Image.open(path, formats=FORMATS)
    except FileNotFoundError as error:
        raise BadFile(f"{path.name}: no such file") from error
    except Image.DecompressionBombError as error:
        raise BadFile(f"{path.name}: {error}") from error
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError) as error:
        raise BadFile(
            f"{path.name}: is not an image that can be read; save it as {', '.join(FORMATS[:3])}"
        ) from error
    with image:
        width, height = image.size
        if width * height > MOST_PIXELS:
            raise BadFile(
                f"{path.name}: has {width}x{height} = {width * height / 1e6:.0f} megapixels; "
                f"at most {MOST_PIXELS // 1_000_000} are taken: make it smaller"
            )
        if getattr(image, "is_animated", False) and image.format != "MPO":
            raise BadFile(f"{path.name}: is animated; save one frame of it as PNG")
        yield image


def _srgb(image: Image.Image, path: Path) -> Image.Image:
    """Return 8-bit RGB or RGBA in sRGB."""
    if image.mode in {"I", "I;16", "I;16B", "F"}:  # 16 bits a channel: Pillow would clip, not scale
        return image.point(lambda value: value / 256).convert("L").convert("RGB")
    target = "RGBA" if image.has_transparency_data else "RGB"
    profile = image.info.get("icc_profile")
    if not profile:
        return image.convert(target)
    source = image if image.mode in {"CMYK", "L"} else image.convert(target)
    converted = ImageCms.profileToProfile(
        source,
        ImageCms.ImageCmsProfile(io.BytesIO(profile)),
        ImageCms.createProfile("sRGB"),
        outputMode="RGB" if source.mode != "RGBA" else "RGBA",
    )
    assert converted is not None
    return converted


def _flat(image: Image.Image, ground: tuple[int, int, int]) -> Image.Image:
    if image.mode != "RGBA":
        return image
    flat = Image.new("RGB", image.size, ground)
    flat.paste(image, mask=image.getchannel("A"))
    return flat
