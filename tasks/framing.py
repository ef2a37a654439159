"""How a picture of one shape fills a frame of another: cut by its focal point, or padded.

The focal point is set by hand, or found once the picture is there: a crop is as large either way.

Pure numbers, which render themselves twice: as Pillow operations for stills and as an ffmpeg
filter chain for clips.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from PIL import Image, ImageFilter

from configs.base import Declaration
from tasks.saliency import best_window, salience
from tasks.stage import Photo

if TYPE_CHECKING:
    from tasks.saliency import Map

Fit = Literal["auto", "crop", "blur", "letterbox"]
Ground = Literal["none", "blur", "black"]
Rect = tuple[int, int, int, int]
"""x, y, width, height in pixels, all even: 4:2:0 video has one colour sample for 2x2 pixels."""

NEIGHBOUR = 0.70
"""A crop that keeps this share of the picture is between neighbours: 9:16 to 4:5 keeps 0.703."""

SHRINK = 8
"""The ground is blurred at an eighth of the size, where that costs nearly nothing."""

BLUR = 0.06
"""Its standard deviation as a share of the short side: 65 pixels in a frame 1080 wide."""


class Framing(Declaration):
    """Which part of a source is shown, where it stands in the frame, and on what ground."""

    size: tuple[int, int]
    """Width and height of the frame."""
    crop: Rect
    """The part of the source that is shown."""
    place: Rect
    """Where it stands in the frame."""
    ground: Ground = "none"
    behind: Rect = (0, 0, 0, 0)
    """The part of the source that is blurred to make the ground."""
    free: tuple[int, int] | None = None
    """Width and height of the source, where nobody set a focal point: the crop moves to what
    stands out once the picture is there."""

    def aimed(self, cells: Map) -> Framing:
        """Return it with a free crop moved to the window that holds the most of a map."""
        if self.free is None:
            return self
        width, height = self.free
        focus = best_window(cells, self.crop[2] / width, self.crop[3] / height)
        crop = _cover(Photo(width, height, focus), self.size[0] / self.size[1])
        return self.model_copy(update={"crop": crop, "free": None})

    def draw(self, image: Image.Image) -> Image.Image:
        """Return the frame that `image` fills, as RGB."""
        if self.free:
            return self.aimed(salience([image])).draw(image)
        image = image.convert("RGB")
        x, y, width, height = self.place
        shown = image.resize((width, height), Image.Resampling.BICUBIC, _box(self.crop))
        if self.ground == "none":
            return shown
        frame = self._blurred(image) if self.ground == "blur" else Image.new("RGB", self.size)
        frame.paste(shown, (x, y))
        return frame

    def _blurred(self, image: Image.Image) -> Image.Image:
        small = image.resize(self._small, Image.Resampling.BOX, _box(self.behind))
        soft = small.filter(ImageFilter.GaussianBlur(self._sigma))
        return soft.resize(self.size, Image.Resampling.BILINEAR)

    @property
    def _small(self) -> tuple[int, int]:
        width, height = self.size
        return _even(width / SHRINK), _even(height / SHRINK)

    @property
    def _sigma(self) -> float:
        return round(BLUR * min(self._small), 2)

    def filters(self, source: str, target: str) -> str:
        """Return the ffmpeg filters that lead from the pad `source` to the pad `target`."""
        x, y, width, height = self.place
        shown = f"{_crop(self.crop)},scale={width}:{height}:flags=bicubic,setsar=1"
        if self.ground == "none":
            return f"[{source}]{shown}[{target}]"
        if self.ground == "black":
            full_width, full_height = self.size
            return f"[{source}]{shown},pad={full_width}:{full_height}:{x}:{y}[{target}]"
        small, full = (":".join(map(str, size)) for size in (self._small, self.size))
        blur = (  # at 4:4:4: gblur counts pixels of each plane, so 4:2:0 colour would smear twice
            f"scale={small}:flags=area,format=yuv444p,gblur=sigma={self._sigma}:steps=2,"
            f"scale={full}:flags=bilinear,format=yuv420p"
        )
        return (
            f"[{source}]split[{target}f][{target}b];[{target}f]{shown}[{target}s];"
            f"[{target}b]{_crop(self.behind)},{blur},setsar=1[{target}g];"
            f"[{target}g][{target}s]overlay={x}:{y}[{target}]"
        )


def frame(source: Photo, width: int, height: int, fit: Fit) -> Framing:
    """Decide how `source` fills `width` x `height` pixels.

    Args:
        source: its size, and the point that no crop may lose where one is set by hand.
        width: of the frame, even.
        height: of the frame, even.
        fit: `auto` crops where at least 70 % of the picture is kept, and pads otherwise.
    """
    size = (width, height)
    cover = _cover(source, width / height)
    shape, wanted = source.width / source.height, width / height
    if fit == "auto":
        fit = "crop" if min(shape / wanted, wanted / shape) >= NEIGHBOUR else "blur"
    place = _inside(shape, width, height)
    whole = (0, 0, _even(source.width), _even(source.height))
    if fit == "crop" or place[2:] == size:
        free = None if source.focus or cover == whole else (source.width, source.height)
        return Framing(size=size, crop=cover, place=(0, 0, width, height), free=free)
    if fit == "letterbox":
        return Framing(size=size, crop=whole, place=place, ground="black")
    return Framing(size=size, crop=whole, place=place, ground="blur", behind=cover)


def _cover(source: Photo, shape: float) -> Rect:
    """Return the largest part of `source` of that shape, as near its focal point as it can be."""
    width = _even(min(source.width, source.height * shape))
    height = _even(min(source.height, source.width / shape))
    across, down = source.focus or (0.5, 0.5)
    x = min(max(across * source.width - width / 2, 0), source.width - width)
    y = min(max(down * source.height - height / 2, 0), source.height - height)
    return int(x) // 2 * 2, int(y) // 2 * 2, width, height


def _inside(shape: float, width: int, height: int) -> Rect:
    """Return the largest centred rectangle of that shape inside the frame."""
    inner_width = _even(min(width, height * shape))
    inner_height = _even(min(height, width / shape))
    return (
        (width - inner_width) // 4 * 2,
        (height - inner_height) // 4 * 2,
        inner_width,
        inner_height,
    )


def _even(length: float) -> int:
    return max(2, int(length + 1e-6) // 2 * 2)


def _box(rect: Rect) -> tuple[int, int, int, int]:
    x, y, width, height = rect
    return x, y, x + width, y + height


def _crop(rect: Rect) -> str:
    x, y, width, height = rect
    return f"crop={width}:{height}:{x}:{y}"
