"""Work that begins long after its time, or not at all, is told.

Where no worker takes a run, the run cannot tell of itself: `keyreel up` does, once for each.
"""

from __future__ import annotations

import datetime as dt

from prefect import get_run_logger
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.filters import FlowRunFilter, WorkPoolFilter
from prefect.client.schemas.objects import FlowRun
from prefect.runtime import flow_run

from configs.home import Home
from flows.approval_form import began, is_of
from flows.notify import say
from flows.up.pool import POOL

LATE = dt.timedelta(minutes=15)
"""A busy machine takes a minute to begin a run."""
TOLD = "keyreel.told"
"""A label on Prefect's server: it outlives this process, and other machines see it."""


def tell_delay(home: Home, name: str) -> None:
    """Say so where this flow run began long after its time: the worker was away, or busy."""
    planned = flow_run.get_scheduled_start_time()
    late = began() - planned
    resumed = dt.datetime.now(dt.UTC) - began() > dt.timedelta(minutes=1)
    if late > LATE and not resumed:
        words = f"begun {_minutes(late)} minutes after {planned:%Y-%m-%d %H:%M} UTC"
        get_run_logger().warning("%s", words)
        say(home, "late", name, words)


def tell_late(client: SyncPrefectClient, home: Home, after: dt.timedelta = LATE) -> list[str]:
    """Tell of runs whose time has come and that no worker has begun.

    Args:
        client: to the Prefect server.
        home: whose runs; other homes' are left alone.
        after: how long to wait.

    Returns:
        A sentence for each.
    """
    now = dt.datetime.now(dt.UTC)
    found = client.read_flow_runs(
        flow_run_filter=FlowRunFilter.model_validate(
            {"state": {"name": {"any_": ["Late"]}}, "expected_start_time": {"before_": now - after}}
        ),
        work_pool_filter=WorkPoolFilter.model_validate({"name": {"any_": [POOL]}}),
        limit=200,
    )
    late = [run for run in found if is_of(run, home) and TOLD not in run.labels]
    return [_tell(client, home, run, now) for run in late]


def _tell(client: SyncPrefectClient, home: Home, run: FlowRun, now: dt.datetime) -> str:
    client.update_flow_run_labels(run.id, {TOLD: "late"})
    planned = run.expected_start_time or now
    words = f"should have begun {_minutes(now - planned)} minutes ago: no worker takes it"
    subject = str(run.parameters.get("campaign") or client.read_flow(run.flow_id).name)
    say(home, "late", subject, words)
    return f"{subject} {words}"


def _minutes(time: dt.timedelta) -> str:
    return f"{time.total_seconds() / 60:.0f}"
