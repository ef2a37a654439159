"""What a kill leaves on the Prefect server is put right; what still runs is let be."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.prefect, pytest.mark.timeout(200)]


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    """A client of a Prefect server of this module's own, which has the pool."""
    from flows.server import server

    folder = tmp_path_factory.mktemp("revive")
    before = os.environ.get("PREFECT_HOME")
    os.environ["PREFECT_HOME"] = str(folder / "prefect")
    with server(folder):
        from prefect.client.orchestration import get_client

        from flows.up.pool import make_pool

        with get_client(sync_client=True) as one:
            make_pool(one)
            make_pool(one)  # a second start finds it there
            yield one
    os.environ["PREFECT_HOME"] = before or ""


@pytest.fixture
def reviver(client, tmp_path):
    from flows.up.revive import Reviver

    return Reviver(client, tmp_path / "flow-runs.json")


@pytest.fixture
def run_of(client):
    """Make a flow run of the pool in a state: `run_of("Running")`."""
    from prefect import flow, states

    @flow(name="week")
    def week() -> None:
        pass

    def make(state: str):
        run = client.create_flow_run(week, work_pool_name="keyreel")
        client.set_flow_run_state(run.id, getattr(states, state)(), force=True)
        return run

    return make


def state_of(client, run) -> str:
    return client.read_flow_run(run.id).state.type.value


@pytest.mark.parametrize(
    ("state", "stopped", "becomes"),
    [
        ("Running", False, "SCHEDULED"),
        ("Pending", False, "SCHEDULED"),
        ("Crashed", False, "SCHEDULED"),
        ("Failed", True, "SCHEDULED"),
        ("Failed", False, "FAILED"),
        ("Cancelling", False, "CANCELLED"),
        ("Cancelled", True, "CANCELLED"),
        ("Completed", True, "COMPLETED"),
        ("Paused", True, "PAUSED"),
    ],
)
def test_a_run_that_lost_its_process(client, reviver, run_of, state, stopped, becomes):
    """Begun again where it was to go on; what a person or the run itself decided stays."""
    run = run_of(state)
    reviver.memory.ours[run.id] = 0.0
    if stopped:
        reviver.memory.stopped.add(run.id)
    reviver.look()
    assert state_of(client, run) == becomes
    assert run.id not in reviver.memory.ours
    reviver.look()
    assert state_of(client, run) == becomes


def test_runs_of_other_machines_are_let_be(client, reviver, run_of, monkeypatch):
    """A run that never had a process here is another worker's, until it is Pending for too long."""
    from flows.up import revive

    running, pending = run_of("Running"), run_of("Pending")
    assert reviver.look() == []
    assert (state_of(client, running), state_of(client, pending)) == ("RUNNING", "PENDING")
    monkeypatch.setattr(revive, "PENDING_SECONDS", 0.0)
    assert len(reviver.look()) == 1
    assert (state_of(client, running), state_of(client, pending)) == ("RUNNING", "SCHEDULED")


def test_a_run_whose_process_lives_is_let_be(client, reviver, run_of, monkeypatch):
    """It is known by the environment of its process; gone, it is begun again a little later."""
    from flows.up import revive
    from flows.up.revive import Reviver

    run = run_of("Running")
    process = subprocess.Popen(
        [sys.executable, "-c", "import time; time.sleep(100)"],
        env=os.environ | {"PREFECT__FLOW_RUN_ID": str(run.id)},
    )
    try:
        assert reviver.look() == []
        assert run.id in Reviver(client, reviver.memory.file).memory.ours  # it is written down
    finally:
        process.kill()
        process.wait()
    assert reviver.look() == []  # its worker may be about to tell of its end
    monkeypatch.setattr(revive, "GONE_SECONDS", 0.0)
    assert len(reviver.look()) == 1
    assert state_of(client, run) == "SCHEDULED"


def test_one_that_dies_again_and_again_is_given_up(client, reviver, run_of, monkeypatch):
    """After STARTS starts it is left as Crashed, in words."""
    from flows.up import revive

    monkeypatch.setattr(revive, "STARTS", 0)
    run = run_of("Running")
    reviver.memory.ours[run.id] = 0.0
    (said,) = reviver.look()
    assert "died" in said
    assert state_of(client, run) == "CRASHED"


def test_no_task_run_stays_open(client, reviver, run_of, monkeypatch):
    """Its flow run lost, or long over: a task run that never told of its end has ended like it."""
    from prefect import task
    from prefect.states import Completed, Pending, Running

    from flows.up import revive

    monkeypatch.setattr(revive, "SETTLE_SECONDS", 0.0)

    @task(name="export")
    def export() -> None:
        pass

    lost, over, alive = run_of("Running"), run_of("Failed"), run_of("Running")
    whole = run_of("Completed")
    reviver.memory.ours[lost.id] = 0.0
    tasks = [
        client.create_task_run(export, run.id, dynamic_key="0", state=state)
        for run, state in (
            (lost, Pending()), (over, Running()), (alive, Running()), (whole, Running())
        )
    ]  # fmt: skip
    with sqlite3.connect(Path(os.environ["PREFECT_HOME"]) / "prefect.db") as server:
        # Killed between its two commits, a server leaves a task run whose state is missing.
        server.execute("delete from task_run_state where task_run_id = ?", (str(tasks[1].id),))
    assert client.read_task_run(tasks[1].id).state is None
    reviver.look()
    states = [client.read_task_run(one.id).state.type.value for one in tasks]
    assert states == ["CRASHED", "CRASHED", "RUNNING", "COMPLETED"]
    client.set_task_run_state(tasks[2].id, Completed(), force=True)  # the server waits for it else
