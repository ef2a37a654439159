"""The JSON API: what it says it takes and gives is what it does, asked by schemathesis."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.campaigns import home_with
from tests.site_data import home_with_a_week, served, token, visit


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
        assert client.delete("/api/v1/runs").status_code == 405


@pytest.mark.slow
@pytest.mark.timeout(200)
def test_the_api_is_what_its_description_says(tmp_path):
    """Some hundred requests, right and wrong: no crash, no answer that is not described."""
    week = home_with_a_week(tmp_path / "home")
    (week.home.campaigns / "my-campaign.yaml").unlink(missing_ok=True)
    given = token(week.home, "admin")
    command = Path(sys.executable).with_name("st")
    with served(week.home) as (address, _):
        found = subprocess.run(
            [
                command, "run", f"{address}/api/v1/openapi.json", "--url", address,
                "--header", f"Authorization: Bearer {given}", "--checks", "all",
                "--max-examples", "12", "--seed", "7", "--phases", "examples,coverage,fuzzing",
                "--generation-database", "none", "--no-color",
            ],
            capture_output=True, text=True, cwd=tmp_path, check=False, timeout=180,
        )  # fmt: skip
    assert found.returncode == 0, found.stdout[-6000:]
