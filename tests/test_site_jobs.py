"""Work that is asked for on the site: once, in turn, to its end whatever happens to the site."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import signal
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer

import httpx
import pytest

from catalogs.runs import latest_run
from configs.errors import BadInput
from flows.site.jobs import Jobs
from flows.site.ledger import Ledger
from flows.site.letters import add_hook, hooks, remove_hook
from flows.site.process import Processes
from tests.campaigns import home_with, keyreel
from tests.site_data import home_with_a_week, served, token, visit

pytestmark = pytest.mark.slow  # a site is served


class Idle:
    """A runner that does what it is told to have done."""

    def __init__(self):
        self.outcome, self.started, self.cancelled = ("running", ""), [], []

    def start(self, job):
        self.started.append(job.id)
        return "handle"

    def look(self, job):
        return self.outcome

    def cancel(self, job):
        self.cancelled.append(job.id)


@pytest.fixture
def desk(tmp_path):
    """Jobs of a home, with a runner that does nothing."""
    home = home_with(tmp_path / "home")
    ledger = Ledger(home)
    yield Jobs(home, ledger, Idle())
    ledger.close()


def test_the_same_key_is_the_same_job(desk):
    """Said again it is not done again; with other words it is refused; others have own keys."""
    asked = {"kind": "campaign", "campaign": "stills"}
    first, new = desk.submit("a", asked, "monday")
    assert new
    assert desk.submit("a", dict(reversed(asked.items())), "monday") == (first, False)
    with pytest.raises(BadInput, match="Idempotency-Key"):
        desk.submit("a", {**asked, "seed": 1}, "monday")
    assert desk.submit("b", asked, "monday")[1]
    assert desk.submit("a", asked)[0].id != desk.submit("a", asked)[0].id


def test_a_job_is_started_once_and_ends_once(desk):
    """However often it is looked at, and by how many sites."""
    job, _ = desk.submit("a", {"kind": "campaign", "campaign": "stills"})
    add_hook(desk.ledger, "http://127.0.0.1:9/")
    for _ in range(3):
        desk.turn()
    assert desk.runner.started == [job.id]
    assert desk.get(job.id).state == "running"
    desk.runner.outcome = ("failed", "no disk")
    stale = desk.open()
    desk.turn()
    for one in stale:
        desk._look(one)
    found = desk.get(job.id)
    assert (found.state, found.error) == ("failed", "no disk")
    assert found.finished
    (letter,) = desk.ledger.rows("SELECT body FROM letters")
    told = json.loads(letter["body"])
    assert (told["type"], told["data"]["job"]) == ("job.failed", job.id)


@pytest.mark.parametrize(
    ("asked", "its"),
    [
        ({"kind": "campaign", "campaign": "stills"}, "stills"),
        ({"kind": "text-to-video", "request": {"prompt": "x"}}, "text-to-video-0a1b2c3d"),
    ],
)
def test_a_job_is_told_the_run_that_it_became(desk, asked, its):
    """A form's too; of two jobs each its own; none for one that waits or never began."""

    def begun(number: int) -> str:
        for whose in ("other", its, f"{its}-variants"):
            folder = desk.home.runs / f"29990101-00000{number}-{whose}-ab12"
            folder.mkdir(parents=True)
            (folder / "run.json").touch()
        return f"29990101-00000{number}-{its}-ab12"

    def runs() -> list[str]:
        return [desk.get(job.id).run for job in (first, second, never)]

    first, second, never = (desk.submit("a", asked)[0] for _ in range(3))
    desk.cancel(never.id)
    desk.runner.look = lambda job: ("done" if job.id == first.id else "queued", "")
    desk.turn()
    one = begun(1)
    desk.turn()
    assert runs() == [one, "", ""]
    two = begun(2)
    desk.runner.look = lambda job: ("done", "")
    desk.turn()
    assert runs() == [one, two, ""]


def test_a_cancelled_job_ends_as_cancelled(desk):
    """One that waits is never started; one that runs is asked to end; an ended one stays."""
    waiting, _ = desk.submit("a", {"kind": "campaign", "campaign": "stills"})
    desk.cancel(waiting.id)
    desk.turn()
    assert (desk.get(waiting.id).state, desk.runner.started) == ("cancelled", [])
    running, _ = desk.submit("a", {"kind": "campaign", "campaign": "stills"})
    desk.turn()
    assert desk.cancel(running.id).state == "cancelling"
    assert desk.runner.cancelled == [running.id]
    desk.runner.outcome = ("failed", "killed")
    desk.turn()
    assert desk.get(running.id).state == "cancelled"
    assert desk.cancel(running.id).state == "cancelled"


def test_jobs_that_wait_are_counted(desk):
    """A script that runs wild is stopped at fifty."""
    for _ in range(50):
        desk.submit("a", {"kind": "campaign", "campaign": "stills"})
    with pytest.raises(BadInput, match="50 jobs wait"):
        desk.submit("a", {"kind": "campaign", "campaign": "stills"})


def test_a_process_that_died_is_told(desk):
    """One without its lock has failed; its log is named, relative to the home."""
    runner = Processes(desk.home)
    job, _ = desk.submit("a", {"kind": "campaign", "campaign": "stills"})
    runner.folder.mkdir()
    state, why = runner.look(job)
    assert state == "failed"
    assert f"site/jobs/{job.id}.log" in why
    assert str(desk.home.root) not in why


@pytest.mark.parametrize(
    "url", ["ftp://a/b", "file:///etc/passwd", "http://", "//a", "http://u:p@a/"]
)
def test_letters_go_to_plain_addresses_alone(desk, url):
    """What is no http(s) address, or has a password in it, is refused."""
    with pytest.raises(BadInput):
        add_hook(desk.ledger, url)
    assert hooks(desk.ledger) == []


class Listener:
    """A receiver of letters on a free port; it refuses the first `refusals`."""

    def __init__(self, refusals: int = 0):
        self.letters: list[tuple[dict[str, str], bytes]] = []
        listener, left = self, [refusals]

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"]))
                listener.letters.append(({k.lower(): v for k, v in self.headers.items()}, body))
                left[0] -= 1
                self.send_response(500 if left[0] >= 0 else 204)
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/letters"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def until(self, count: int, seconds: float = 30) -> None:
        """Wait for so many letters."""
        end = time.monotonic() + seconds
        while len(self.letters) < count and time.monotonic() < end:
            time.sleep(0.05)
        assert len(self.letters) >= count

    def close(self) -> None:
        """Stop listening."""
        self.server.shutdown()
        self.server.server_close()


def test_a_letter_is_signed_and_tried_again(tmp_path, monkeypatch):
    """A receiver that stumbles gets the same letter once more; it can tell that it is ours."""
    monkeypatch.setattr("flows.site.letters.deliver.__defaults__", ((0.1, 0.1),))
    week = home_with_a_week(tmp_path / "home")
    listener, ledger = Listener(refusals=1), Ledger(week.home)
    secret = base64.b64decode(add_hook(ledger, listener.url).removeprefix("whsec_"))
    with visit(week.home) as client:
        jobs = client.app.state.site.jobs
        job, _ = jobs.submit("a", {"kind": "campaign", "campaign": "none"})
        jobs.cancel(job.id)
        listener.until(2)
        time.sleep(1.5)
    listener.close()
    (first, body), (second, again) = listener.letters
    assert body == again
    assert first["webhook-id"] == second["webhook-id"]
    assert json.loads(body)["data"] == {
        "job": job.id, "run": "", "state": "cancelled", "error": "",
        "asked": {"kind": "campaign", "campaign": "none"},
    }  # fmt: skip
    said = f"{second['webhook-id']}.{second['webhook-timestamp']}.".encode() + again
    mac = base64.b64encode(hmac.new(secret, said, hashlib.sha256).digest()).decode()
    assert second["webhook-signature"] == f"v1,{mac}"
    assert ledger.rows("SELECT * FROM letters") == []
    remove_hook(ledger, listener.url)
    assert hooks(ledger) == []
    ledger.close()


def until_ended(address: str, headers: dict[str, str], name: str, seconds: float = 180) -> dict:
    """Wait until a job has ended; return what the API says of it."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        job = httpx.get(f"{address}/api/v1/jobs/{name}", headers=headers, timeout=10).json()
        if job["finished"]:
            return job
        time.sleep(0.3)
    raise TimeoutError(name)


@pytest.mark.long
@pytest.mark.timeout(400)
def test_a_killed_site_harms_no_campaign(tmp_path):
    """kill -9 in mid-campaign: the job goes on, the next site tells its end, once, in a letter."""
    home = home_with(tmp_path / "home")
    headers = {"authorization": f"Bearer {token(home, 'admin')}"}
    listener = Listener()
    assert keyreel(home, "webhook", "add", listener.url).stdout.startswith("whsec_")
    with served(home) as (address, process):
        asked = {"kind": "campaign", "campaign": "stills"}
        job = httpx.post(f"{address}/api/v1/jobs", json=asked, headers=headers).json()
        end = time.monotonic() + 90
        while not list(home.runs.glob("*/.running")) and time.monotonic() < end:
            time.sleep(0.1)
        os.kill(process.pid, signal.SIGKILL)
        process.wait(10)
    with served(home) as (address, _):
        found = until_ended(address, headers, job["id"])
        assert (found["state"], found["error"]) == ("done", "")
        run = latest_run(home.runs, "stills")
        assert run is not None
        assert (run.state, found["run"]) == ("done", run.id)
        assert len(list(home.runs.glob("*/run.json"))) == 1
        listener.until(1)
        picture = httpx.get(f"{address}/api/v1/assets", headers=headers).json()["assets"][0]
        changes = {"kind": "variant", "asset": keyframe(address, headers), "changes": {"seed": 5}}
        tried = httpx.post(f"{address}/api/v1/jobs", json=changes, headers=headers).json()
        varied = until_ended(address, headers, tried["id"])
        assert (varied["state"], varied["error"]) == ("done", "")
        made = httpx.get(
            f"{address}/api/v1/assets", params={"campaign": "stills-variants"}, headers=headers
        ).json()["assets"]
        assert {asset["stage"] for asset in made} >= {"keyframe"}
        assert picture["sha256"] not in {asset["sha256"] for asset in made}
        assert latest_run(home.runs, "stills") == run
    listener.close()
    assert [json.loads(body)["type"] for _, body in listener.letters][:1] == ["job.done"]


def keyframe(address: str, headers: dict[str, str]) -> str:
    """Return the SHA-256 of a keyframe."""
    asked = {"stage": "keyframe"}
    found = httpx.get(f"{address}/api/v1/assets", params=asked, headers=headers).json()
    return found["assets"][0]["sha256"]
