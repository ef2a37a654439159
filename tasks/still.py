"""One still picture of a delivery: framed, stamped with the logo, saved as the platform takes it.

Also the cover of a clip, which is a still of its first frame. Knows nothing of nodes.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from PIL import Image

from configs.base import Declaration, Json
from configs.errors import Rejected
from tasks.framing import Framing, Rect

Format = Literal["jpeg", "png", "webp"]


class StillFile(Declaration):
    """What decides the bytes of one finished still; an export node's params."""

    framing: Framing
    format: Format
    quality: int
    max_bytes: int | None

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return self.framing.size

    def save_options(self) -> dict[str, Json]:
        """Return what Pillow's `save` is told."""
        if self.format == "jpeg":  # 4:4:4: a red logo on white frays at half the colour samples
            return {
                "quality": self.quality,
                "subsampling": 0,
                "progressive": True,
                "optimize": True,
            }
        if self.format == "webp":
            return {"quality": self.quality, "method": 4}
        return {"compress_level": 6}

    def make(self, picture: Image.Image, overlay: Path | None, path: Path) -> None:
        """Write the file.

        Raises:
            Rejected: where it is larger than the platform takes.
        """
        frame = self.framing.draw(picture)
        if overlay is not None:
            stamp(frame, overlay)
        frame.save(path, self.format, **self.save_options())
        size = path.stat().st_size
        if self.max_bytes is not None and size > self.max_bytes:
            raise Rejected(
                f"the still has {size} bytes, above {self.max_bytes}: lower export.quality"
            )


def stamp_of(overlay: Path) -> Rect | None:
    """Return the even rectangle of an overlay that is not empty, None where all of it is."""
    with Image.open(overlay) as image:
        box = image.getchannel("A").getbbox()
        if box is None:
            return None
        left, top = box[0] // 2 * 2, box[1] // 2 * 2
        right, bottom = (-(-end // 2) * 2 for end in box[2:])
    return left, top, right - left, bottom - top


def stamp(frame: Image.Image, overlay: Path) -> None:
    """Lay the overlay's logo over `frame`, at the same place in a frame of another size.

    The logo keeps its share of the width, and the ratio between the free space on its two sides.
    """
    area = stamp_of(overlay)
    if area is None:
        return
    x, y, width, height = area
    with Image.open(overlay) as image:
        logo = image.crop((x, y, x + width, y + height))
        scale = frame.width / image.width
        if frame.size != image.size:
            logo = logo.resize((round(width * scale), round(height * scale)))
            x = round(x / max(1, image.width - width) * (frame.width - logo.width))
            y = round(y / max(1, image.height - height) * (frame.height - logo.height))
    frame.paste(logo, (x, y), logo)
