"""Run a resident process: `python -m gpu.service FOLDER NAME MODULE:FUNCTION ARGUMENT`.

It tells its address in FOLDER, works with the worker that MODULE:FUNCTION(ARGUMENT) returns, and
ends on SIGTERM, on SIGINT, or when its standard input is closed: with whoever started it.
"""

from __future__ import annotations

import importlib
import logging
import os
import secrets
import signal
import socket
import sys
from pathlib import Path
from types import FrameType

from configs.errors import KeyreelError
from gpu.service.address import Address, published
from gpu.service.ask import Worker
from gpu.service.engine import Engine
from gpu.service.starter import end_with_the_starter

SHUTDOWN_SECONDS = 2
"""Given to those who wait for work that was just interrupted, to hear so."""


def serve(folder: Path, name: str, entry: str, argument: str) -> None:
    """Serve until told to end.

    Raises:
        BadInput: where one of this name lives already.
    """
    import uvicorn

    from gpu.service.app import create

    class Server(uvicorn.Server):
        def handle_exit(self, sig: int, frame: FrameType | None) -> None:
            engine.stop(0.0)
            super().handle_exit(sig, frame)

    engine, token = Engine(_open(entry, argument)), secrets.token_urlsafe(32)
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        app = create(engine, token)
        server = Server(
            uvicorn.Config(app, log_level="error", timeout_graceful_shutdown=SHUTDOWN_SECONDS)
        )
        with published(folder, name, Address(url, token, os.getpid())):
            signal.signal(signal.SIGTERM, signal.SIG_IGN)  # uvicorn raises it again after its end,
            signal.signal(signal.SIGINT, signal.SIG_IGN)  # and the address would stay
            server.run([listener])


def _open(entry: str, argument: str) -> Worker:
    module, _, function = entry.partition(":")
    worker: Worker = getattr(importlib.import_module(module), function)(argument)
    return worker


if __name__ == "__main__":
    logging.basicConfig(format="%(asctime)s %(message)s")
    end_with_the_starter()
    try:
        serve(Path(sys.argv[1]), *sys.argv[2:])
    except KeyreelError as error:
        sys.exit(f"error: {error}")
