"""Bytes: assets by their SHA-256 alone, with ranges for players, and posters.

No request names a path: what it names is looked up in the catalog.
"""

from __future__ import annotations

import os
import re
import threading
from pathlib import Path

from fastapi import HTTPException, Request
from PIL import Image, UnidentifiedImageError
from starlette.responses import FileResponse, Response

from catalogs.gallery.media import Still, kept_poster
from flows.site.reading import Reading, Row

SHOWN = {
    "image/png", "image/jpeg", "image/webp", "image/gif", "image/avif", "video/mp4", "video/webm",
    "audio/mpeg", "audio/mp4", "audio/wav", "audio/flac", "text/plain", "application/json",
}  # fmt: skip
"""What a browser may show in its window: nothing here can hold a script."""
FOREVER = "private, max-age=31536000, immutable"
KNOWN = 4096
"""Assets whose rows are remembered: a file is named by its bytes, so its row stays."""


class Shelf:
    """Finds and gives the files of a home's store."""

    def __init__(self, reading: Reading) -> None:
        self.reading = reading
        self.known: dict[str, Row] = {}
        self.drawing = threading.Semaphore(os.cpu_count() or 1)  # a page asks for many at once

    def find(self, digest: str) -> tuple[Row, Path]:
        """Return what is known of an asset, and where it lies.

        Raises:
            HTTPException: 404 where there is none, 410 where its bytes were collected.
        """
        row = self.known.get(digest) or self.reading.asset(digest)
        if row is None:
            raise HTTPException(404, "no such asset")
        if len(self.known) >= KNOWN:
            self.known.clear()
        self.known[digest] = row
        path = self.reading.file(row)
        if not path.is_file():
            raise HTTPException(410, "its file was collected; its recipe remains")
        return row, path

    def file(self, request: Request, digest: str, name: str) -> Response:
        """Answer with an asset: shown where it can hold no script, else saved under `name`."""
        row, path = self.find(digest)
        headers = {"cache-control": FOREVER, "content-security-policy": "sandbox"}
        if fresh := unchanged(request, f'"{digest}"', headers):
            return fresh
        mime = row["mime"] if row["mime"] in SHOWN else "application/octet-stream"
        saved = f"{plain(name) or digest[:16]}{path.suffix}"
        kind = "inline" if mime in SHOWN and not name else "attachment"
        return FileResponse(
            path, headers=headers, media_type=mime, filename=saved, content_disposition_type=kind
        )

    def poster(self, request: Request, digest: str) -> Response:
        """Answer with a small JPEG of a picture, drawn at the first call."""
        headers = {"cache-control": FOREVER}
        if fresh := unchanged(request, f'"{digest}.jpg"', headers):
            return fresh
        row, path = self.find(digest)
        if row["mime"] not in SHOWN or not row["mime"].startswith("image/"):
            raise HTTPException(404, "no picture")
        cache = self.reading.home.cache / "posters"
        cache.mkdir(parents=True, exist_ok=True)
        try:
            with self.drawing:
                return FileResponse(kept_poster(Still(digest, path), cache), headers=headers)
        except (UnidentifiedImageError, Image.DecompressionBombError):
            raise HTTPException(404, "its picture is damaged") from None


def unchanged(request: Request, etag: str, headers: dict[str, str]) -> Response | None:
    """Put an ETag into `headers`; return 304 where the browser has what it names."""
    headers["etag"] = etag
    if etag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    return None


def plain(name: str) -> str:
    """Return a file name for people with nothing in it that a disk or a header minds."""
    return re.sub(r"[^\w.-]+", "-", name)[:120].strip(".-")
