"""The resident process, with a worker that draws nothing: found, asked, refused, killed."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from configs.errors import BadInput, Interrupted, KeyreelError, Passing, Rejected, StageFailed
from gpu.service import client as clients
from gpu.service import engine as engines
from gpu.service.address import Address, living, published
from gpu.service.ask import Ask
from gpu.service.client import Client, Gone

pytestmark = pytest.mark.slow  # processes are started and killed

ROOT = Path(__file__).parent.parent


def ask(name: str, client: str = "a", **body: object) -> Ask:
    key = hashlib.sha256(name.encode()).hexdigest()
    return Ask(id=key, client=client, body={"name": name, **body})


class Resident:
    """A process, and what its worker wrote down."""

    def __init__(self, folder: Path, state: Path | None = None, name: str = "gpu-0") -> None:
        self.folder, self.name = folder, name
        self.client = Client(state or folder / "state")
        self.start()

    def start(self) -> None:
        command = [sys.executable, "-m", "gpu.service", str(self.client.folder), self.name]
        self.process = subprocess.Popen(
            [*command, "tests.service_worker:open_words", str(self.folder)],
            stdin=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=ROOT,
        )
        deadline = time.monotonic() + 30
        while not self.lives() and time.monotonic() < deadline:
            if self.process.poll() is not None:
                return
            time.sleep(0.01)

    def lives(self) -> bool:
        return self.process.pid in [one.pid for one in living(self.client.folder)]

    def done(self) -> list[str]:
        path = self.folder / "done"
        return path.read_text("utf-8").split() if path.exists() else []

    def close(self) -> str:
        self.process.stdin.close()
        said = self.process.stderr.read().decode()
        self.process.wait(10)
        return said


@pytest.fixture
def resident(tmp_path):
    made = Resident(tmp_path)
    yield made
    made.process.stdin.close()
    made.process.kill()
    made.process.wait()
    made.process.stderr.close()


def test_work_is_done_and_told_of(resident):
    """The answer comes with the worker's own words, and progress before it."""
    news = []
    told = resident.client.do(ask("mug", seconds=0.1), news.append)
    assert told == {"name": "mug", "pid": resident.process.pid}
    assert news == [{"working": True}, *({"done": n, "total": 5} for n in range(1, 6))]


def test_asked_for_at_once_by_two_it_is_done_once(resident):
    """The content key is the request's name: two who want it wait for the same work."""
    with ThreadPoolExecutor(2) as pool:
        both = list(pool.map(lambda who: resident.client.do(ask("mug", who, seconds=0.4)), "ab"))
    assert both[0] == both[1]
    assert resident.done() == ["mug"]


@pytest.mark.parametrize(
    ("body", "kind", "said"),
    [
        ({"fail": True}, Rejected, "the picture is black"),
        ({"bug": True}, KeyreelError, "ZeroDivisionError: by zero"),
    ],
)
def test_an_error_comes_back_as_what_it_was(resident, body, kind, said):
    """Whoever asked raises the worker's error; the process lives on."""
    with pytest.raises(kind, match=said):
        resident.client.do(ask("mug", **body))
    assert resident.client.do(ask("rouge"))["name"] == "rouge"


def test_a_cancel_stops_the_work(resident):
    """Asked to stop, the process is free for others long before the work's 30 s are over."""
    began = time.monotonic()
    with pytest.raises(Interrupted):
        resident.client.do(ask("mug", seconds=30), cancelled=lambda: time.monotonic() > began + 0.5)
    resident.client.do(ask("rouge", "b"))
    assert time.monotonic() - began < 10


def test_a_cancel_of_one_leaves_the_work_to_the_other(resident):
    """Two wait for the same; one changes its mind; the other gets it."""
    stop = threading.Event()
    with ThreadPoolExecutor(2) as pool:
        kept = pool.submit(resident.client.do, ask("mug", "a", seconds=1))
        lost = pool.submit(resident.client.do, ask("mug", "b", seconds=1), cancelled=stop.is_set)
        time.sleep(0.3)
        stop.set()
        with pytest.raises(Interrupted):
            lost.result()
        assert kept.result()["name"] == "mug"
    assert resident.done() == ["mug"]


def test_turns_are_fair_between_clients(resident):
    """Four who ask one after another get as much, whoever came first."""

    def run(client: str) -> None:
        for number in range(4):
            resident.client.do(ask(f"{client}{number}", client, seconds=0.06))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(run, "abcd"))
    order = [name[0] for name in resident.done()]
    assert len(order) == 16
    for end in range(4, 16):
        counts = Counter(order[:end])
        assert max(counts[client] - min(counts.values()) for client in "abcd") <= 2


def test_killed_and_started_again_the_work_is_asked_again(resident):
    """A kill -9 in the middle of work costs its client a wait."""
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(resident.client.do, ask("mug", seconds=0.6))
        while not resident.done():
            time.sleep(0.01)
        resident.process.send_signal(signal.SIGKILL)
        resident.process.wait()
        resident.process.stdin.close()
        resident.process.stderr.close()
        assert living(resident.folder / "state") == []
        resident.start()
        assert asked.result()["pid"] == resident.process.pid
    assert resident.done() == ["mug", "mug"]


def test_work_that_kills_the_process_is_given_up(tmp_path, monkeypatch):
    """Three deaths over one piece of work are enough."""
    resident, stop = Resident(tmp_path), threading.Event()

    def supervise() -> None:
        while not stop.wait(0.02):
            if resident.process.poll() is not None:
                resident.process.stdin.close()
                resident.process.stderr.close()
                resident.start()

    supervisor = threading.Thread(target=supervise)
    supervisor.start()
    try:
        with pytest.raises(StageFailed, match="died 3 times"):
            resident.client.do(ask("mug", die=9))
    finally:
        stop.set()
        supervisor.join()
        resident.close()
        resident.process.stderr.close()
    assert resident.done() == ["mug"] * 3


def test_none_that_lives_is_said(tmp_path, monkeypatch):
    """Where none comes back, the client says so rather than wait for ever."""
    monkeypatch.setattr(clients, "RESTART_SECONDS", 0.2)
    assert not Client(tmp_path).found()
    with pytest.raises(Gone, match="no resident process"):
        Client(tmp_path).do(ask("mug"))


def test_it_ends_with_its_starter_and_leaves_no_address(resident):
    """When the other end of its standard input closes it ends, in silence, and soon."""
    began = time.monotonic()
    assert resident.close() == ""
    assert time.monotonic() - began < 10
    assert not list((resident.folder / "state").glob("*.json"))


def test_it_ends_in_the_middle_of_work(resident):
    """SIGTERM interrupts what is in work; its client waits for a restart."""
    with ThreadPoolExecutor(1) as pool:
        stop = threading.Event()
        asked = pool.submit(resident.client.do, ask("mug", seconds=20), cancelled=stop.is_set)
        while not resident.done():
            time.sleep(0.01)
        began = time.monotonic()
        resident.process.terminate()
        assert resident.process.wait(10) == 0
        assert time.monotonic() - began < 10
        stop.set()
        with pytest.raises(Interrupted):
            asked.result()


def test_only_the_token_opens_it(resident):
    """Without the token, or with another, nothing is told and nothing done."""
    (address,) = living(resident.folder / "state")
    for headers in ({}, {"Authorization": f"Bearer {address.token}x"}, {"Authorization": "é"}):
        sent = {name: value.encode() for name, value in headers.items()}
        for method, path in (("GET", "/status"), ("POST", "/asks"), ("DELETE", "/asks/x")):
            assert httpx.request(method, address.url + path, headers=sent).status_code == 401
    assert resident.done() == []


def test_it_listens_on_loopback_and_its_token_is_its_users_alone(resident):
    """No other machine reaches it; no other user of this one reads the token."""
    state = resident.folder / "state"
    (address,) = living(state)
    port = int(address.url.rpartition(":")[2])
    with socket.socket() as other, pytest.raises(OSError, match="refused"):
        other.connect(("127.0.0.2", port))
    assert (state / "gpu-0.json").stat().st_mode & 0o777 == 0o600
    assert state.stat().st_mode & 0o777 == 0o700
    assert address.token not in (Path(f"/proc/{address.pid}/cmdline")).read_text("utf-8")


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"{", 422),
        (b"[]", 422),
        (json.dumps({"id": "../../etc", "client": "a"}).encode(), 422),
        (json.dumps({"id": "0" * 64, "client": ""}).encode(), 422),
        (json.dumps({"id": "0" * 64, "client": "a", "pickle": "x"}).encode(), 422),
        (b'{"body": "' + b"x" * 4_100_000 + b'"}', 413),
    ],
)
def test_a_hostile_request_is_refused_in_a_sentence(resident, content, code):
    """What is not an Ask does no work."""
    (address,) = living(resident.folder / "state")
    headers = {"Authorization": f"Bearer {address.token}"}
    answer = httpx.post(f"{address.url}/asks", content=content, headers=headers)
    assert answer.status_code == code
    assert answer.json()["said"]
    assert resident.done() == []


def test_one_that_cannot_work_ends(tmp_path):
    """A worker that is not to be had is told in the log, not waited for."""
    (tmp_path / "broken").touch()
    resident = Resident(tmp_path)
    assert resident.process.wait(20) == 1
    assert "no such library" in resident.close()
    resident.process.stderr.close()


def test_a_queue_that_is_full_is_a_fault_that_may_pass(tmp_path, monkeypatch):
    """Too much waits: the flow's task is tried again later."""
    monkeypatch.setattr(engines, "MOST", 0)
    from tests.service_worker import Words

    with pytest.raises(Passing, match="try again later"):
        engines.Engine(Words(tmp_path)).join(ask("mug"), print)


def test_what_nobody_waits_for_goes_on_for_a_while(tmp_path, monkeypatch):
    """A client that is killed may come back; after GRACE the work is dropped."""
    from tests.service_worker import Words

    monkeypatch.setattr(engines, "GRACE", 0.2)
    engine, heard = engines.Engine(Words(tmp_path)), []
    engine.start()
    job = engine.join(ask("mug", seconds=20), heard.append)
    engine.leave(job, heard.append)
    deadline = time.monotonic() + 5
    while engine.jobs and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not engine.jobs
    engine.stop(1)


def test_one_of_a_name_lives_at_a_time(tmp_path):
    """A second process of the same name is refused; the first one's address stays."""
    mine = Address("http://127.0.0.1:1", "token", os.getpid())
    with published(tmp_path, "gpu-0", mine):
        with pytest.raises(BadInput, match="already"), published(tmp_path, "gpu-0", mine):
            pass
        assert living(tmp_path) == [mine]
    assert living(tmp_path) == []
