"""What a kill leaves behind on the Prefect server is put right: begun again, or told as it is.

The server hears of a flow run's end from its process or from its worker. Where both were killed, or
the server itself, a run stays Pending or Running for ever.
"""

from __future__ import annotations

import datetime as dt
import json
import math
import os
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID

import psutil
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.filters import FlowRunFilter, TaskRunFilter, WorkPoolFilter
from prefect.client.schemas.objects import FlowRun, State, TaskRun
from prefect.states import Cancelled, Completed, Crashed, Scheduled

from flows.up.pool import POOL
from gpu.service.address import write_secret

STARTS = 5
"""Of one flow run: one that has crashed so often will crash again."""
GONE_SECONDS = 10.0
"""Without a process: its worker tells the server of its end at once, where it still can."""
PENDING_SECONDS = 120.0
"""From a worker's taking of a run to its process: 5 s, on a busy machine several times that."""
SETTLE_SECONDS = 120.0
"""For the last news of a flow run's tasks to arrive after its own: over 30 s on a busy machine."""

UNDER_WAY = ["PENDING", "RUNNING", "CANCELLING"]
ENDED_BADLY = ["FAILED", "CRASHED", "CANCELLED"]


@dataclass(slots=True)
class Memory:
    """The flow runs that had a process on this machine, in a file that outlives this one's."""

    file: Path
    ours: dict[UUID, float] = field(default_factory=dict)
    """With when that was last seen, on this process's clock; 0: before it began."""
    stopped: set[UUID] = field(default_factory=set)
    """Those that were stopped together with the worker."""

    @classmethod
    def read(cls, file: Path) -> Memory:
        """Return what the file tells; nothing where there is none."""
        told = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
        ours = {UUID(one): 0.0 for one in told.get("ours", ())}
        return cls(file, ours, set(map(UUID, told.get("stopped", ()))))

    def see(self, running: set[UUID]) -> None:
        """Note which run now."""
        new = not running <= self.ours.keys()
        self.ours |= dict.fromkeys(running, time.monotonic())
        if new:
            self.write()

    def forget(self, run: UUID) -> None:
        """Strike one out."""
        self.ours.pop(run, None)
        self.stopped.discard(run)
        self.write()

    def write(self) -> None:
        """Write all down."""
        self.file.parent.mkdir(parents=True, exist_ok=True)
        told = {"ours": [*map(str, self.ours)], "stopped": [*map(str, self.stopped)]}
        write_secret(self.file, json.dumps(told))


class Reviver:
    """Puts right the flow runs of this machine.

    Args:
        client: to the Prefect server.
        file: what it remembers.
    """

    def __init__(self, client: SyncPrefectClient, file: Path) -> None:
        self.client, self.memory = client, Memory.read(file)

    def look(self) -> list[str]:
        """Put right what is wrong now; return a sentence for each."""
        running = set(running_here())
        self.memory.see(running)
        said = [self._settle(run) for run in self._flow_runs() if run.id not in running]
        self._end_task_runs({"state": {"type": {"any_": ENDED_BADLY}}}, SETTLE_SECONDS, _died())
        told: State[None] = Completed(message="its flow run is completed; its own end was lost")
        self._end_task_runs({"state": {"type": {"any_": ["COMPLETED"]}}}, SETTLE_SECONDS, told)
        return [words for words in said if words]

    def stop(self) -> None:
        """Note what runs, and is about to be stopped with its worker: it is to go on later."""
        self.memory.stopped |= set(running_here()) & self.memory.ours.keys()
        self.memory.write()

    def _flow_runs(self) -> list[FlowRun]:
        """Return the pool's runs that are under way, and those that had a process here."""
        found = self.client.read_flow_runs(
            flow_run_filter=FlowRunFilter.model_validate({"state": {"type": {"any_": UNDER_WAY}}}),
            work_pool_filter=WorkPoolFilter.model_validate({"name": {"any_": [POOL]}}),
        )
        if ids := [str(one) for one in self.memory.ours]:
            ours = FlowRunFilter.model_validate({"id": {"any_": ids}})
            found += self.client.read_flow_runs(flow_run_filter=ours)
        return list({run.id: run for run in found}.values())

    def _settle(self, run: FlowRun) -> str:
        """Look at a run that has no process here; return what was done, if anything."""
        state, seen = run.state, self.memory.ours.get(run.id)
        if state is None or (seen is None and not _stuck(state)):
            return ""
        if seen and time.monotonic() - seen < GONE_SECONDS:
            return ""
        if state.is_cancelling():
            return self._end(run, Cancelled(message="its process had ended"))
        stopped = state.is_failed() and run.id in self.memory.stopped
        if not (state.type.value in UNDER_WAY or state.is_crashed() or stopped):
            self.memory.forget(run.id)
            return ""
        if run.run_count >= STARTS:
            return self._end(run, Crashed(message=f"its process died {run.run_count} times"))
        return self._end(run, Scheduled(message="its process died; it is begun again"))

    def _end(self, run: FlowRun, state: State[None]) -> str:
        """Set a run's state; its tasks have ended with its process."""
        self._end_task_runs({"id": {"any_": [str(run.id)]}}, 0.0, _died())
        self.client.set_flow_run_state(run.id, state, force=True)
        self.memory.forget(run.id)
        return f"{run.name}: {state.name}: {state.message}"

    def _end_task_runs(self, of: dict[str, object], seconds: float, state: State[None]) -> None:
        """Set the state of open task runs, of flow runs that have no process."""
        for task in self.client.read_task_runs(
            task_run_filter=TaskRunFilter.model_validate({"state": {"type": {"any_": UNDER_WAY}}}),
            flow_run_filter=FlowRunFilter.model_validate(of),
        ):
            if _silent(task) > seconds:
                self.client.set_task_run_state(task.id, state, force=True)


def running_here() -> Iterator[UUID]:
    """Yield the flow runs that have a process on this machine: it is in its environment."""
    for process in psutil.process_iter():
        with suppress(psutil.Error, ValueError):
            mine = process.uids().real == os.getuid()
            if mine and (told := process.environ().get("PREFECT__FLOW_RUN_ID")):
                yield UUID(told)


def _died() -> State[None]:
    return Crashed(message="its process died")


def _silent(task: TaskRun) -> float:
    """Return the seconds since anything was heard of a task run.

    It is without a state where the server was killed between its two commits of one.
    """
    heard = task.state.timestamp if task.state else task.updated
    return math.inf if heard is None else _since(heard)


def _stuck(state: State[object]) -> bool:
    """Say whether a worker took a run and then died, before there was a process."""
    return state.is_pending() and _since(state.timestamp) > PENDING_SECONDS


def _since(moment: dt.datetime) -> float:
    return (dt.datetime.now(dt.UTC) - moment).total_seconds()
