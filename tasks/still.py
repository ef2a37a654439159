"""One still picture of a delivery: framed, stamped with the logo, saved as the platform takes it.

Also the cover of a clip, which is a still of its first frame. Knows nothing of nodes.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from PIL import Image

from configs.base import Declaration
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

    def make(self, picture: Image.Image, stamp: Stamp | None, path: Path) -> None:
        """Write the file.

        Raises:
            Rejected: where it is larger than the platform takes.
        """
        frame = self.framing.draw(picture)
        if stamp is not None:
            stamp.lay(frame)
        frame.save(path, self.format, **self._options())
        size = path.stat().st_size
        if self.max_bytes is not None and size > self.max_bytes:
            raise Rejected(
                f"the still has {size} bytes, above {self.max_bytes}: lower export.quality"
            )

    def _options(self) -> dict[str, int | bool]:
        if self.format == "png":
            return {"compress_level": 6}
        if self.format == "webp":
            return {"quality": self.quality, "method": 4}
        # 4:4:4, since a red logo on white frays at half the colour samples.
        return {"quality": self.quality, "subsampling": 0, "progressive": True}


@dataclass(frozen=True, slots=True)
class Stamp:
    """The part of an overlay that is not empty."""

    overlay: Path
    frame: tuple[int, int]
    """Width and height of the overlay."""
    area: Rect

    @classmethod
    def of(cls, overlay: Path) -> Stamp | None:
        """Return an overlay's stamp, None where it has none."""
        with Image.open(overlay) as image:
            box = image.getchannel("A").getbbox()
            if box is None:
                return None
            left, top = box[0] // 2 * 2, box[1] // 2 * 2
            right, bottom = (-(-end // 2) * 2 for end in box[2:])
            return cls(overlay, image.size, (left, top, right - left, bottom - top))

    def lay(self, frame: Image.Image) -> None:
        """Lay it over `frame`, at the same place in a frame of another size.

        It keeps its share of the width, and the ratio between the free space on its two sides.
        """
        x, y, width, height = self.area
        with Image.open(self.overlay) as image:
            logo = image.crop((x, y, x + width, y + height))
        if frame.size != self.frame:
            scale = frame.width / self.frame[0]
            logo = logo.resize((round(width * scale), round(height * scale)))
            x = round(x / max(1, self.frame[0] - width) * (frame.width - logo.width))
            y = round(y / max(1, self.frame[1] - height) * (frame.height - logo.height))
        frame.paste(logo, (x, y), logo)
