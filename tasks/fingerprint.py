"""What a picture or clip looks like, in 64 bits a frame: how a stripped copy is found again.

A file is hostile until opened here: ffmpeg is told what it is, so that no playlist passes for one.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

from PIL import Image

from configs.errors import BadFile
from tasks import ffmpeg
from tasks.photo import open_photo
from tasks.quality import fingerprint

SIDE = 64
"""Pixels of a frame that is hashed: the hash itself looks at 32."""

MOST_FRAMES = 64
MOST_SECONDS = 60

LIKE = 10
"""Of 64 bits: copies differ by up to 8 (JPEG at quality 75 of half the size), strangers by 32."""


def of_still(path: Path) -> tuple[int, ...]:
    """Return the fingerprint of a picture.

    Raises:
        BadFile: where it is no picture.
    """
    return (_bits(open_photo(path)),)


def of_clip(path: Path, *, sparse: bool = False) -> tuple[int, ...]:
    """Return the fingerprints of a clip's frames.

    Args:
        path: an MP4, MOV, MKV or WebM file.
        sparse: only the frames that stand alone, one in two seconds of ours; else two a second.

    Raises:
        BadFile: where nothing in it can be played.
    """
    before = ("-skip_frame", "nokey") if sparse else ()
    rate = () if sparse else ("fps=2",)
    shape = ",".join((*rate, f"scale={SIDE}:{SIDE}:flags=area"))
    words = [
        *("-v", "error", "-nostdin", "-protocol_whitelist", "file,pipe", "-t", str(MOST_SECONDS)),
        *(*before, "-f", _kind(path), "-i", str(path), "-map", "0:v:0", "-vf", shape),
        *("-fps_mode", "passthrough", "-frames:v", str(MOST_FRAMES), "-pix_fmt", "rgb24"),
        *("-f", "rawvideo", "pipe:1"),
    ]
    try:
        done = subprocess.run(
            [ffmpeg.binary(), *words], capture_output=True, check=False, timeout=MOST_SECONDS
        )
    except subprocess.TimeoutExpired:
        raise BadFile(
            f"{path.name}: took over {MOST_SECONDS} s to read; give a shorter clip"
        ) from None
    frames = tuple(_frames(done.stdout))
    if not frames:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        raise BadFile(f"{path.name}: cannot be played: {said[-1] if said else 'no picture in it'}")
    return frames


def is_clip(path: Path) -> bool:
    """Say whether a file begins as clips do that are read here."""
    with path.open("rb") as file:
        head = file.read(12)
    return (head[4:8] == b"ftyp" and head[8:12] != b"avif") or head[:4] == b"\x1a\x45\xdf\xa3"


def _kind(path: Path) -> str:
    with path.open("rb") as file:
        return "matroska" if file.read(4) == b"\x1a\x45\xdf\xa3" else "mov"


def _frames(raw: bytes) -> Iterator[int]:
    size = 3 * SIDE * SIDE
    for at in range(0, len(raw) - size + 1, size):
        yield _bits(Image.frombytes("RGB", (SIDE, SIDE), raw[at : at + size]))


def _bits(image: Image.Image) -> int:
    """Return the 64 bits as a signed number, which is what the catalog's BIGINT holds."""
    return int.from_bytes(bytes.fromhex(fingerprint(image)[:16]), signed=True)
