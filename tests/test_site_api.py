"""The JSON API: what it says it takes and gives is what it does, asked by schemathesis."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import pytest
import uvicorn

from flows.site.app import create
from tests.campaigns import home_with
from tests.site_data import home_with_a_week, token, visit


def test_a_campaign_is_asked_for_by_name(tmp_path):
    """What is not there is refused with the nearest name; a reviewer may not start one."""
    home = home_with(tmp_path / "home")
    asked = {"kind": "campaign", "campaign": "stils"}
    with visit(home, bearer=token(home, "admin")) as client:
        answer = client.post("/api/v1/jobs", json=asked)
        assert answer.status_code == 404
        assert "stills" in answer.json()["title"]
        for wrong in ("../stills", "stills.yaml", "", "/etc/passwd"):
            body = {**asked, "campaign": wrong}
            assert client.post("/api/v1/jobs", json=body).status_code == 404
        assert client.get("/api/v1/jobs").json() == {"jobs": []}
    with visit(home, bearer=token(home, "reviewer")) as client:
        assert client.post("/api/v1/jobs", json={**asked, "campaign": "stills"}).status_code == 403


def test_a_form_beyond_its_model_is_refused_at_once(tmp_path):
    """In the form's words; no job is written down."""
    home = home_with(tmp_path / "home")
    form = {"prompt": "a mug", "model": "mini-clip"}
    with visit(home, bearer=token(home, "admin")) as client:
        for more, said in (
            ({"resolution": "720p"}, "mini-clip draws at"),
            ({"seconds": 55}, "longer than mini-clip can make"),
            ({"model": "mini-clp"}, "did you mean 'mini-clip'"),
        ):
            body = {"kind": "text-to-video", "request": form | more}
            answer = client.post("/api/v1/jobs", json=body)
            assert (answer.status_code, said in answer.json()["title"]) == (409, True), answer.text
        assert client.get("/api/v1/jobs").json() == {"jobs": []}


def test_a_refusal_is_one_sentence_and_no_traceback(tmp_path):
    """RFC 9457: status and title, for a wrong number, a wrong word and an unknown field."""
    week = home_with_a_week(tmp_path / "home")
    with visit(week.home, bearer=token(week.home, "viewer")) as client:
        for path, status in (
            ("/api/v1/assets?limit=x", 422), ("/api/v1/runs/nope", 404), ("/api/v1/nope", 404),
        ):  # fmt: skip
            answer = client.get(path)
            assert answer.headers["content-type"] == "application/problem+json"
            assert answer.json()["status"] == answer.status_code == status
            assert "Traceback" not in answer.text
        refused = client.delete("/api/v1/jobs")
        assert (refused.status_code, refused.headers["allow"]) == (405, "GET, POST")


class Idle:
    """A runner that starts nothing: what is asked for by the hundred is not to be done."""

    def start(self, job):
        return "1"

    def look(self, job):
        return "failed", "not done"

    def cancel(self, job):
        pass


@contextmanager
def listening(home):
    """Yield the address of a site that starts no job and has no rate limit."""
    app = create(home, limits={})
    app.state.site.jobs.runner = Idle()
    config = uvicorn.Config(app, port=0, log_level="critical")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.05)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = True
    thread.join(20)


@pytest.mark.slow
@pytest.mark.timeout(200)
def test_the_api_is_what_its_description_says(tmp_path):
    """Some hundred requests, right and wrong: no crash, no answer that is not described."""
    week = home_with_a_week(tmp_path / "home")
    given = token(week.home, "admin")
    words = ["--checks", "all", "--max-examples", "12", "--seed", "7", "--no-color"]
    words += ["--phases", "coverage,fuzzing", "--generation-database", "none"]
    with listening(week.home) as address:
        found = subprocess.run(
            [
                Path(sys.executable).with_name("st"), "run", f"{address}/api/v1/openapi.json",
                "--url", address, "--header", f"Authorization: Bearer {given}", *words,
            ],
            capture_output=True, text=True, cwd=tmp_path, check=False, timeout=180,
        )  # fmt: skip
    assert found.returncode == 0, found.stdout[-6000:]
