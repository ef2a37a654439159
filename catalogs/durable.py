"""What a commit stands on: fsync, rename, locks that end with their process, a full disk told."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from configs.errors import OutOfSpace

FULL = (errno.ENOSPC, errno.EDQUOT)


def sync(files: Sequence[Path]) -> None:
    """Wait until the files' bytes are on the disk.

    Folders are not synced: filesystems keep renames in order, so a power loss may undo the last
    seconds of renames, but never keep a later one without an earlier one.
    """
    for file in files:
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
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(handle, mode)
        yield
    finally:
        os.close(handle)


def remove(path: Path) -> None:
    """Remove a file or a folder with all in it, as far as it is there.

    An encoder that outlived its cancel may still write into the folder: a later sweep takes that.
    """
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


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
        there = next(place for place in (folder, *folder.absolute().parents) if place.exists())
        free = shutil.disk_usage(there).free / 1e6
        raise OutOfSpace(
            f"{folder}: the disk or its quota is full ({free:.0f} MB free); "
            "free some space or run `keyreel gc`, then run again: what is finished is kept"
        ) from error


def link(source: Path, target: Path, desk: Path) -> None:
    """Make `target` another name of `source`, at once, replacing what had that name.

    Where the filesystem knows no second names, or not across to `target`, it is a copy.

    Args:
        source: a file that nobody writes to.
        target: its other name; its folder is made.
        desk: a folder on the target's filesystem, which is swept after a kill.
    """
    if target.exists() and target.samefile(source):
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = desk / f".{target.name}"
    draft.unlink(missing_ok=True)
    try:
        draft.hardlink_to(source)
    except OSError:
        shutil.copyfile(source, draft)
    draft.replace(target)
