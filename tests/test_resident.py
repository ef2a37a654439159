"""Campaigns that draw in the resident process: warm, killed, side by side, and cancelled."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest

from catalogs.node import Address, InputFile, Node, NodeOutput
from catalogs.store import Store
from configs.errors import BadInput
from configs.home import Home
from flows import resident
from flows.progress import Totals
from gpu.service.ask import Told
from gpu.service.client import Client
from tasks.resident import Maker, commission
from tasks.stage import Studio
from tests.campaigns import bytes_of, run_plainly
from tests.fault_home import new_home, records

ROOT = Path(__file__).parent.parent


class Process:
    """A resident process of a home."""

    def __init__(self, home: Home, name: str = "gpu-0") -> None:
        self.home, self.client, self.name = home, Client(resident.folder(home)), name
        self.start()

    def start(self) -> None:
        where = [str(resident.folder(self.home)), self.name, resident.ENTRY, str(self.home.root)]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "gpu.service", *where], stdin=subprocess.PIPE, cwd=ROOT
        )
        deadline = time.monotonic() + 60
        while not self.client.found() and time.monotonic() < deadline:
            time.sleep(0.02)

    def loads(self) -> int:
        (status,) = self.client.statuses()
        return status["worker"]["loads"]

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.close()

    def close(self) -> None:
        self.process.stdin.close()
        self.process.wait(20)


@pytest.fixture
def process(tmp_path):
    made = Process(new_home(tmp_path / "home"))
    yield made
    made.close()


def run(home: Home, name: str = "stills", **more):
    return run_plainly(home, name, make=resident.make, **more)


@pytest.mark.long
@pytest.mark.timeout(250)
def test_warm_killed_and_shared(process, tmp_path):
    """The bytes of a run on its own; weights load once; a death repeats nothing finished."""
    home, alone = process.home, new_home(tmp_path / "alone")
    seconds = [new_text(home, seed) for seed in (8, 9, 10)]
    new_text(alone, 8)
    assert run(home).state == "done"
    assert process.loads() == 1
    with ThreadPoolExecutor(2) as pool:
        ended = list(pool.map(partial(run, home), seconds[:2]))
    assert [one.state for one in ended] == ["done", "done"]
    assert process.loads() == 1
    before, begun = records(home), threading.Event()

    class Watching(Totals):
        def step(self, progress) -> None:
            begun.set()
            super().step(progress)

    with ThreadPoolExecutor(1) as pool:
        third = pool.submit(run, home, seconds[2], watch=Watching())
        begun.wait(60)
        process.kill()
        process.start()
        assert third.result().state == "done"
    assert process.loads() == 1
    assert {key: records(home)[key] for key in before} == before
    for name in ("stills", "seed-8"):
        assert run_plainly(alone, name).state == "done"
        folder = home.deliveries / name
        assert bytes_of(folder) == bytes_of(alone.deliveries / name)


@pytest.mark.long
@pytest.mark.timeout(250)
def test_a_run_uses_every_process(tmp_path):
    """With two of them a run has two pictures under way; each draws some, with the same bytes."""
    days = {"matrix": {"product": "all", "day": ["mon", "tue", "wed"]}}
    home, alone = (new_home(tmp_path / name, **days) for name in ("home", "alone"))
    processes = [Process(home, name) for name in ("gpu-0", "gpu-1")]
    try:
        while resident.at_once(home) < 2:
            time.sleep(0.02)
        assert run(home, gpus=resident.at_once(home)).state == "done"
        drawn = [status["done"] for status in processes[0].client.statuses()]
    finally:
        for process in processes:
            process.close()
    assert min(drawn) >= 2
    assert sum(drawn) == 6
    assert resident.at_once(alone) == 1
    assert run_plainly(alone).state == "done"
    assert bytes_of(home.deliveries) == bytes_of(alone.deliveries)


def new_text(home: Home, seed: int) -> str:
    """Give the home another campaign: the same with another seed; return its name."""
    text = (home.campaigns / "stills.yaml").read_text("utf-8")
    text = text.replace("name: stills", f"name: seed-{seed}").replace("seed: 7", f"seed: {seed}")
    (home.campaigns / f"seed-{seed}.yaml").write_text(text, "utf-8")
    return f"seed-{seed}"


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_a_cancel_reaches_the_process(process):
    """A run that is stopped frees the process at the next step, and draws nothing more."""
    stop = threading.Event()

    class Stopping(Totals):
        def step(self, progress) -> None:
            stop.set()
            super().step(progress)

    ended = run(process.home, cancelled=stop.is_set, watch=Stopping())
    assert ended.state == "interrupted"
    began = time.monotonic()
    while process.client.statuses()[0]["queue"] and time.monotonic() < began + 5:
        time.sleep(0.02)
    assert time.monotonic() - began < 2
    drawn = [e for e in ended.entries if e.place.stage == "keyframe" and e.state == "made"]
    assert drawn == []


def node(**changes) -> Node:
    given = {
        "address": Address("keyframe", "mug/2026-03-02", "square"),
        "kind": "keyframe",
        "version": 1,
        "params": {"guidance": 0.0, "steps": 2, "seed": 2**60 + 1, "words": ["红", None, 1.5]},
        "inputs": {"image": NodeOutput("ab" * 32, "image"), "file": InputFile("cd" * 32, "a.png")},
        "model": "ef" * 32,
        "notes": {"model": "mini-picture"},
    }
    return Node(**{**given, **changes})


def test_a_node_arrives_as_it_was_sent(tmp_path, picture_model):
    """Its key is the same on both sides, whatever its numbers and words; its inputs too."""
    from tasks.resident import NODES, Commission

    studio = Studio(Home(tmp_path), Store(tmp_path / "store"), {"mini-picture": picture_model})
    sent = commission(node(), studio, "run")
    arrived = Commission.model_validate_json(Commission.model_validate(sent).model_dump_json())
    assert NODES.validate_python(arrived.node) == node()
    assert NODES.validate_python(arrived.node).key == arrived.key == node().key
    assert arrived.models == {"mini-picture": picture_model}


@pytest.mark.parametrize("changes", [{"params": {"steps": 3}}, {"kind": "os.system"}])
def test_what_another_version_sent_is_refused(tmp_path, picture_model, changes):
    """A node whose key is another's, or of a stage that is not known, is not made."""
    studio = Studio(Home(tmp_path), Store(tmp_path / "store"), {"mini-picture": picture_model})
    sent = commission(node(**changes), studio, "run")
    if "params" in changes:
        sent["key"] = node().key
    with pytest.raises(BadInput, match="another version"):
        Maker(Home(tmp_path)).work(sent, Told(print, lambda: False))


def test_without_a_process_work_is_done_here(tmp_path):
    """The resident process is a choice: a home that has none makes its nodes as ever."""
    home = Home(tmp_path / "home")
    assert not resident.clients_of(home).found()
    made = resident.make(_Lane("gpu"), [], Studio(home, Store(home.store), {}), run="run")
    assert list(made) == []


class _Lane:
    """A stage, as far as it is looked at."""

    def __init__(self, lane: str) -> None:
        self.lane = lane

    def run(self, nodes, studio, workspace):
        return iter(())
