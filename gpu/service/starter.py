"""A process that ends with whoever started it, even where that was killed.

The starter holds one end of a pipe, which is this process's standard input: the kernel closes it.
"""

from __future__ import annotations

import os
import signal
import stat
import threading
import time


def end_with_the_starter() -> None:
    """Send this process SIGTERM when its standard input, where that is a pipe, is closed."""
    if stat.S_ISFIFO(os.fstat(0).st_mode):
        threading.Thread(target=_wait_and_end, daemon=True).start()


def _wait_and_end() -> None:
    while os.read(0, 1):  # ends when the other end of the pipe is closed
        pass
    while True:  # a signal that comes between two handlers is lost
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(0.5)
