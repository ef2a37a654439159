"""deploy/compose.yaml at work: Postgres, Redis, two replicas of which one is killed, TLS, a guest.

Debian's Postgres 15, Redis 7 and Caddy 2.6 stand in for the images.
"""

from __future__ import annotations

import base64
import os
import re
import signal
import ssl
import tempfile
from pathlib import Path

import httpx
import pytest

from catalogs.store import Store
from tests.campaigns import bytes_of
from tests.compose import Compose, skip_unless_possible
from tests.fault_home import assert_tidy, new_home
from tests.prefect_team import end
from tests.up_home import wait_until

pytestmark = [pytest.mark.long, pytest.mark.prefect, pytest.mark.timeout(580)]

TOLD = {
    "POSTGRES_PASSWORD": "p0stgres-secret",
    "PREFECT_AUTH": "studio:prefect-secret",
    "PREFECT_HOST": "prefect.localhost",
    "GALLERY_HOST": "gallery.localhost",
}
LOST = "its flow run is completed; its own end was lost"
"""What `keyreel up` says of a task whose news the killed server had not passed on."""
WEEK = {"matrix": {"product": "all", "day": ["mon", "tue"]}}
BASIC = "Basic " + base64.b64encode(TOLD["PREFECT_AUTH"].encode()).decode()

ABORTED = re.compile(
    r"Traceback(?:(?!Background on this error).)*InFailedSQLTransactionError"
    r"(?:(?!Background on this error).)*\bblock_schema\b"
    r"(?:(?!Background on this error).)*Background on this error",
    re.DOTALL,
)
"""The same race of two servers, where the second goes on without a block type: this one error."""


class Team:
    """What the file describes, running; asked from outside."""

    def __init__(self, folder: Path) -> None:
        self.compose = Compose(folder, TOLD)
        self.home = new_home(folder / "work", **WEEK)
        self.token = ""

    def begin(self) -> None:
        """Start the services in the order of their `depends_on`."""
        parts = self.compose
        parts.postgres()
        parts.redis()
        parts.once("migrate")
        for replica in ("server", "server-2"):
            parts.keep("server", replica)
        parts.keep("services")
        parts.once("home")
        for replica in ("server", "server-2"):
            parts.wait(replica, 4200)
        parts.once("deployments")
        self.authority = parts.proxy()
        self.token = parts.once("gallery", "token", "new", "--role", "admin").strip()
        parts.keep("gallery")
        parts.wait("gallery", 4300)

    def ask(self, host: str, path: str, body: object = None, **headers: str) -> httpx.Response:
        """Ask through the proxy, as a browser does."""
        context = ssl.create_default_context(cafile=self.authority)
        with httpx.Client(verify=context, timeout=30) as client:
            request = client.build_request(
                "GET" if body is None else "POST",
                f"https://{self.compose.address['proxy']}{path}",
                json=body,
                headers={"Host": host, **headers},
                extensions={"sni_hostname": host},
            )
            return client.send(request)

    def prefect(self, path: str, body: object = None) -> object:
        """Ask Prefect's API."""
        for _ in range(5):  # as Prefect's client: a killed server leaves what it was asked
            answer = self.ask(TOLD["PREFECT_HOST"], f"/api{path}", body, Authorization=BASIC)
            if answer.status_code != httpx.codes.BAD_GATEWAY:
                break
        assert answer.is_success, f"{answer}\n{self.said()}"
        return answer.json()

    def tasks(self, run: str) -> dict[str, str]:
        """Return a flow run's task runs, and how each ended."""
        found = self.prefect("/task_runs/filter", {"flow_runs": {"id": {"any_": [run]}}})
        return {one["id"]: one["state_type"] for one in found}

    def finish(self, run: str) -> None:
        """Wait until a flow run and its task runs are completed.

        A server that is killed may lose a task's news: `keyreel up` tells it two minutes later.
        """

        def states() -> set[str]:
            state = self.prefect(f"/flow_runs/{run}")["state_type"]
            return {state, *self.tasks(run).values()}

        wait_until(lambda: states() == {"COMPLETED"}, 250, lambda: f"{states()}\n{self.said()}")

    def told(self, run: str) -> set[str]:
        """Return the task runs of whose completion Prefect has an event, or `keyreel up` told."""
        body = {"filter": {"event": {"name": ["prefect.task-run.Completed"]}}, "limit": 50}
        found = self.prefect("/events/filter", body)["events"]
        heard = {one["resource"]["prefect.resource.id"].rpartition(".")[2] for one in found}
        tasks = self.prefect("/task_runs/filter", {"flow_runs": {"id": {"any_": [run]}}})
        return heard | {one["id"] for one in tasks if one["state"]["message"] == LOST}

    def said(self) -> str:
        logs = sorted(self.compose.folder.glob("*.log"))
        return "\n".join(f"== {log.stem}\n{log.read_text('utf-8')[-1500:]}" for log in logs)


@pytest.fixture(scope="module")
def team():
    """The services of the file, but for the worker."""
    skip_unless_possible()
    with tempfile.TemporaryDirectory(prefix="keyreel-compose-") as name:
        folder = Path(name)
        folder.chmod(0o755)  # Postgres runs as another user
        one = Team(folder)
        with one.compose.stack:
            one.begin()
            yield one


def test_a_killed_replica_loses_nothing(team):
    """What the gallery is asked for is made, and told of whole, though one server is killed."""
    parts = team.compose
    parts.keep("worker")
    body = {"kind": "campaign", "campaign": "stills"}
    keys = {"Authorization": f"Bearer {team.token}", "Idempotency-Key": "week"}
    job = team.ask(TOLD["GALLERY_HOST"], "/api/v1/jobs", body, **keys).raise_for_status().json()
    wait_until(lambda: len(Store(team.home.store).held()) >= 3, 200, team.said)
    os.killpg(parts.running["server"].pid, signal.SIGKILL)
    (run,) = team.prefect("/flow_runs/filter", {"flow_runs": {"tags": {"all_": ["site"]}}})
    team.finish(run["id"])
    tasks = team.tasks(run["id"])
    assert len(tasks) >= 6
    wait_until(lambda: team.told(run["id"]) >= tasks.keys(), 30, team.said)
    mine = f"/api/v1/jobs/{job['id']}"
    wait_until(lambda: team.ask(TOLD["GALLERY_HOST"], mine, **keys).json()["state"] == "done", 30)
    for part in ("services", "server-2", "gallery", "worker"):
        said = parts.said(part)
        if "uq_block_type__slug" in said:
            # Both servers fill an empty database with Prefect's block types; the one that comes
            # second there stops, and is begun again.
            said = said.rpartition("Server stopped!")[2]
        said = ABORTED.sub("", said)
        assert "Traceback" not in said, said[-3000:]
    assert_tidy(team.home)
    end(parts.running["worker"])


def test_a_guest_joins_through_tls(team, tmp_path):
    """A further machine with a home of its own works for the team, once it has the password."""
    guest = new_home(tmp_path / "guest", **WEEK)
    address = f"https://{TOLD['PREFECT_HOST']}"
    command = ["keyreel", "--home", str(guest.root), "up", "--join", address]
    env = team.compose.environment("worker", SSL_CERT_FILE=str(team.authority))
    env = {name: told for name, told in env.items() if not name.startswith("PREFECT_API")}
    refused = team.compose.start("guest", command, env, key="stranger")
    assert refused.wait(100) == 2
    assert "PREFECT_API_AUTH_STRING" in team.compose.said("stranger")
    assert "Traceback" not in team.compose.said("stranger")
    team.compose.start("guest", command, env | {"PREFECT_API_AUTH_STRING": TOLD["PREFECT_AUTH"]})
    (found,) = team.prefect(
        "/deployments/filter", {"deployments": {"name": {"any_": ["campaign"]}}}
    )
    body = {"parameters": {"campaign": "stills"}}
    run = team.prefect(f"/deployments/{found['id']}/create_flow_run", body)
    team.finish(run["id"])
    assert_tidy(guest)
    delivered = bytes_of(guest.deliveries)
    assert len(delivered) == 6, (delivered.keys(), Store(guest.store).held(), team.said())


def test_strangers_are_turned_away(team):
    """Over TLS as inside: Prefect asks for the password, the gallery for a token."""
    assert team.ask(TOLD["PREFECT_HOST"], "/api/flow_runs/filter", {}).status_code == 401
    assert team.ask(TOLD["GALLERY_HOST"], "/api/v1/jobs", {}).status_code == 401
    inside = f"http://{team.compose.address['server-2']}:4200/api/flow_runs/filter"
    assert httpx.post(inside, json={}).status_code == 401
    words = "\n".join(log.read_text("utf-8") for log in team.compose.folder.glob("*.log"))
    assert not [secret for secret in (*TOLD.values(),)[:2] if secret.split(":")[-1] in words]
