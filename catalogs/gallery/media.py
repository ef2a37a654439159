"""The files beside a page: small posters, and previews that cost no disk.

Knows nothing of shots or campaigns: it is given pictures and clips named by their bytes.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageOps

from catalogs.durable import link

POSTER_SIDE = 640  # pixels: twice the 320 that the longest side of a poster takes on a page


@dataclass(frozen=True, slots=True)
class Still:
    """A picture to make a poster from."""

    digest: str
    """In hex: equal digests are equal pictures."""
    path: Path

    @property
    def poster(self) -> str:
        """The poster's file name."""
        return f"{self.digest[:20]}.jpg"


def write_posters(stills: Iterable[Still], cache: Path, folder: Path) -> None:
    """Put a small JPEG of every still into `folder`; each is drawn once and kept in `cache`."""
    wanted = {still.poster: still for still in stills}.values()
    cache.mkdir(parents=True, exist_ok=True)

    def put(still: Still) -> None:
        link(kept_poster(still, cache), folder / still.poster, folder)

    with ThreadPoolExecutor(os.cpu_count()) as pool:  # Pillow frees the interpreter lock
        list(pool.map(put, wanted))


def kept_poster(still: Still, cache: Path) -> Path:
    """Return the poster of `still` in `cache`, where it is drawn if it is not there yet."""
    kept = cache / still.poster
    if not kept.exists():
        with tempfile.TemporaryDirectory(prefix=".", dir=cache) as desk:
            draft = Path(desk) / still.poster
            _draw_poster(still.path, draft)
            draft.replace(kept)  # once it is whole
    return kept


def _draw_poster(source: Path, target: Path) -> None:
    with Image.open(source) as opened:
        # A gap of 1 lets a JPEG be decoded at half or a quarter of its size: 3 times as fast.
        opened.thumbnail((POSTER_SIDE, POSTER_SIDE), reducing_gap=1.0)
        picture = ImageOps.exif_transpose(opened).convert("RGBA")
    ground = Image.new("RGBA", picture.size, "white")
    ground.alpha_composite(picture)
    ground.convert("RGB").save(target, "JPEG", quality=84)
