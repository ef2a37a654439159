"""SHA-256 of the user's files and of model folders, remembered as long as a file is not touched.

Knows nothing of images or models' insides: only whether all of a model's files are there.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from configs.errors import BadFile

WEIGHTS = {".safetensors", ".bin", ".pt", ".pth", ".ckpt", ".gguf"}
DECIDING = WEIGHTS | {".json", ".jinja", ".model", ".txt"}
"""Suffixes of the files that decide what a model draws; a README does not."""
UNFINISHED = {".incomplete", ".part", ".aria2", ".crdownload"}
"""What huggingface_hub, wget and curl front ends, aria2 and Chromium call a running download."""

SETTLED = 2.0
"""Seconds without a change before a hash is remembered: FAT keeps times to 2 s, and a file that is
changed twice within one tick would keep its old hash."""

MOST_HEADER = 100_000_000
"""The longest header that safetensors itself accepts, in bytes."""


class FileHashes:
    """Hashes by path; one is asked again when size, time of change or inode differ.

    Args:
        cache_file: JSON that can be deleted at any time.
    """

    def __init__(self, cache_file: Path) -> None:
        self.cache_file = cache_file
        self.known = _load(cache_file)

    def of(self, path: Path) -> str:
        """Return the SHA-256 of a file's bytes, in hex.

        Raises:
            BadFile: where it is missing or no regular file.
        """
        info = regular(path)
        return self._remembered(path, _touch(info), info.st_mtime, lambda: sha256(path))

    def fingerprint(self, folder: Path) -> str:
        """Return the SHA-256 over the names and hashes of the files that decide what a model draws.

        Raises:
            BadFile: where the folder is not whole; it names the missing file.
        """
        found = {path: regular(path) for path in deciding(folder)}
        lines = [f"{path.relative_to(folder)}\0{_touch(info)}" for path, info in found.items()]
        newest = max(info.st_mtime for info in found.values())
        return self._remembered(folder, _digest(lines), newest, lambda: self._whole(folder, found))

    def fingerprint_of(self, files: Mapping[str, Path]) -> str:
        """Return the SHA-256 over names and hashes of single files, wherever they lie.

        Raises:
            BadFile: where one is missing or cut short.
        """
        for path in filter(_is_weights, files.values()):
            check(path)
        return _digest(f"{name}\0{self.of(path)}" for name, path in sorted(files.items()))

    def _whole(self, folder: Path, found: Mapping[Path, os.stat_result]) -> str:
        for path in found:
            check(path)
        return _digest(f"{path.relative_to(folder).as_posix()}\0{self.of(path)}" for path in found)

    def _remembered(
        self, path: Path, touch: str, changed: float, compute: Callable[[], str]
    ) -> str:
        name = str(path.absolute())
        if (known := self.known.get(name)) and known[0] == touch:
            return known[1]
        digest = compute()
        if time.time() - changed > SETTLED:
            self.known[name] = (touch, digest)
            self._save()
        return digest

    def _save(self) -> None:
        self.cache_file.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".", dir=self.cache_file.parent) as desk:
            draft = Path(desk) / "hashes"
            draft.write_text(json.dumps(self.known), encoding="utf-8")
            draft.replace(self.cache_file)


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def regular(path: Path) -> os.stat_result:
    """Return what the filesystem says of a regular file: a pipe or a device would never end.

    Raises:
        BadFile: where it is something else, or nothing.
    """
    try:
        info = path.stat()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise BadFile(f"{str(path)!r}: {reason}; give the path of a file") from None
    if not stat.S_ISREG(info.st_mode):
        raise BadFile(f"{path}: not a file; give the path of a file")
    return info


def deciding(folder: Path) -> Sequence[Path]:
    """Return the files that decide what the model in `folder` draws, in order of their names.

    Raises:
        BadFile: where a download has not ended, or there are no weights.
    """
    if not folder.is_dir():
        raise BadFile(f"{folder}: no such model folder; download the model there")
    paths = sorted(folder.rglob("*"))
    for path in paths:
        if path.suffix in UNFINISHED:
            raise BadFile(f"{path}: a download that has not ended; download the model again")
    shown = [path for path in paths if not path.relative_to(folder).as_posix().startswith(".")]
    if not any(map(_is_weights, shown)):
        raise BadFile(f"{folder}: holds no weights; download the model there")
    return [path for path in shown if path.suffix in DECIDING]


def check(path: Path, cure: str = "download the model again") -> None:
    """Make sure that what `path` declares is there.

    Args:
        path: of one file of a model, or of an adapter.
        cure: what to do where it is not.

    Raises:
        BadFile: where it is cut short, or names a file that is missing.
    """
    try:
        if path.suffix == ".safetensors":
            _check_length(path, cure)
        for missing in (part for part in _declared(path) if not part.exists()):
            raise BadFile(f"{missing}: missing, but {path.name} names it; {cure}")
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise BadFile(f"{path}: damaged ({error!r}); {cure}") from None


def _declared(path: Path) -> Iterator[Path]:
    """Yield the files and folders that an index of shards or of components names."""
    if path.name.endswith(".index.json"):
        shards = json.loads(path.read_bytes())["weight_map"].values()
        yield from (path.parent / shard for shard in sorted(set(shards)))
    elif path.name == "model_index.json":
        parts = json.loads(path.read_bytes()).items()
        yield from (
            path.parent / name for name, kind in parts if isinstance(kind, list) and kind[0]
        )
    elif path.name == "config.json" and not any(map(_is_weights, path.parent.iterdir())):
        yield path.parent / "*.safetensors"


def _is_weights(path: Path) -> bool:
    return path.suffix in WEIGHTS


def _check_length(path: Path, cure: str) -> None:
    """Compare the file's length with its header: 8 bytes of its length, JSON, then the tensors."""
    size = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if length > min(MOST_HEADER, size - 8):
            raise BadFile(f"{path}: cut short or no safetensors file; {cure}")
        header = json.loads(file.read(length))
    ends = [entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__"]
    whole = 8 + length + max(ends, default=0)
    if size != whole:
        raise BadFile(f"{path}: has {size} of {whole} bytes; {cure}")


def _load(cache_file: Path) -> dict[str, tuple[str, str]]:
    try:
        told = json.loads(cache_file.read_bytes())
        return {str(path): (str(touch), str(digest)) for path, (touch, digest) in told.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


def _touch(info: os.stat_result) -> str:
    return f"{info.st_size} {info.st_mtime_ns} {info.st_ino}"


def _digest(lines: Iterator[str] | Sequence[str]) -> str:
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()
