"""A campaign that waits for approval under a real Prefect server and process worker."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import httpx
import psutil
import pytest

from catalogs.runs import latest_run
from flows.approval import awaiting, judge, keyframes
from flows.notify import TITLES
from tests.chromium import Chromium, needs_chromium
from tests.fault_home import new_home
from tests.listener import listening
from tests.prefect_team import team

pytestmark = [
    pytest.mark.long, pytest.mark.prefect, pytest.mark.browser, needs_chromium,
    pytest.mark.timeout(500),
]  # fmt: skip

SECRET = "s3cr3t-wecom-key"
SCREENSHOTS = Path(__file__).parent.parent / "build" / "screenshots"
"""Kept by CI, and looked at; not in git."""
NOTICES = "tell:\n  - {to: env:KEYREEL_OPS}\n  - {to: secret:ops, on: [approval]}\n"
BUTTON = "[...document.querySelectorAll('button')].find(one => one.innerText.trim() === '%s')"


class Office:
    """A server, a worker and a home; and what a person sees of a flow run."""

    def __init__(self, running, home):
        self.running, self.home = running, home
        self.api = httpx.Client(base_url=f"{running.url}/api/", timeout=30)

    def start(self, campaign: str) -> str:
        deployment = self.api.get("deployments/name/campaign/campaign").json()["id"]
        body = {"parameters": {"campaign": campaign}}
        run = self.api.post(f"deployments/{deployment}/create_flow_run", json=body).json()
        assert "id" in run, run
        return run["id"]

    def until(self, run: str, *names: str, seconds: float = 150) -> dict:
        """Wait until a flow run is in one of these states; return that."""
        end = time.monotonic() + seconds
        while (state := self.api.get(f"flow_runs/{run}").json()["state"])["name"] not in names:
            assert time.monotonic() < end, state
            assert state["name"] not in ("Failed", "Crashed"), state
            time.sleep(0.1)
        return state

    def resume(self) -> list[str]:
        """Let go on what is judged, as `keyreel up` does every few seconds."""
        from prefect.client.orchestration import SyncPrefectClient

        from flows.approval_form import resume

        with SyncPrefectClient(f"{self.running.url}/api") as client:
            return resume(client, self.home)

    def logs(self, run: str) -> str:
        wanted = {"logs": {"flow_run_id": {"any_": [run]}}, "limit": 200}
        return "\n".join(one["message"] for one in self.api.post("logs/filter", json=wanted).json())


@pytest.fixture(scope="module")
def ops():
    with listening() as server:
        yield server


@pytest.fixture(scope="module")
def office(tmp_path_factory, ops):
    folder = tmp_path_factory.mktemp("office")
    home = new_home(folder / "h" / "home", approve="keyframes")
    (home.root / "notify.yaml").write_text(NOTICES, "utf-8")
    text = (home.campaigns / "stills.yaml").read_text("utf-8")
    long = text.replace("name: stills", "name: long").replace("approve: keyframes\n", "")
    days = "- mon\n  - tue\n  - wed\n  - thu\n  - fri\n"
    long = long.replace("- mon\n", days).replace("keyframe.steps: 2", "keyframe.steps: 20")
    (home.campaigns / "long.yaml").write_text(long, "utf-8")
    os.environ["KEYREEL_OPS"] = ops.address(SECRET)
    with team(folder / "prefect", home) as running:
        secret = {"value": ops.address(SECRET)}
        made = Office(running, home)
        of = made.api.get("block_types/slug/secret").json()["id"]
        schema = made.api.post(
            "block_schemas/filter", json={"block_schemas": {"block_type_id": {"any_": [of]}}}
        ).json()[0]["id"]
        block = {"name": "ops", "data": secret, "block_type_id": of, "block_schema_id": schema}
        assert made.api.post("block_documents/", json=block).status_code == 201
        deployed = running.prefect("deploy", "--name", "campaign")
        assert deployed.returncode == 0, deployed.stdout[-2000:]
        with running.worker():
            yield made
        made.api.close()
    del os.environ["KEYREEL_OPS"]


CHOOSE = """(label, option) => {
  const named = [...document.querySelectorAll('label')].find(one => one.innerText.includes(label));
  const select = [...document.querySelectorAll('select')].find(one =>
    named.compareDocumentPosition(one) & Node.DOCUMENT_POSITION_FOLLOWING);
  select.selectedIndex = [...select.options].findIndex(one => one.text.trim() === option);
  select.dispatchEvent(new Event('change', {bubbles: true}));
  return select.selectedOptions[0].text.trim();
}"""
"""Prefect's drop-downs lie over native ones, which touch screens use."""


def choose(browser: Chromium, label: str, option: str) -> None:
    """Choose in the drop-down below a label."""
    assert browser.value(f"({CHOOSE})({json.dumps(label)}, {json.dumps(option)})") == option


def submit(browser: Chromium) -> None:
    """Press Submit until the form is gone."""
    browser.insist(lambda: browser.value(f"{BUTTON % 'Submit'}.click()"), f"!({BUTTON % 'Submit'})")


def test_judged_in_the_form_and_then_elsewhere(office, ops):
    """Suspended with pictures in a form; half judged there, the rest from files; then finished."""
    run = office.start("stills")
    office.until(run, "Suspended")
    first, second = awaiting(office.home)
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    with Chromium() as browser:
        browser.open(f"{office.running.url}/runs/flow-run/{run}")
        browser.until(f"!!{BUTTON % 'Resume'}", 60)
        browser.value(f"{BUTTON % 'Resume'}.click()")
        browser.until("document.querySelectorAll('img[src^=\"data:image/jpeg\"]').length === 2", 30)
        choose(browser, first.shot, "accept")
        choose(browser, second.shot, "another seed")
        browser.picture(SCREENSHOTS / "approval-form.png", whole=False)
        submit(browser)
        office.until(run, "Resuming", "Submitting", "Pending", "Running", seconds=30)
    office.until(run, "Suspended")
    said = {one.key: one.review and one.review.verdict for one in keyframes(office.home)}
    assert said[first.key] == "approved"
    (again,) = awaiting(office.home)
    assert again.shot == second.shot
    assert office.resume() == []
    judge(office.home, again.key, "approved", by="wang")
    assert office.resume() == ["stills: its keyframes are judged; it goes on"]
    office.until(run, "Completed")
    assert latest_run(office.home.runs, "stills").state == "done"
    made = {path.parent.name for path in office.home.deliveries.rglob("stills/**/*.jpeg")}
    assert made == {"mug-01", "mug-02", "rouge-01"}
    waiting, finished = (f"keyreel stills: {TITLES[one]}" for one in ("approval", "finished"))
    end = time.monotonic() + 30  # Prefect calls what tells of the end after it has ended
    while finished not in (titles := [told["title"] for told in ops.told]):
        assert time.monotonic() < end, titles
        time.sleep(0.2)
    assert titles == [waiting] * 4 + [finished]  # two places are told of what waits, twice


def test_cancelled_in_the_ui_within_ten_seconds(office):
    """From the click to the process's end; what was finished is kept, and nothing is retried."""
    run = office.start("long")
    office.until(run, "Running")
    end = time.monotonic() + 100
    while "keyframe portrait" not in office.logs(run) and time.monotonic() < end:
        time.sleep(0.2)
    (process,) = [one for one in psutil.process_iter(["environ"]) if _is_of(one, run)][-1:]
    with Chromium() as browser:
        browser.open(f"{office.running.url}/runs/flow-run/{run}")
        browser.until(f"!!{BUTTON % 'Cancel'}", 60)
        browser.value(f"{BUTTON % 'Cancel'}.click()")
        browser.until(f"!!{BUTTON % 'Confirm'}")
        browser.value(f"{BUTTON % 'Confirm'}.click()")
        clicked = time.monotonic()
        office.until(run, "Cancelled", seconds=30)
        told = time.monotonic() - clicked
        process.wait(30)
        ended = time.monotonic() - clicked
    print(f"Cancelled {told:.1f} s after the click, its process ended after {ended:.1f} s")
    assert told <= 10
    assert latest_run(office.home.runs, "long").state == "interrupted"


def _is_of(process: psutil.Process, run: str) -> bool:
    return (process.info["environ"] or {}).get("PREFECT__FLOW_RUN_ID", "").replace("-", "") in (
        run.replace("-", ""),
    )


def test_a_cancel_while_it_waits(office):
    """A suspended run has no process to end: it is cancelled at once, its keyframes are kept."""
    text = (office.home.campaigns / "stills.yaml").read_text("utf-8")
    other = text.replace("name: stills", "name: other").replace("seed: 7", "seed: 8")
    (office.home.campaigns / "other.yaml").write_text(other, "utf-8")
    run = office.start("other")
    office.until(run, "Suspended")
    office.until(office.start("stills"), "Completed")  # what waits takes nobody's turn
    office.api.post(
        f"flow_runs/{run}/set_state", json={"state": {"type": "CANCELLING", "name": "Cancelling"}}
    )
    office.until(run, "Cancelled", seconds=30)
    assert len(awaiting(office.home, "other")) == 2


def test_no_secret_is_anywhere(office, ops):
    """The address stands in no log, artifact, parameter, catalog or file of server and home."""
    assert any(SECRET in path for path in ops.paths)
    places = (office.running.folder, office.home.root)
    files = [path for place in places for path in place.rglob("*") if path.is_file()]
    assert any(path.suffix == ".db" for path in files)
    assert any(path.name == "catalog.duckdb" for path in files)
    assert [path for path in files if SECRET.encode() in path.read_bytes()] == []
