"""A webhook on this machine: what was posted to it, and what it answers."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Listener(ThreadingHTTPServer):
    """Takes every message, or refuses each with `status`."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        self.told: list[dict[str, str]] = []
        self.paths: list[str] = []
        self.status = 200

    def address(self, secret: str) -> str:
        """Return it as Apprise takes it, with a secret in its path."""
        return f"json://127.0.0.1:{self.server_address[1]}/{secret}"


class _Answer(BaseHTTPRequestHandler):
    server: Listener

    def log_message(self, *_: object) -> None:
        pass

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.told.append(json.loads(body))
        self.server.paths.append(self.path)
        self.send_response(self.server.status)
        self.end_headers()


@contextmanager
def listening() -> Iterator[Listener]:
    """Listen until the end of the block."""
    with Listener() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield server
        server.shutdown()
        thread.join()
