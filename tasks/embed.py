"""Metadata into finished files and out of them, with not one byte of pixels or sound touched.

Stills: the XMP packet (Adobe's XMP specification, part 3). MP4: the packet in a box at the end, and
key-value pairs in `moov.udta.meta`, where China's TC260-PG-20257A looks for `AIGC`.
"""

from __future__ import annotations

import struct
import subprocess
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path

from configs.errors import BadFile
from tasks import ffmpeg

JPEG_XMP = b"http://ns.adobe.com/xap/1.0/\0"
PNG_XMP = b"XML:com.adobe.xmp"
MP4_XMP = bytes.fromhex("be7acfcb97a942e89c71999491e3afac")
"""The `uuid` of a box that holds XMP."""

MOST_READ = 16 * 2**20
"""Bytes of a packet that is looked at; ours have 2,000."""


def write_still(source: Path, target: Path, packet: bytes) -> None:
    """Copy a JPEG, PNG or WebP without XMP, with `packet` in it."""
    data = source.read_bytes()
    if data[:2] == b"\xff\xd8":
        made = _into_jpeg(data, packet)
    elif data[:4] == b"\x89PNG":
        made = _into_png(data, packet)
    else:
        made = _into_webp(data, packet)
    target.write_bytes(made)


def write_clip(
    source: Path, target: Path, packet: bytes, keys: Mapping[str, str], *, edit_list: bool
) -> None:
    """Copy an MP4 with `keys` and `packet` in it; its streams are copied as they are.

    Raises:
        StageFailed: where ffmpeg fails.
    """
    pairs = [word for name, value in keys.items() for word in ("-metadata", f"{name}={value}")]
    flags = "+faststart+use_metadata_tags" + ("" if edit_list else "+negative_cts_offsets")
    arguments = [
        *("-i", str(source), "-map", "0", "-c", "copy", "-fflags", "+bitexact"),
        *("-map_metadata", "-1", *pairs, "-movflags", flags),
        *(() if edit_list else ("-use_editlist", "0")),
        *("-f", "mp4", str(target)),
    ]
    ffmpeg.run(arguments)
    with target.open("ab") as file:  # behind all else, where no offset points past it
        file.write(struct.pack(">I4s", 24 + len(packet), b"uuid") + MP4_XMP + packet)


def _into_jpeg(data: bytes, packet: bytes) -> bytes:
    """Put the segment behind those that must come first: JFIF's and Exif's."""
    at = 2
    while data[at : at + 2] in (b"\xff\xe0", b"\xff\xe1"):
        at += 2 + int.from_bytes(data[at + 2 : at + 4])
    body = JPEG_XMP + packet
    return data[:at] + b"\xff\xe1" + struct.pack(">H", 2 + len(body)) + body + data[at:]


def _into_png(data: bytes, packet: bytes) -> bytes:
    """Put the chunk behind IHDR: a signature of 8 bytes, then 4 + 4 + 13 + 4."""
    body = b"iTXt" + PNG_XMP + b"\0\0\0\0\0" + packet
    chunk = struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
    return data[:33] + chunk + data[33:]


def _into_webp(data: bytes, packet: bytes) -> bytes:
    """Put the chunk last, and a VP8X header in front, which alone allows it."""
    chunks = dict(_chunks(data))
    if b"VP8X" in chunks:
        raise BadFile("a WebP that is extended already is not ours")
    width, height = _webp_size(chunks)
    header = struct.pack("<I", 0x04) + (width - 1).to_bytes(3, "little")
    header += (height - 1).to_bytes(3, "little")
    parts = {b"VP8X": header, **chunks, b"XMP ": packet}
    body = b"".join(
        kind + struct.pack("<I", len(part)) + part + b"\0" * (len(part) % 2)
        for kind, part in parts.items()
    )
    return b"RIFF" + struct.pack("<I", 4 + len(body)) + b"WEBP" + body


def _webp_size(chunks: Mapping[bytes, bytes]) -> tuple[int, int]:
    """Return width and height as a lossy frame's header says them (RFC 6386, 9.1)."""
    if b"VP8 " not in chunks:
        raise BadFile("a WebP that is not lossy is not ours")
    width, height = struct.unpack_from("<HH", chunks[b"VP8 "], 6)
    return width & 0x3FFF, height & 0x3FFF


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = 12
    while at + 8 <= len(data):
        kind, length = struct.unpack_from("<4sI", data, at)
        yield kind, data[at + 8 : at + 8 + length]
        at += 8 + length + length % 2


def read_packet(path: Path) -> bytes:
    """Return the XMP packet of any JPEG, PNG, WebP or MP4; empty where there is none."""
    with path.open("rb") as file:
        head = file.read(12)
    if head[4:8] == b"ftyp":
        return _of_mp4(path)
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(path, formats=("JPEG", "PNG", "WEBP")) as image:
            found = image.info.get("xmp") or image.info.get("XML:com.adobe.xmp") or b""
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError):
        return b""
    return found.encode() if isinstance(found, str) else bytes(found)[:MOST_READ]


def _of_mp4(path: Path) -> bytes:
    end = path.stat().st_size
    with path.open("rb") as file:
        while file.tell() + 8 <= end:
            start = file.tell()
            length, kind = struct.unpack(">I4s", file.read(8))
            if length == 1:
                (length,) = struct.unpack(">Q", file.read(8).ljust(8, b"\0"))
            if length < file.tell() - start:
                return b""
            if kind == b"uuid" and file.read(16) == MP4_XMP:
                return file.read(min(length - 24, MOST_READ))
            file.seek(start + length)
    return b""


def read_keys(path: Path) -> dict[str, str]:
    """Return the key-value pairs of an MP4, as ffmpeg finds them; empty where it finds none."""
    said = subprocess.run(
        [ffmpeg.binary(), "-v", "error", "-nostdin", "-i", str(path), "-f", "ffmetadata", "pipe:1"],
        capture_output=True,
        check=False,
        timeout=60,
    ).stdout.decode(errors="replace")
    plain = said.replace("\\\n", "\n").split("\n[")[0]
    pairs = (line.partition("=") for line in plain.splitlines()[1:])
    return {_unescaped(name): _unescaped(value) for name, equals, value in pairs if equals}


def _unescaped(text: str) -> str:
    r"""Undo what ffmetadata escapes: `=`, `;`, `#`, `\`."""
    made, rest = "", text
    while rest:
        before, slash, after = rest.partition("\\")
        made, rest = made + before + (after[:1] if slash else ""), after[1:] if slash else ""
    return made
