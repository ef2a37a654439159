"""What an MP4 file really is, read from its boxes; and whether that is what was asked for.

The wheel ships no ffprobe, and no process is needed: the index says it all (ISO/IEC 14496-12 and
-15). Knows nothing of nodes.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from configs.errors import BadFile, Rejected
from tasks.encode import ClipFile
from tasks.stage import Draft

INDEX_LIMIT = 64 * 2**20
"""Bytes of the largest index that is read: an hour at 60 fps takes 4 MiB."""

FOLDERS = frozenset({b"mdia", b"minf", b"stbl", b"edts"})
"""Boxes inside a track that hold other boxes."""

CHROMA = ("gray", "yuv420p", "yuv422p", "yuv444p")
PLAIN_PROFILES = frozenset({66, 77, 88})
"""Profiles of H.264 that are always 4:2:0; the configuration of all others says how it is."""

BT709 = (1, 1, 1)
STEREO = ("aac", 2, 48_000)


@dataclass(frozen=True, slots=True)
class Facts:
    """What a file says of itself."""

    width: int
    height: int
    fps: float
    frames: int
    seconds: float
    codec: str
    pixel_format: str
    colour: tuple[int, int, int]
    """Primaries, transfer and matrix as H.273 numbers: (1, 1, 1) is BT.709, 2 is unknown."""
    full_range: bool
    index_first: bool
    """`moov` stands before `mdat`: it plays while it loads."""
    edit_list: bool
    audio: tuple[str, int, int] | None
    """Codec, channels and samples a second of the sound."""
    bytes: int

    def draft(self, path: Path) -> Draft:
        """Return the clip at `path`, of which these are the facts, as a stage gives it."""
        size = (self.width, self.height)
        return Draft(path, "clip", "video/mp4", *size, self.frames, self.fps, self.seconds)

    @property
    def bitrate(self) -> float:
        """Bits a second of all there is in the file."""
        return 8 * self.bytes / self.seconds


def probe(path: Path) -> Facts:
    """Return the facts of the MP4 file at `path`.

    Raises:
        BadFile: where it is no MP4, is cut off, or holds no H.264 track.
    """
    try:
        order, index = _top(path)
        tracks = [_track(body) for kind, body in _boxes(index) if kind == b"trak"]
        handlers = [track[b"hdlr"][8:12] for track in tracks]
        video = tracks[handlers.index(b"vide")]
        frames, seconds = _length(video)
        picture = _picture(video[b"stsd"])
        return Facts(
            **picture,
            fps=round(frames / seconds, 3),
            frames=frames,
            seconds=round(seconds, 6),
            index_first=order.index(b"moov") < order.index(b"mdat"),
            edit_list=any(b"elst" in track for track in tracks),
            audio=_sound(tracks[handlers.index(b"soun")][b"stsd"]) if b"soun" in handlers else None,
            bytes=path.stat().st_size,
        )
    except (KeyError, ValueError, IndexError, struct.error, ZeroDivisionError) as error:
        raise BadFile(f"{path.name}: not a readable MP4 clip ({error})") from error


def _top(path: Path) -> tuple[list[bytes], bytes]:
    """Return the kinds of the file's own boxes in order, and the body of `moov`."""
    order, index, end = [], b"", path.stat().st_size
    with path.open("rb") as file:
        while file.tell() < end:
            start = file.tell()
            length, kind = struct.unpack(">I4s", file.read(8))
            if length == 1:
                (length,) = struct.unpack(">Q", file.read(8))
            if length < file.tell() - start or start + length > end:
                raise ValueError(f"box {kind!r} is cut off")
            if kind == b"moov":
                index = file.read(min(start + length - file.tell(), INDEX_LIMIT))
            order.append(kind)
            file.seek(start + length)
    return order, index


def _boxes(body: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = 0
    while at < len(body):
        length, kind = struct.unpack_from(">I4s", body, at)
        if length < 8 or at + length > len(body):
            raise ValueError(f"box {kind!r} is cut off")
        yield kind, body[at + 8 : at + length]
        at += length


def _track(body: bytes) -> dict[bytes, bytes]:
    """Return all boxes inside a track by kind."""
    found: dict[bytes, bytes] = {}
    for kind, inner in _boxes(body):
        found |= _track(inner) if kind in FOLDERS else {kind: inner}
    return found


def _length(track: Mapping[bytes, bytes]) -> tuple[int, float]:
    """Return frames and seconds: `stts` counts frames of equal duration."""
    header = track[b"mdhd"]
    (timescale,) = struct.unpack_from(">I", header, 20 if header[0] else 12)
    runs = list(struct.iter_unpack(">II", track[b"stts"][8:]))
    frames = sum(count for count, _ in runs)
    return frames, sum(count * duration for count, duration in runs) / timescale


def _picture(descriptions: bytes) -> dict[str, Any]:
    """Return what the first sample description says of the pixels."""
    kind, body = next(_boxes(descriptions[8:]))
    if kind != b"avc1":
        raise ValueError(f"its pictures are {kind!r}, not H.264")
    width, height = struct.unpack_from(">HH", body, 24)
    inner = dict(_boxes(body[78:]))
    tag, *colour, full = struct.unpack(">4sHHHB", inner.get(b"colr", b"nclx\0\2\0\2\0\2\0"))
    return {
        "width": width,
        "height": height,
        "codec": "h264",
        "pixel_format": _pixel_format(inner[b"avcC"]),
        "colour": tuple(colour) if tag == b"nclx" else (2, 2, 2),
        "full_range": bool(full & 0x80),
    }


def _sound(descriptions: bytes) -> tuple[str, int, int]:
    """Return codec, channels and samples a second of the first sample description."""
    kind, body = next(_boxes(descriptions[8:]))
    (channels,) = struct.unpack_from(">H", body, 16)
    (rate,) = struct.unpack_from(">H", body, 24)
    return "aac" if kind == b"mp4a" else kind.decode("latin-1"), channels, rate


def _pixel_format(configuration: bytes) -> str:
    """Return it from the decoder configuration, which stands behind the parameter sets."""
    if configuration[1] in PLAIN_PROFILES:
        return "yuv420p"
    at = 5
    for mask in (0x1F, 0xFF):
        sets, at = configuration[at] & mask, at + 1
        for _ in range(sets):
            at += 2 + int.from_bytes(configuration[at : at + 2])
    return CHROMA[configuration[at] & 3]


def check(facts: Facts, asked: ClipFile) -> None:
    """Compare a finished file with what was asked for.

    Raises:
        Rejected: naming everything that differs.
    """
    width, height = asked.framing.size
    wanted = {
        "width": width,
        "height": height,
        "frames": asked.pace.frames,
        "fps": round(asked.pace.fps, 3),
        "codec": "h264",
        "pixel_format": "yuv420p",
        "colour": BT709,
        "full_range": False,
        "index_first": True,
        "audio": None if asked.audio == "none" else STEREO,
    }
    if not asked.edit_list:
        wanted["edit_list"] = False
    wrong = [
        f"{name} is {getattr(facts, name)}, not {value}"
        for name, value in wanted.items()
        if getattr(facts, name) != value
    ]
    if asked.max_bytes and facts.bytes > asked.max_bytes:
        wrong.append(f"it has {facts.bytes} bytes, above {asked.max_bytes}: raise export.crf")
    if asked.max_bitrate and facts.bitrate > asked.max_bitrate:
        wrong.append(
            f"it has {facts.bitrate:.0f} bits a second, above {asked.max_bitrate}: raise export.crf"
        )
    if wrong:
        raise Rejected(f"the finished clip is not what was asked for: {'; '.join(wrong)}")
