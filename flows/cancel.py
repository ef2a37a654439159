"""A cancel in Prefect's pages reaches the work itself, not only the worker, which looks every 10 s.

Knows nothing of what is stopped.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn
from uuid import UUID

import httpx
from prefect import get_client
from prefect.client.schemas.objects import State
from prefect.exceptions import Abort
from prefect.runtime import deployment, flow_run
from prefect.states import Cancelled

LOOK_SECONDS = 2.0


@contextmanager
def cancels() -> Iterator[threading.Event]:
    """Yield an event that is set once somebody cancels this flow run.

    A run that no deployment started is cancelled by Ctrl-C alone, and asks no server.
    """
    cancelled, over = threading.Event(), threading.Event()
    if deployment.get_id() is None:
        yield cancelled
        return
    run = UUID(str(flow_run.get_id()))
    looking = threading.Thread(target=_look, args=(run, cancelled, over), daemon=True)
    looking.start()
    try:
        yield cancelled
    finally:
        over.set()


def end_cancelled(words: str) -> NoReturn:
    """End this flow run as cancelled.

    Told here and not by what the flow gives back: Prefect would log that with a traceback.
    """
    state: State[None] = Cancelled(message=words)
    with get_client(sync_client=True) as client:
        client.set_flow_run_state(UUID(str(flow_run.get_id())), state)
    ending = Abort(words)
    vars(ending)["state"] = state  # Prefect's own way to say that the server knows
    raise ending


def _look(run: UUID, cancelled: threading.Event, over: threading.Event) -> None:
    with get_client(sync_client=True) as client:
        while not over.wait(LOOK_SECONDS) and not cancelled.is_set():
            try:
                state = client.read_flow_run(run).state
            except httpx.HTTPError:  # the server is being started anew
                continue
            if state and (state.is_cancelling() or state.is_cancelled()):
                cancelled.set()
