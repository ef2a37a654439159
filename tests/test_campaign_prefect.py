"""The campaign flow under a real Prefect server, and the command in a real terminal's place."""

from __future__ import annotations

import datetime as dt
import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from catalogs.durable import locked
from catalogs.store import Store
from tests.campaigns import bytes_of, home_with, keyreel

pytestmark = [pytest.mark.slow, pytest.mark.prefect, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """A home in which `keyreel run` has run once, and what it said."""
    home = home_with(tmp_path_factory.mktemp("prefect") / "home")
    return home, keyreel(home, "run", "stills", seconds=250)


def test_a_run_says_what_was_made_and_nothing_else(ran):
    """No warning, no traceback, no library's chatter: a table, places, and the next commands."""
    home, said = ran
    assert said.returncode == 0
    assert said.stderr == ""
    assert "Gallery page" in said.stdout
    assert "v_weekly_output" in said.stdout
    assert (home.deliveries / "stills/2026-03-02/rouge-01/xiaohongshu-note.jpeg").exists()


def test_the_server_it_brought_is_gone_and_left_no_traceback(ran):
    """The run's own Prefect server ends with it, having written everything."""
    home, _ = ran
    log = (home.cache / "prefect" / "prefect-server.log").read_text("utf-8")
    assert "Traceback" not in log
    listed = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True)
    assert str(home.root) not in listed.stdout


def test_prefect_holds_a_task_run_for_every_shot_and_stage(ran):
    """Engineers find the flow run, its task runs named for their shots, and two artifacts."""
    code = """
import json
from pathlib import Path
from flows.server import server
with server(Path("log")):
    from prefect.client.orchestration import get_client
    with get_client(sync_client=True) as client:
        tasks = client.read_task_runs()
        kinds = {a.type for a in client.read_artifacts()}
print(json.dumps([sorted({t.name for t in tasks}), sorted({t.state.type.value for t in tasks}),
                  sorted(kinds)]))
"""
    home, _ = ran
    out = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=home.root
    ).stdout
    names, states, kinds = json.loads(out)
    assert "rouge-01/2026-03-02 keyframe" in names
    assert "mug-01/2026-03-02 export" in names
    assert "mug-01/2026-03-02 keyframe" not in names
    assert states == ["COMPLETED"]
    assert kinds == ["progress", "table"]


def test_nothing_to_do_starts_no_server(ran):
    """A finished campaign answers at once, and Prefect's log is not touched."""
    home, _ = ran
    log = home.cache / "prefect" / "prefect-server.log"
    before, started = log.stat().st_mtime_ns, time.monotonic()
    said = keyreel(home, "run", "stills")
    assert said.returncode == 0
    assert "Nothing to do" in said.stdout
    assert log.stat().st_mtime_ns == before
    assert time.monotonic() - started < 40


@pytest.mark.long
def test_ctrl_c_ends_with_130_and_the_next_run_goes_on(ran, tmp_path):
    """Interrupted in the middle: one sentence; run again: the bytes of an undisturbed run."""
    undisturbed, _ = ran
    home = home_with(tmp_path / "home")
    command = Path(sys.executable).with_name("keyreel")
    process = subprocess.Popen(
        [command, "--home", str(home.root), "run", "stills"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ,
    )
    store = Store(home.store)
    deadline = time.monotonic() + 200
    while not store.held() and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "finished and kept" in out
    assert err == ""
    assert keyreel(home, "run", "stills", seconds=200).returncode == 0
    assert bytes_of(home.deliveries) == bytes_of(undisturbed.deliveries)


def test_a_wrong_campaign_is_one_sentence_and_exit_code_2(ran):
    """Bad input never shows a traceback."""
    home, _ = ran
    said = keyreel(home, "run", "stils")
    assert said.returncode == 2
    assert said.stderr.startswith("error: ")
    assert "stills" in said.stderr
    assert "Traceback" not in said.stderr


@pytest.mark.long
def test_a_configured_server_is_used_and_left_running(tmp_path):
    """With PREFECT_API_URL set the run reports there, and starts no server of its own."""
    from flows.server import server

    home = home_with(tmp_path / "home")
    began = dt.datetime.now(dt.UTC)
    with server(tmp_path / "prefect"):
        from prefect.client.orchestration import get_client
        from prefect.settings import PREFECT_API_URL

        said = keyreel(home, "run", "stills", seconds=200, PREFECT_API_URL=PREFECT_API_URL.value())
        with get_client(sync_client=True) as client:
            # The tests share one database: only what began here counts.
            flows = [run for run in client.read_flow_runs() if run.start_time >= began]
            ours = {run.id for run in flows}
            tasks = [run for run in client.read_task_runs() if run.flow_run_id in ours]
            states = {run.state.type.value for run in tasks}
    assert said.returncode == 0
    assert [run.name for run in flows] == ["stills"]
    assert states == {"COMPLETED"}
    assert not (home.cache / "prefect").exists()


@pytest.mark.long
def test_two_runs_at_once_make_one_new_database(tmp_path):
    """The first two of a machine: their servers begin one by one, and neither stops at a table."""
    code = """
import sys
from pathlib import Path
from flows.server import server
with server(Path(sys.argv[1])):
    pass
"""
    home, names = tmp_path / "prefect", ("one", "two")
    home.mkdir()
    with locked(home / "keyreel.lock", fcntl.LOCK_EX):
        both = [
            subprocess.Popen(
                [sys.executable, "-c", code, name],
                env=os.environ | {"PREFECT_HOME": str(home)},
                cwd=tmp_path,
            )
            for name in names
        ]
        end = time.monotonic() + 100
        while waiting(home / "keyreel.lock") < 2:
            assert time.monotonic() < end
            time.sleep(0.1)
        assert not (home / "prefect.db").exists()
    assert [each.wait(200) for each in both] == [0, 0]
    said = [(tmp_path / name / "prefect-server.log").read_text("utf-8") for name in names]
    assert said == ["", ""]


def waiting(path: Path) -> int:
    """Return how many processes wait for the lock on a file."""
    listed = Path("/proc/locks").read_text("utf-8").splitlines()
    return sum("->" in line and f":{path.stat().st_ino} " in line for line in listed)


def test_only_faults_that_may_pass_are_tried_again():
    """A killed encoder is worth another try; a broken photo or a refused picture is not."""
    from prefect.states import Failed

    from configs.errors import BadFile, Passing, Rejected
    from flows.campaign import may_pass

    tried = {
        type(error).__name__: may_pass(None, None, Failed(data=error))
        for error in (Passing("killed"), BadFile("cut short"), Rejected("black"), OSError("busy"))
    }
    assert tried == {"Passing": True, "BadFile": False, "Rejected": False, "OSError": False}
