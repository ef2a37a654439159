"""A Prefect server for as long as one run lasts, where none is configured.

Prefect's own temporary server is ended while it still writes: it prints tracebacks over the
terminal and forgets the last task runs. This one logs to a file, is asked whether it has written
everything before it is ended, and ends by itself when the run is killed.
"""

from __future__ import annotations

import datetime as dt
import fcntl
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from catalogs.durable import locked
from configs.errors import KeyreelError
from gpu.service.starter import end_with_the_starter

OFFLINE = {
    # Both are needed for no outbound call at all.
    "DO_NOT_TRACK": "1",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
}
QUIET = {
    **OFFLINE,
    # The server still gets every line; the terminal shows a progress bar.
    "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "CRITICAL",
}
LEAN = {
    # One run needs no schedules, and no pages: `keyreel up` is for those.
    "PREFECT_SERVER_UI_ENABLED": "false",
    "PREFECT_SERVER_SERVICES_SCHEDULER_ENABLED": "false",
    "PREFECT_SERVER_SERVICES_LATE_RUNS_ENABLED": "false",
    "PREFECT_SERVER_SERVICES_CANCELLATION_CLEANUP_ENABLED": "false",
    "PREFECT_SERVER_SERVICES_PAUSE_EXPIRATIONS_ENABLED": "false",
    "PREFECT_SERVER_SERVICES_FOREMAN_ENABLED": "false",
    "PREFECT_SERVER_SERVICES_TRIGGERS_ENABLED": "false",
    # The feed of events is a page too; task runs are recorded by another service.
    "PREFECT_SERVER_SERVICES_EVENT_PERSISTER_ENABLED": "false",
}
LOOPBACK = "127.0.0.1"
START_SECONDS = 120.0
"""A fresh database took 14 s to make on two idle cores; a busy machine needs several times that."""
SETTLE_SECONDS = 20.0


@contextmanager
def server(folder: Path) -> Iterator[None]:
    """Use the configured Prefect server, or run one for this block; its log is in `folder`.

    Raises:
        KeyreelError: where none could be started.
    """
    os.environ.update(QUIET)
    from prefect.settings import PREFECT_API_URL, temporary_settings

    if PREFECT_API_URL.value():
        yield
        return
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / "prefect-server.log"
    port = _free_port()
    with log.open("wb") as sink:
        process = subprocess.Popen(
            [sys.executable, "-m", "flows.server", str(port)],
            stdin=subprocess.PIPE,
            stdout=sink,
            stderr=sink,
            env=os.environ | LEAN,
            start_new_session=True,  # Ctrl-C is for the run, which ends the server after itself
        )
    url = f"http://127.0.0.1:{port}/api"
    started = dt.datetime.now(dt.UTC)
    try:
        _wait_until_healthy(url, process, log)
        with temporary_settings({PREFECT_API_URL: url}):
            yield
            _settle(started)
    finally:
        process.terminate()
        process.communicate()


def _wait_until_healthy(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        if healthy(url):
            return
        time.sleep(0.1)
    raise KeyreelError(f"Prefect's server did not start; its last words are in {log}")


def healthy(url: str) -> bool:
    """Say whether Prefect's API answers at `url`."""
    try:
        with urllib.request.urlopen(f"{url}/health", timeout=5):
            return True
    except urllib.error.HTTPError as error:
        return error.code == 401  # it lives, and wants to know who asks
    except OSError:
        return False


def _settle(started: dt.datetime) -> None:
    """Wait until the server has written the end of every task run of the runs since `started`."""
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.filters import FlowRunFilter, TaskRunFilter
    from prefect.events.worker import EventsWorker
    from prefect.logging.handlers import APILogHandler

    EventsWorker.instance().wait_until_empty()
    APILogHandler().flush()
    unfinished = TaskRunFilter.model_validate(
        {"state": {"type": {"any_": ["PENDING", "RUNNING", "SCHEDULED"]}}}
    )
    ours = FlowRunFilter.model_validate({"start_time": {"after_": started}})
    deadline = time.monotonic() + SETTLE_SECONDS
    with get_client(sync_client=True) as client:
        while time.monotonic() < deadline:
            if not client.read_task_runs(flow_run_filter=ours, task_run_filter=unfinished, limit=1):
                return
            time.sleep(0.2)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def serve(port: int, host: str = LOOPBACK) -> None:
    """Serve Prefect's API until told to end, or until the starter is gone.

    Servers that begin at once on one database begin one by one: on an empty one, the second would
    find half of the tables there already, and end.
    """
    import uvicorn
    from prefect.settings import PREFECT_HOME

    end_with_the_starter()
    app = "prefect.server.api.server:create_app"
    home = Path(PREFECT_HOME.value())
    home.mkdir(parents=True, exist_ok=True)

    with ExitStack() as turn:  # begun before uvicorn hears signals: who waits can be ended

        class OneByOne(uvicorn.Server):
            async def startup(self, sockets: list[socket.socket] | None = None) -> None:
                await super().startup(sockets)
                turn.close()

        turn.enter_context(locked(home / "keyreel.lock", fcntl.LOCK_EX))
        OneByOne(uvicorn.Config(app, factory=True, host=host, port=port, log_level="error")).run()


if __name__ == "__main__":
    serve(int(sys.argv[1]), *sys.argv[2:])
