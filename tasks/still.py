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
    mark: bool = False
    """It bears an invisible mark, which leads back to the node that made it."""

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
        key: str = "",
    ) -> None:
        """Write the file; `stamps` lie over the titles, from below to above.

        Args:
            picture: what is framed.
            path: of the file.
            titles: over the picture.
            stamps: over the titles.
            key: of the node that makes it, for the mark.

        Raises:
            Rejected: where it is larger than the platform takes.
            StageFailed: where the titles cannot be drawn.
        """
        frame = self.framing.draw(picture)
        if titles is not None:
            frame = titles.lay(frame, self.titles_at)
        for stamp in stamps:
            stamp.lay(frame)
        if self.mark:
            import numpy as np  # plans start without it: 0.1 s

            from gpu.mark.mark import embed, payload_of

            frame = Image.fromarray(embed(np.asarray(frame), payload_of(key)))
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
        # 4:4:4, since a red logo on white frays at half the colour samples. Not progressive: that
        # takes three times as long for 5 % fewer bytes.
        return {"quality": self.quality, "subsampling": 0, "optimize": True}
