"""A hub on this machine: as much of the Hugging Face Hub's and ModelScope's HTTP as a fetch uses.

Real sockets, and faults that happen to real ones: a connection cut in the middle of a file, a busy
server, other bytes than were promised, a licence that was not accepted.
"""

from __future__ import annotations

import hashlib
import json
import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

COMMIT = "0123456789abcdef0123456789abcdef01234567"
REPO = "publisher/tiny"


class HubServer(ThreadingHTTPServer):
    """Serves one repository.

    Args:
        files: what it holds, by path.
    """

    daemon_threads = True

    def __init__(self, files: dict[str, bytes]) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        self.files = files
        self.lies: dict[str, bytes] = {}
        """Bytes that are sent in place of those that are listed."""
        self.cut: dict[str, int] = {}
        """By path: after how many bytes the connection is cut; from then on the file is refused."""
        self.resets = False
        """Cut as a router does that forgot the connection: with a reset, not with an end."""
        self.refused: set[str] = set()
        self.gated = False
        self.asked: list[tuple[str, str, str]] = []
        """Method, path and Range of every request for a file."""
        self.tokens: set[str] = set()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def tree(self) -> list[dict[str, object]]:
        """The listing, as the Hugging Face Hub gives it; weights are in LFS."""
        entries = []
        for path, data in self.files.items():
            git = hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()
            entry: dict[str, object] = {
                "type": "file", "path": path, "size": len(data), "oid": git,
            }  # fmt: skip
            if path.endswith(".safetensors"):
                sha = hashlib.sha256(data).hexdigest()
                entry["lfs"] = {"oid": sha, "size": len(data), "pointerSize": 134}
            entries.append(entry)
        return entries

    def scope(self) -> dict[str, object]:
        """The listing, as ModelScope gives it."""
        files = [
            {"Type": "blob", "Path": path, "Size": len(data),
             "Sha256": hashlib.sha256(data).hexdigest()}
            for path, data in self.files.items()
        ]  # fmt: skip
        return {"Code": 200, "Data": {"Files": [{"Type": "tree", "Path": "vae"}, *files]}}


class _Answer(BaseHTTPRequestHandler):
    server: HubServer
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def _answer(self) -> None:
        url = urlsplit(self.path)
        path, words = unquote(url.path), parse_qs(url.query)
        self.server.tokens.add(self.headers.get("Authorization", ""))
        if self.server.gated:
            self._error(403, "GatedRepo")
        elif REPO not in path:
            self._error(404, "RepoNotFound")
        elif path.startswith(f"/api/models/{REPO}/tree/"):
            self._listing(path.rsplit("/", 1)[-1])
        elif path.endswith(f"/api/v1/models/{REPO}/repo/files"):
            self._json(self.server.scope())
        elif path.endswith(f"/api/v1/models/{REPO}/repo"):
            self._file(words["FilePath"][0])
        else:
            self._file(path.split(f"/resolve/{COMMIT}/", 1)[-1])

    def _listing(self, commit: str) -> None:
        if commit == COMMIT:
            self._json(self.server.tree())
        else:
            self._error(404, "RevisionNotFound")

    def _json(self, value: object) -> None:
        self._send(200, json.dumps(value).encode(), {"Content-Type": "application/json"})

    def _error(self, status: int, code: str) -> None:
        self._send(status, b"{}", {"X-Error-Code": code, "X-Error-Message": code})

    def _file(self, path: str) -> None:
        asked = self.headers.get("Range", "")
        self.server.asked.append((self.command, path, asked))
        data = self.server.files.get(path)
        if data is None:
            return self._error(404, "EntryNotFound")
        if path in self.server.refused and self.command == "GET":
            return self._error(503, "Busy")
        start = int(asked.removeprefix("bytes=").partition("-")[0] or 0)
        etag = hashlib.sha256(data).hexdigest()
        headers = {"ETag": f'"{etag}"', "X-Repo-Commit": COMMIT, "Accept-Ranges": "bytes"}
        if start:
            headers["Content-Range"] = f"bytes {start}-{len(data) - 1}/{len(data)}"
        self._send(206 if start else 200, self.server.lies.get(path, data)[start:], headers, path)

    def _send(self, status: int, body: bytes, headers: dict[str, str], path: str = "") -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "HEAD":
            return
        if path in self.server.cut:
            body = body[: self.server.cut.pop(path)]
            self.server.refused.add(path)
            self.close_connection = True
        self.wfile.write(body)
        if self.close_connection and self.server.resets:
            self.wfile.flush()
            time.sleep(0.1)  # what was sent arrives first: a reset overtakes it
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()


@contextmanager
def hub_of(folder: Path) -> Iterator[HubServer]:
    """Serve the files of a folder until the end of the block."""
    files = {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
    with HubServer(files) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield server
        server.shutdown()
        thread.join()
