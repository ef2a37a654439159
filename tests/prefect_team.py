"""A team's Prefect on this machine: server with its pages, every deployment, and one worker."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from configs.home import Home
from flows.server import QUIET, _free_port

ROOT = Path(__file__).parent.parent
PREFECT = Path(sys.executable).with_name("prefect")


@dataclass(frozen=True)
class Team:
    """What runs, and where."""

    url: str
    environment: dict[str, str]
    folder: Path

    def prefect(self, *words: str, seconds: float = 120) -> subprocess.CompletedProcess[str]:
        """Run Prefect's own command, as a person does in the clone."""
        return subprocess.run(
            [PREFECT, "--no-prompt", *words],
            cwd=ROOT,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )

    @contextmanager
    def worker(self) -> Iterator[None]:
        """Work off what is submitted."""
        words = ["worker", "start", "--pool", "keyreel", "--type", "process"]
        with running([str(PREFECT), *words], self.environment, self.folder / "worker.log"):
            yield


@contextmanager
def team(folder: Path, home: Home) -> Iterator[Team]:
    """Start a server on a free port; its database and logs are in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    port = _free_port()
    url = f"http://127.0.0.1:{port}"
    environment = {
        **os.environ,
        **QUIET,
        "PREFECT_HOME": str(folder),
        "PREFECT_API_URL": f"{url}/api",
        "PREFECT_SERVER_UI_API_URL": f"{url}/api",  # else the pages ask port 4200
        "KEYREEL_HOME": str(home.root),
        "OMP_NUM_THREADS": "1",
        "PREFECT_PLUGINS_ENABLED": "true",  # as in a person's shell; not in what tests start
    }
    command = [str(PREFECT), "server", "start", "--host", "127.0.0.1", "--port", str(port)]
    with running(command, environment, folder / "server.log"):
        wait_for(f"{url}/api/health")
        yield Team(url, environment, folder)


@contextmanager
def running(command: list[str], environment: dict[str, str], log: Path) -> Iterator[None]:
    """Run a program beside the block, and end it and its children after it."""
    with log.open("wb") as sink:
        process = subprocess.Popen(
            command, stdout=sink, stderr=sink, env=environment, cwd=ROOT, start_new_session=True
        )
        try:
            yield
        finally:
            end(process)


def end(process: subprocess.Popen[bytes]) -> None:
    """End a program that leads its own session: by itself, else with all that it started."""
    process.terminate()
    try:
        process.wait(30)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, 9)
        process.wait(10)


def wait_for(url: str, seconds: float = 120) -> None:
    """Wait until an address answers."""
    end = time.monotonic() + seconds
    while True:
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except (urllib.error.URLError, OSError):
            if time.monotonic() > end:
                raise
            time.sleep(0.2)
