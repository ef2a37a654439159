"""What runs on a team's machine, where it listens, and in which order it begins and ends."""

from __future__ import annotations

import fcntl
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

import flows
from configs.errors import BadInput, KeyreelError
from configs.home import Home
from flows import resident
from flows.server import LOOPBACK, OFFLINE, START_SECONDS, healthy
from flows.site.serve import check_door
from flows.up.pool import make_pool
from flows.up.supervise import LOOK_SECONDS, Part, Supervisor
from gpu.device import cards

if TYPE_CHECKING:
    from flows.up.revive import Reviver

REVIVE_SECONDS = 5.0
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Place:
    """Where one machine's parts listen, and where its server is."""

    home: Home
    host: str = LOOPBACK
    port: int = 4200
    site_port: int = 4300
    auth: str = ""
    """`user:password` that Prefect's API asks for."""
    server: str = ""
    """Another machine's API, which this one joins; empty: its own."""

    @property
    def api(self) -> str:
        """Address of Prefect's API, as this machine's parts use it."""
        return self.server or f"http://{_reached(self.host)}:{self.port}/api"

    @property
    def pages(self) -> str:
        """Address of Prefect's pages."""
        return self.api.removesuffix("/api")

    @property
    def site(self) -> str:
        """Address of the gallery."""
        return f"http://{_reached(self.host)}:{self.site_port}"

    def env(self) -> dict[str, str]:
        """Return what all parts are told."""
        told = {
            **OFFLINE,
            "KEYREEL_HOME": str(self.home.root),
            "PREFECT_HOME": str(self.home.state / "prefect"),
            "PREFECT_API_URL": self.api,
            "KEYREEL_GALLERY": self.site,  # what a run's table points to
            # Else the pages ask 127.0.0.1:4200, wherever the browser and the server are.
            "PREFECT_SERVER_UI_API_URL": "/api",
            # Kept in memory, a killed server's leases hold their slots for ever.
            "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": LEASES,
            # The pool is made below; in a clone, the plugin's part logs a traceback after a crash.
            "PREFECT_PLUGINS_ENABLED": "false",
        }
        if not self.server:  # links lead there; a name that others reach may be set
            told[GALLERY] = os.environ.get(GALLERY, self.site)
        if self.auth:
            told["PREFECT_API_AUTH_STRING"] = told["PREFECT_SERVER_API_AUTH_STRING"] = self.auth
        return told


GALLERY = "KEYREEL_GALLERY"
"""As `flows.artifacts` reads it, which imports Prefect: the parts are told before that."""
LEASES = "prefect.server.concurrency.lease_storage.filesystem"


def up(place: Place, say: Say) -> None:
    """Run all of a machine's parts until told to stop.

    Args:
        place: where.
        say: told in a sentence of what begins, dies and is put right.

    Raises:
        BadInput: where it may not listen there, or another listens already.
        KeyreelError: where the server does not start.
    """
    _check(place)
    os.environ.update(place.env())
    with _alone(place.home), _asked_to_stop() as stop:
        supervisor = Supervisor(say)
        try:
            if not place.server:
                supervisor.start(_server(place))
            _wait_for_server(place, supervisor, stop)
            _run(place, supervisor, stop, say)
        finally:
            say("stopping")
            supervisor.stop()


def _run(place: Place, supervisor: Supervisor, stop: threading.Event, say: Say) -> None:
    """Start what needs the server, and look after all of it."""
    from prefect.client.orchestration import get_client

    from flows.up.revive import Reviver

    for number, card in enumerate(cards() or ("",)):
        supervisor.start(_resident(place, number, card))
    if stop.is_set():
        return
    with get_client(sync_client=True) as client:
        reviver = Reviver(client, place.home.state / "flow-runs.json")
        make_pool(client)
        for words in reviver.look():  # before a worker takes anything
            say(words)
        supervisor.start(_worker(place))
        if not place.server:
            supervisor.start(_site(place))
            supervisor.start(_deployments(place))
        say(f"Prefect {place.pages}")
        if not place.server:
            say(f"Gallery {place.site}")
        mending = threading.Thread(target=_mend, args=(reviver, place.home, stop, say), daemon=True)
        mending.start()
        while not stop.wait(LOOK_SECONDS):
            supervisor.look()
        mending.join(1.0)
        reviver.stop()


def _mend(reviver: Reviver, home: Home, stop: threading.Event, say: Say) -> None:
    import httpx

    from flows.approval_form import resume
    from flows.late import tell_late

    while not stop.wait(REVIVE_SECONDS):
        try:
            for words in (
                *reviver.look(),
                *resume(reviver.client, home),
                *tell_late(reviver.client, home),
            ):
                say(words)
        except httpx.HTTPError:
            continue  # the server is being started again
        except Exception as error:
            if not stop.is_set():
                say(f"runs were not put right: {type(error).__name__}: {error}")


def _server(place: Place) -> Part:
    command = (sys.executable, "-m", "flows.server", str(place.port), place.host)
    return Part("server", command, _log(place, "server"))


def _resident(place: Place, number: int, card: str) -> Part:
    name = f"gpu-{number}"
    where = (str(resident.folder(place.home)), name, resident.ENTRY, str(place.home.root))
    env = {"CUDA_VISIBLE_DEVICES": card} if card else {}
    return Part(name, (sys.executable, "-m", "gpu.service", *where), _log(place, name), env)


def _worker(place: Place) -> Part:
    command = (sys.executable, "-m", "flows.up.part", "worker", socket.gethostname())
    return Part("worker", command, _log(place, "worker"))


def _deployments(place: Place) -> Part:
    """Register what prefect.yaml says; the forms offer what this home has."""
    program, package = Path(sys.executable).with_name("prefect"), Path(flows.__file__).parent
    packed = package / "prefect.yaml"  # in the wheel; in a clone it lies at its root
    file = packed if packed.exists() else package.parent / packed.name
    command = (str(program), "--no-prompt", "deploy", "--all", "--prefect-file", str(file))
    return Part("deployments", command, _log(place, "deployments"), cwd=file.parent, once=True)


def _site(place: Place) -> Part:
    where = (str(place.home.root), str(place.site_port), place.host)
    command = (sys.executable, "-m", "flows.up.part", "site", *where)
    return Part("gallery", command, _log(place, "gallery"))


def _log(place: Place, name: str) -> Path:
    return place.home.state / "logs" / f"{name}.log"


def _check(place: Place) -> None:
    """Refuse to listen where anybody could run code, or where another listens.

    Raises:
        BadInput: with what to do.
    """
    if place.host != LOOPBACK and not place.auth and not place.server:
        raise BadInput(
            f"--host {place.host}: whoever reaches Prefect's API runs code on this machine: set "
            "PREFECT_SERVER_API_AUTH_STRING to user:password first"
        )
    if place.host != LOOPBACK and not place.server:
        check_door(place.home, place.host)
    for port in () if place.server else (place.port, place.site_port):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((place.host, port))
            except OSError as error:
                words = f"{place.host}:{port}: {error.strerror}"
                raise BadInput(f"{words}; give another --port or --site-port") from None


def _reached(host: str) -> str:
    """Return the host under which this machine reaches what listens on `host`."""
    return LOOPBACK if host in ("0.0.0.0", "::") else host


def _wait_for_server(place: Place, supervisor: Supervisor, stop: threading.Event) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not stop.is_set() and not healthy(place.api):
        if time.monotonic() > deadline:
            raise KeyreelError(
                f"{place.api} does not answer; look into {place.home.state / 'logs'}"
            )
        supervisor.look()
        stop.wait(LOOK_SECONDS)


@contextmanager
def _alone(home: Home) -> Iterator[None]:
    """Keep a second `keyreel up` off this home.

    Raises:
        BadInput: where one runs.
    """
    home.state.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (home.state / "up.lock").open("w", encoding="utf-8") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BadInput(f"{home.root}: `keyreel up` runs here already") from None
        yield


@contextmanager
def _asked_to_stop() -> Iterator[threading.Event]:
    """Yield what Ctrl-C and SIGTERM set."""
    stop = threading.Event()

    def ask(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
