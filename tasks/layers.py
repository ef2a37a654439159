"""What lies over a picture: stamps, which are pictures themselves, and titles.

Drawn twice from one description: on a still by Pillow and on a clip in ffmpeg's graph, but titles
by libass in both, so that text is set by one renderer.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from tasks import ffmpeg
from tasks.framing import Rect
from tasks.spot import Area


@dataclass(frozen=True, slots=True)
class Stamp:
    """The part of an overlay that is not empty."""

    overlay: Path
    frame: tuple[int, int]
    """Width and height of the overlay."""
    area: Rect
    until: float | None = None
    """Over a clip, the second at which it goes; None: it stands throughout."""

    @classmethod
    def of(cls, overlay: Path, until: float | None = None) -> Stamp | None:
        """Return an overlay's stamp, None where it has none."""
        with Image.open(overlay) as image:
            box = image.getchannel("A").getbbox()
            if box is None:
                return None
            left, top = box[0] // 2 * 2, box[1] // 2 * 2
            right, bottom = (-(-end // 2) * 2 for end in box[2:])
            area = (left, top, right - left, bottom - top)
            return cls(overlay, image.size, area, until)

    def lay(self, frame: Image.Image) -> None:
        """Lay it over `frame`, at the same place in a frame of another size.

        It keeps its share of the short side, as the law counts a label's height, and the ratio
        between the free space on its two sides; nothing of it is cut off.
        """
        x, y, width, height = self.area
        with Image.open(self.overlay) as image:
            logo = image.crop((x, y, x + width, y + height))
        if frame.size != self.frame:
            short = min(frame.size) / min(self.frame)
            scale = min(short, frame.width / width, frame.height / height)
            size = max(1, round(width * scale)), max(1, round(height * scale))
            logo = logo.resize(size)
            x = round(x / max(1, self.frame[0] - width) * (frame.width - logo.width))
            y = round(y / max(1, self.frame[1] - height) * (frame.height - logo.height))
        frame.paste(logo, (x, y), logo)

    def links(self, image: str, ground: str, target: str) -> list[str]:
        """Return the links that blend it, read from the input pad `image`, into its own box."""
        x, y, width, height = self.area
        gone = "" if self.until is None else f":enable='lt(t,{self.until:g})'"
        return [
            f"[{image}]crop={width}:{height}:{x}:{y},{ffmpeg.TO_YUV},format=yuva420p[{target}l]",
            f"[{ground}][{target}l]overlay={x}:{y}{gone}[{target}]",
        ]


@dataclass(frozen=True, slots=True)
class Titles:
    """An ASS file with the fonts it needs inside."""

    path: Path
    frame: tuple[int, int]
    """Width and height of the frame that they were set for."""

    def filter(self) -> str:
        """Return ffmpeg's filter that draws them at the time of each frame."""
        width, height = self.frame
        return f"ass=f={ffmpeg.word(str(self.path))}:original_size={width}x{height}"

    def lay(self, frame: Image.Image, at: float) -> Image.Image:
        """Return `frame` as RGB with the titles of the second `at` over it.

        In a frame of another shape they stand in the middle part of their own shape: libass would
        stretch the letters.

        Raises:
            StageFailed: where ffmpeg fails.
        """
        laid, area = frame.convert("RGB"), self._area(frame.size)
        part = laid.crop(area)
        with tempfile.NamedTemporaryFile(suffix=".rgb") as drawn:
            arguments = [
                *("-f", "rawvideo", "-pix_fmt", "rgb24"),
                *("-s", f"{part.width}x{part.height}", "-i", "pipe:0"),
                *("-vf", f"setpts=PTS+{at:g}/TB,{self.filter()},format=rgb24"),
                *("-frames:v", "1", "-f", "rawvideo", drawn.name),
            ]
            ffmpeg.run(arguments, frames=[part.tobytes()])
            laid.paste(Image.frombytes("RGB", part.size, drawn.read()), area)
        return laid

    def _area(self, size: tuple[int, int]) -> Area:
        """Return the largest part of a frame of that size that has the shape they were set for."""
        scale = min(size[0] / self.frame[0], size[1] / self.frame[1])
        width, height = (
            min(own, round(side * scale)) for own, side in zip(size, self.frame, strict=True)
        )
        left, top = (size[0] - width) // 2, (size[1] - height) // 2
        return left, top, left + width, top + height
