"""One still picture of a delivery: framed, what lies over it drawn, saved as the platform takes it.

Also the cover of a clip, which is a still of its first frame. Knows nothing of nodes.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from PIL import Image

from configs.base import Declaration
from configs.errors import Rejected
from tasks.framing import Framing
from tasks.layers import Stamp, Titles

Format = Literal["jpeg", "png", "webp"]


class StillFile(Declaration):
    """What decides the bytes of one finished still; an export node's params."""

    framing: Framing
    format: Format
    quality: int
    max_bytes: int | None
    titles_at: float = 0.0
    """The second of the titles that it shows."""

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return self.framing.size

    def make(
        self,
        picture: Image.Image,
        path: Path,
        *,
        titles: Titles | None = None,
        stamps: Sequence[Stamp] = (),
    ) -> None:
        """Write the file; `stamps` lie over the titles, from below to above.

        Raises:
            Rejected: where it is larger than the platform takes.
            StageFailed: where the titles cannot be drawn.
        """
        frame = self.framing.draw(picture)
        if titles is not None:
            frame = titles.lay(frame, self.titles_at)
        for stamp in stamps:
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
