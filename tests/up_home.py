"""`keyreel up` on free ports, in a home whose campaign draws quickly; and its Prefect server."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from configs.home import Home
from flows.server import _free_port

COMMANDS = {
    "server": "flows.server",
    "gpu-0": "gpu.service",
    "worker": "flows.up.part worker",
    "gallery": "flows.up.part site",
}


BUSY = 503
"""Prefect's answer while another process writes to its SQLite file; its own client tries again."""


@dataclass
class Up:
    """One `keyreel up`."""

    home: Home
    port: int
    process: subprocess.Popen[bytes]
    log: Path

    def said(self) -> str:
        return self.log.read_text("utf-8")

    def family(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children(recursive=True)

    def part(self, name: str) -> psutil.Process:
        """Return the process of a part."""
        for child in self.family():
            if COMMANDS[name] in " ".join(child.cmdline()):
                return child
        raise LookupError(name)

    def ask(self, path: str, body: object | None = None) -> object:
        """Ask Prefect's API."""
        data = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(f"{self.api}{path}", data, headers)
        for left in reversed(range(10)):
            try:
                with urllib.request.urlopen(request, timeout=20) as answer:
                    return json.load(answer)
            except urllib.error.HTTPError as error:
                if error.code != BUSY or not left:
                    raise
                time.sleep(0.5)
        raise AssertionError("not reached")

    @property
    def api(self) -> str:
        return f"http://127.0.0.1:{self.port}/api"

    def gallery_page(self) -> str:
        """Return the gallery's page for people who are not logged in."""
        address = self.said().rpartition("Gallery ")[2].split()[0]
        with urllib.request.urlopen(f"{address}/login", timeout=20) as answer:
            return answer.read().decode()

    def submit(self, campaign: str = "stills") -> str:
        """Have the campaign run by the worker; return the flow run's id."""
        deployment = self.ask("/deployments/name/campaign/campaign")
        body = {"parameters": {"campaign": campaign}}
        return self.ask(f"/deployments/{deployment['id']}/create_flow_run", body)["id"]

    def state(self, run: str) -> str:
        return self.ask(f"/flow_runs/{run}")["state_type"]

    def tasks(self, run: str) -> list[str]:
        """Return the states of a flow run's task runs."""
        body = {"flow_runs": {"id": {"any_": [run]}}}
        return [task["state_type"] for task in self.ask("/task_runs/filter", body)]

    def stop(self) -> float:
        """Send Ctrl-C; return the seconds it took to end."""
        began = time.monotonic()
        self.process.send_signal(signal.SIGINT)
        self.process.wait(30)
        return time.monotonic() - began


def wait_until(
    true: Callable[[], object], seconds: float, say: Callable[[], str] = lambda: "it never came"
) -> None:
    """Wait until `true()`; fail where it never is, with what `say` tells."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, say()
        time.sleep(0.05)


@contextmanager
def up(home: Home, port: int = 0) -> Iterator[Up]:
    """Run `keyreel up` beside the block; yields once its worker works."""
    port = port or _free_port()
    log = home.root.parent / "up.log"
    command = [Path(sys.executable).with_name("keyreel"), "--home", str(home.root), "up"]
    with log.open("ab") as sink:
        process = subprocess.Popen(
            [*command, "--port", str(port), "--site-port", str(_free_port())],
            stdout=sink,
            stderr=sink,
            env=os.environ | {"OMP_NUM_THREADS": "1", "PREFECT_API_URL": ""},
        )
    one = Up(home, port, process, log)
    try:
        wait_until(lambda: process.poll() is not None or "Gallery http" in one.said(), 120)
        assert process.poll() is None, one.said()
        yield one
    finally:
        if process.poll() is None:
            family = one.family()
            process.kill()
            for child in family:
                child.kill() if child.is_running() else None
            process.wait()
