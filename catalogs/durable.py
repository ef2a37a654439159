"""What a commit stands on: fsync, rename, locks that end with their process, a full disk told."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from configs.errors import OutOfSpace

FULL = (errno.ENOSPC, errno.EDQUOT)


def sync(files: Sequence[Path]) -> None:
    """Wait until the files' bytes are on the disk: side by side, so that it joins their flushes.

    Folders are not synced: filesystems keep renames in order, so a power loss may undo the last
    seconds of renames, but never keep a later one without an earlier one.
    """
    with ThreadPoolExecutor(len(files)) as threads:
        for _ in threads.map(_sync, files):
            pass


def _sync(file: Path) -> None:
    handle = os.open(file, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def move(source: Path, target: Path) -> None:
    """Rename `source`, now never to be written again, over `target`."""
    source.chmod(0o444)
    target.parent.mkdir(parents=True, exist_ok=True)
    source.replace(target)


@contextmanager
def locked(path: Path, mode: int) -> Iterator[None]:
    """Hold a flock (`LOCK_SH` or `LOCK_EX`) on `path`; the kernel drops it with the process."""
    with path.open("ab") as file:
        fcntl.flock(file, mode)
        yield


@contextmanager
def telling_of_space(folder: Path) -> Iterator[None]:
    """Turn the system's "no space left" and "quota exceeded" into what a person can do.

    Raises:
        OutOfSpace: in their place.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in FULL:
            raise
        free = shutil.disk_usage(folder).free / 1e6
        raise OutOfSpace(
            f"{folder}: the disk or its quota is full ({free:.0f} MB free); "
            "free some space or run `keyreel gc`, then run again: what is finished is kept"
        ) from error
