"""How runs begin and end under a real Prefect server and worker, and what people are told."""

from __future__ import annotations

import datetime as dt
import time

import httpx
import psutil
import pytest

from tests.fault_home import new_home
from tests.listener import listening
from tests.prefect_team import team

pytestmark = [
    pytest.mark.long, pytest.mark.prefect, pytest.mark.timeout(400),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # Apprise's own
]  # fmt: skip

NOTICES = "tell:\n  - {to: env:KEYREEL_OPS}\n"
SOON = {
    "PREFECT_SERVER_SERVICES_LATE_RUNS_AFTER_SECONDS": "1",
    "PREFECT_SERVER_SERVICES_LATE_RUNS_LOOP_SECONDS": "1",
}
"""Else a run is late after 15 s, looked for every five."""


class Office:
    """A server with two deployments and no worker, and who is told."""

    def __init__(self, running, home, ops):
        self.running, self.home, self.ops = running, home, ops
        self.api = httpx.Client(base_url=f"{running.url}/api/", timeout=30)

    def id_of(self, name: str) -> str:
        return self.api.get(f"deployments/name/{name}/{name}").json()["id"]

    def start(self, name: str, late: int = 0, **parameters: object) -> str:
        """Ask for a run whose time came `late` seconds ago; return its id."""
        at = dt.datetime.now(dt.UTC) - dt.timedelta(seconds=late)
        state = {"type": "SCHEDULED", "state_details": {"scheduled_time": at.isoformat()}}
        asked = self.api.post(
            f"deployments/{self.id_of(name)}/create_flow_run",
            json={"parameters": parameters, "state": state},
        )
        assert asked.status_code == 201, asked.text
        return asked.json()["id"]

    def state(self, run: str) -> dict:
        return self.api.get(f"flow_runs/{run}").json()["state"]

    def until(self, run: str, name: str, seconds: float = 120) -> dict:
        end = time.monotonic() + seconds
        while (state := self.state(run))["name"] != name:
            assert time.monotonic() < end, state
            time.sleep(0.1)
        return state

    def errors(self, run: str, seconds: float = 60) -> list[str]:
        """Wait until a flow run's log says of errors; return them."""
        wanted = {"flow_run_id": {"any_": [run]}, "level": {"ge_": 40}}
        end = time.monotonic() + seconds
        while not (found := self.api.post("logs/filter", json={"logs": wanted}).json()):
            assert time.monotonic() < end
            time.sleep(0.1)
        return [line["message"] for line in found]

    def told(self, title: str, seconds: float = 60) -> str:
        """Wait until people are told under a title; return what."""
        end = time.monotonic() + seconds
        while not (found := [one for one in self.ops.told if one["title"] == title]):
            assert time.monotonic() < end, self.ops.told
            time.sleep(0.1)
        return found[0]["message"]


@pytest.fixture(scope="module")
def office(tmp_path_factory):
    folder = tmp_path_factory.mktemp("office")
    home = new_home(folder / "home")
    (home.root / "notify.yaml").write_text(NOTICES, "utf-8")
    with listening() as ops, pytest.MonkeyPatch.context() as patch:
        for name, value in {**SOON, "KEYREEL_OPS": ops.address("key")}.items():
            patch.setenv(name, value)
        with team(folder / "prefect", home) as running:
            running.environment["PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL"] = "INFO"
            running.environment["PREFECT_PLUGINS_ENABLED"] = "false"  # as `keyreel up` has it
            running.prefect("work-pool", "create", "keyreel", "--type", "process")
            deployed = running.prefect("deploy", "--name", "campaign", "--name", "text-to-video")
            assert deployed.returncode == 0, deployed.stdout[-2000:]
            made = Office(running, home, ops)
            yield made
            made.api.close()


@pytest.mark.parametrize(
    ("strategy", "becomes"), [("CANCEL_NEW", "Cancelled"), ("ENQUEUE", "AwaitingConcurrencySlot")]
)
def test_a_run_that_overlaps_is_skipped_or_waits(office, strategy, becomes):
    """One at a time: a second run of a deployment is cancelled, or waits as it ships."""
    change = {"concurrency_options": {"collision_strategy": strategy}}
    office.api.patch(f"deployments/{office.id_of('campaign')}", json=change)
    first, second = (office.start("campaign", campaign="stills") for _ in range(2))
    for run in (first, second):  # as a worker asks before it begins one
        office.api.post(f"flow_runs/{run}/set_state", json={"state": {"type": "PENDING"}})
    assert office.state(first)["type"] == "PENDING"
    assert office.state(second)["name"] == becomes
    for run in (first, second):
        over = {"state": {"type": "CANCELLED"}, "force": True}
        office.api.post(f"flow_runs/{run}/set_state", json=over)


def test_what_begins_late_is_refused_or_dies_is_told(office):
    """No worker comes: told once. Then one run is refused in a sentence; the other is killed."""
    from prefect.client.orchestration import SyncPrefectClient

    from flows.late import tell_late

    asked = {"prompt": "a mug", "steps": 50}
    refused = office.start("text-to-video", late=3600, request=asked)
    killed = office.start("campaign", late=60, campaign="stills")
    for run in (refused, killed):
        office.until(run, "Late", seconds=30)
    with SyncPrefectClient(f"{office.running.url}/api") as client:
        (said,) = tell_late(client, office.home)
        assert said == "text-to-video should have begun 60 minutes ago: no worker takes it"
        assert tell_late(client, office.home) == []
    assert len(office.ops.told) == 1
    with office.running.worker():
        office.until(killed, "Running")
        _kill(killed)
        ended = office.until(refused, "Failed")
        assert office.until(killed, "Crashed")["type"] == "CRASHED"
        office.told("keyreel stills: 出错 failed")
        told = office.told("keyreel text-to-video a mug: 出错 failed")
        mistaken = office.start("campaign", campaign="stills", start="soon")
        office.until(mistaken, "Failed")
        wrong = office.errors(mistaken)
    assert told == ended["message"]
    assert told.startswith("Steps of the clip: 50 is more than mini-clip takes; write 2 to 20")
    assert office.errors(refused) == [told]
    assert ["start: Input should be a valid date" in line for line in wrong] == [True]
    log = (office.running.folder / "worker.log").read_text("utf-8")
    assert told in log
    assert "Traceback" not in log


def _kill(run: str) -> None:
    """Kill a flow run's process, and what started it for the worker."""
    for process in psutil.process_iter(["environ"]):
        if (process.info["environ"] or {}).get("PREFECT__FLOW_RUN_ID") == run:
            process.kill()
