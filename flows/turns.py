"""One flow run at a time draws on a GPU, where no resident process keeps order there.

A lock of the machine's, not a limit of Prefect's: it ends with its process, however that ends,
costs no request, and holds between a worker's runs and `keyreel run` alike. What runs side by side
of one deployment is Prefect's part (`concurrency_limit` in prefect.yaml).
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from flows.resident import folder
from gpu.service.client import Client
from tasks.stage import Studio

ASK_SECONDS = 0.2


@contextmanager
def turn(lane: str, studio: Studio) -> Iterator[None]:
    """Hold the GPU while the block draws; wait for it where another process does.

    Raises:
        Interrupted: where the run is cancelled while it waits.
    """
    if lane != "gpu" or Client(folder(studio.home)).found():
        yield
        return
    # Nobody else's link is followed: the folder is everybody's.
    handle = os.open(lock_file(), os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    try:
        while not _taken(handle):
            studio.heed("waiting for the GPU")
            time.sleep(ASK_SECONDS)
        yield
    finally:
        os.close(handle)


def lock_file() -> Path:
    """Return the lock of the cards that this process sees, one for each user of the machine."""
    cards = os.environ.get("CUDA_VISIBLE_DEVICES", "")
    named = hashlib.sha256(cards.encode()).hexdigest()[:8]
    return Path(tempfile.gettempdir()) / f"keyreel-gpu-{os.getuid()}-{named}.lock"


def _taken(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
