"""Where the resident processes of one folder listen, and the token that each wants.

A file for each, which only its user may read. A flock says that its process lives: the kernel drops
it with the process, so that the address of a killed one is never taken for a living one's.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from configs.errors import BadInput

LOOKS = 20


@dataclass(frozen=True, slots=True)
class Address:
    """Where one listens."""

    url: str
    token: str
    pid: int


def living(folder: Path) -> list[Address]:
    """Return the addresses of the processes of `folder` that live, by name."""
    found = []
    for path in sorted(folder.glob("*.json")):
        with suppress(FileNotFoundError):  # it ends just now
            if _locked(path.with_suffix(".lock")):
                found.append(Address(**json.loads(path.read_text(encoding="utf-8"))))
    return found


@contextmanager
def published(folder: Path, name: str, address: Address) -> Iterator[None]:
    """Tell where the process `name` of `folder` listens, for as long as the block runs.

    Raises:
        BadInput: where one of that name lives already.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    path = folder / f"{name}.json"
    lock = os.open(path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        _take(lock, name, folder)
        write_secret(path, json.dumps(asdict(address)))
        yield
        path.unlink(missing_ok=True)
    finally:
        os.close(lock)


def write_secret(path: Path, text: str) -> None:
    """Write a file that only its user may read, whole at once."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.unlink(missing_ok=True)
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text)
    draft.replace(path)


def _take(lock: int, name: str, folder: Path) -> None:
    """Take the lock; one who only looks whether it is taken has it for a moment too."""
    for _ in range(LOOKS):
        try:
            return fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(0.05)
    raise BadInput(f"{folder}: a resident process {name} runs here already")


def _locked(path: Path) -> bool:
    """Say whether a living process holds the lock."""
    try:
        handle = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(handle)
    return False
