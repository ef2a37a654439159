"""Jobs as flow runs: asked for once, seen as the server sees them, cancelled before they begin."""

from __future__ import annotations

import pytest

from flows.site.deployments import Deployments, client
from flows.site.jobs import Jobs
from flows.site.ledger import Ledger
from tests.campaigns import home_with
from tests.prefect_team import team
from tests.up_home import wait_until

pytestmark = [pytest.mark.slow, pytest.mark.prefect, pytest.mark.timeout(240)]


def limits(server) -> set[tuple[int, str]]:
    """Return how many runs of each deployment may be under way, and what befalls one more.

    Only what is registered on the server limits.
    """
    found = [
        (one.global_concurrency_limit, one.concurrency_options) for one in server.read_deployments()
    ]
    assert len(found) == 9
    return {(limit.limit, options.collision_strategy.value) for limit, options in found}


def fridays(server) -> set[int]:
    """Return the weekdays of the runs that the weekly schedule has brought."""
    (found,) = [one for one in server.read_deployments() if one.name == "weekly-campaign"]
    runs = [run for run in server.read_flow_runs() if run.deployment_id == found.id]
    return {run.expected_start_time.weekday() for run in runs} & {4}


@pytest.mark.long
def test_a_job_is_a_flow_run_of_the_teams_server(tmp_path):
    """One job is one flow run however often it is started; `deploy` alone makes pool and limits."""
    from prefect.settings import PREFECT_API_URL, temporary_settings

    home = home_with(tmp_path / "home")
    ledger = Ledger(home)
    jobs = Jobs(home, ledger, Deployments(home))
    asked = {"kind": "campaign", "campaign": "stills", "seed": 5}
    with (
        team(tmp_path / "prefect", home) as ours,
        temporary_settings({PREFECT_API_URL: f"{ours.url}/api"}),
    ):
        early, _ = jobs.submit("a", asked)
        jobs.turn()
        found = jobs.get(early.id)
        assert found.state == "failed"
        assert "prefect --no-prompt deploy --all" in found.error
        registered = ours.prefect("deploy", "--all")
        assert registered.returncode == 0, registered.stderr
        job, _ = jobs.submit("a", asked)
        handles = {jobs.runner.start(job) for _ in range(3)}
        assert len(handles) == 1
        jobs.turn()
        assert jobs.get(job.id).handle in handles
        jobs.turn()
        assert jobs.get(job.id).state == "queued"
        with client() as server:
            assert limits(server) == {(1, "ENQUEUE")}
            wait_until(lambda: fridays(server), 90)
            run = server.read_flow_run(handles.pop())
        assert run.parameters == {"campaign": "stills", "seed": 5, "home": str(home.root)}
        jobs.cancel(job.id)
        jobs.turn()
        assert jobs.get(job.id).state == "cancelled"
    ledger.close()


def test_a_server_that_is_gone_is_asked_again(tmp_path, monkeypatch):
    """A job waits while nobody answers: it has not failed."""
    from prefect.settings import PREFECT_API_URL, PREFECT_CLIENT_MAX_RETRIES, temporary_settings

    home = home_with(tmp_path / "home")
    ledger = Ledger(home)
    jobs = Jobs(home, ledger, Deployments(home))
    job, _ = jobs.submit("a", {"kind": "campaign", "campaign": "stills"})
    nobody = {PREFECT_API_URL: "http://127.0.0.1:9/api", PREFECT_CLIENT_MAX_RETRIES: 0}
    with temporary_settings(nobody):
        jobs.turn()
    assert jobs.get(job.id).state == "queued"
    ledger.close()
