"""Jobs as flow runs of a Prefect server, where one is configured: `keyreel up` tells the site so.

Its worker does them, its pages show them, its limits hold. Trying a change stays a process of this
machine: no deployment does that.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING
from uuid import UUID

import httpx

from configs.base import Json
from configs.errors import KeyreelError
from configs.home import Home
from flows.site.jobs import Job, State
from flows.site.process import Processes

if TYPE_CHECKING:
    from prefect.client.orchestration import SyncPrefectClient

STATES: Mapping[str, State] = {
    "SCHEDULED": "queued", "PENDING": "queued", "RUNNING": "running", "PAUSED": "running",
    "CANCELLING": "cancelling", "CANCELLED": "cancelled", "COMPLETED": "done",
    "FAILED": "failed", "CRASHED": "failed",
}  # fmt: skip
PARTLY = "PartlyDone"
"""The name of the state that `flows.campaign` ends in where some shots failed."""


class Deployments:
    """The runner of a home that a Prefect server serves.

    Args:
        home: whose jobs these are.
    """

    def __init__(self, home: Home) -> None:
        self.home, self.processes = home, Processes(home)

    def start(self, job: Job) -> str:
        """Ask for a flow run; the server makes one of a job however often it is asked.

        Raises:
            KeyreelError: where the deployment is not registered, or refuses its parameters.
        """
        kind = str(job.asked["kind"])
        if kind == "variant":
            return self.processes.start(job)
        from prefect.exceptions import ObjectNotFound, PrefectHTTPStatusError

        with client() as server:
            try:
                found = server.read_deployment_by_name(f"{kind}/{kind}")
                run = server.create_flow_run_from_deployment(
                    found.id, parameters=self._parameters(job), idempotency_key=job.id,
                    tags=["site"],
                )  # fmt: skip
            except PrefectHTTPStatusError as error:
                raise KeyreelError(
                    f"the deployment {kind}/{kind}: {error.response.text[:400]}"
                ) from None
            except ObjectNotFound:
                raise KeyreelError(
                    f"{kind}/{kind} is not registered; run `prefect --no-prompt deploy --all`"
                ) from None
        return str(run.id)

    def look(self, job: Job) -> tuple[State, str]:
        """Return the state of the flow run."""
        if job.handle.isdecimal():
            return self.processes.look(job)
        with client() as server:
            state = server.read_flow_run(UUID(job.handle)).state
        if state is None:
            return "queued", ""
        if state.name == PARTLY:
            return "failed", state.message or "some shots failed"
        found = STATES[state.type.value]
        return found, (state.message or "") if found == "failed" else ""

    def cancel(self, job: Job) -> None:
        """Ask the server to end the flow run; the worker does it."""
        if job.handle.isdecimal():
            return self.processes.cancel(job)
        from prefect.states import Cancelling

        with client() as server:
            server.set_flow_run_state(UUID(job.handle), Cancelling())

    def _parameters(self, job: Job) -> dict[str, Json]:
        asked = {name: value for name, value in job.asked.items() if name != "kind"}
        return asked | {"home": str(self.home.root)} if "campaign" in asked else asked


@contextmanager
def client() -> Iterator[SyncPrefectClient]:
    """Yield a client of the configured server.

    Raises:
        ConnectionError: where it does not answer; asked again later it may.
    """
    from prefect import get_client

    try:
        with get_client(sync_client=True) as server:
            yield server
    except httpx.TransportError as error:
        raise ConnectionError(f"Prefect's server does not answer: {error}") from None
