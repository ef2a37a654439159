"""A home with a finished run in its catalog, and ways to ask its site."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
from limits import parse
from starlette.testclient import TestClient

from catalogs.catalog import Catalog
from catalogs.runs import write_run
from catalogs.store import Store
from configs.home import Home
from flows.site import tokens
from flows.site.app import create
from flows.site.ledger import Ledger
from tests.gallery_data import Week

CSRF = re.compile(r'name="csrf" value="([0-9a-f]{64})"')


def home_with_a_week(folder: Path, **week: object) -> Week:
    """Return a home whose catalog knows a finished week."""
    made = Week(Home.create(folder), **{"campaign": "spring", **week})
    write_run(made.home.runs, made.run)
    Catalog(made.home.catalog, Store(made.home.store)).rebuild(made.home.runs)
    return made


def token(home: Home, role: str, name: str = "") -> str:
    """Return a new token."""
    ledger = Ledger(home)
    try:
        return tokens.issue(ledger, role, name)
    finally:
        ledger.close()


@contextmanager
def visit(home: Home, *, bearer: str = "", **limits: str) -> Iterator[TestClient]:
    """Yield a client of the home's site, as a browser of this machine.

    It may ask as often as it likes, but for the `limits` given: `read="5/minute"`.
    """
    app = create(home, limits={name: parse(most) for name, most in limits.items()})
    headers = {"authorization": f"Bearer {bearer}"} if bearer else {}
    with TestClient(
        app, "http://localhost", client=("127.0.0.1", 50000), headers=headers,
        follow_redirects=False,
    ) as client:  # fmt: skip
        yield client


def log_in(client: TestClient, given: str) -> httpx.Response:
    """Send the login form."""
    return send(client, "/login", "/login", token=given)


def send(client: TestClient, page: str, address: str, **fields: str) -> httpx.Response:
    """Send a form to `address`, with what `page` gives for its forms."""
    csrf = CSRF.search(client.get(page).text)
    assert csrf is not None
    return client.post(address, data={"csrf": csrf[1], **fields})


@contextmanager
def served(home: Home, *words: str) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """Yield the address and the process of `keyreel serve`."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    command = [Path(sys.executable).with_name("keyreel"), "--home", home.root, "serve"]
    process = subprocess.Popen([*command, "--port", port, *words], stdout=subprocess.DEVNULL)
    try:
        wait_for(f"http://127.0.0.1:{port}/static/icon.svg", process)
        yield f"http://127.0.0.1:{port}", process
    finally:
        process.terminate()
        process.wait(20)


def wait_for(address: str, process: subprocess.Popen[bytes], seconds: float = 40) -> None:
    """Wait until a site answers."""
    end = time.monotonic() + seconds
    while time.monotonic() < end and process.poll() is None:
        try:
            if httpx.get(address, timeout=5).is_success:
                return
        except httpx.TransportError:
            time.sleep(0.1)
    raise TimeoutError(f"{address} does not answer")
