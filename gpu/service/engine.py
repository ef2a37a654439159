"""The queue of a resident process, and the one thread that works it off."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from configs.base import Json
from configs.errors import Interrupted, KeyreelError, Passing
from gpu.service.ask import Ask, Told, Worker
from gpu.service.turns import Turns

LOG = logging.getLogger("keyreel.resident")

GRACE = 30.0
"""Seconds that work goes on for nobody: a killed flow run that is started again finds it so."""
MOST = 1000
"""Pieces of work that wait; each flow run asks for one at a time."""

SMALL = ("working", "done", "total")
"""The news that the queue's table shows; a preview has kilobytes."""

News = dict[str, Json]
Listener = Callable[[News], None]


@dataclass(slots=True, eq=False)
class Job:
    """One piece of work that was asked for, and who waits for it."""

    ask: Ask
    since: float = field(default_factory=time.monotonic)
    state: Literal["waiting", "working", "ended"] = "waiting"
    listeners: dict[Listener, str] = field(default_factory=dict)
    """With the client that each belongs to."""
    left: float | None = None
    """When the last listener was lost."""
    dropped: bool = False
    last: News = field(default_factory=dict)

    @property
    def client(self) -> str:
        """Whose turn it takes."""
        return self.ask.client

    @property
    def needs(self) -> str:
        """What must be loaded."""
        return self.ask.needs

    @property
    def priority(self) -> int:
        """Higher goes first."""
        return self.ask.priority

    @property
    def unwanted(self) -> bool:
        """Whether nobody waits for it any more."""
        return self.dropped or (self.left is not None and time.monotonic() - self.left > GRACE)

    def say(self, news: News) -> None:
        """Tell all that wait."""
        self.last = news
        for listener in list(self.listeners):
            listener(news)


class Engine:
    """Takes work, decides whose turn it is, and tells what becomes of it.

    Args:
        worker: does the work, in a thread of the engine's own.
    """

    def __init__(self, worker: Worker) -> None:
        self.worker = worker
        self.turns = Turns()
        self.done = 0
        self.jobs: dict[str, Job] = {}
        self._news = threading.Condition()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="engine", daemon=True)

    def start(self) -> None:
        """Begin to work."""
        self._thread.start()

    def stop(self, seconds: float) -> None:
        """Take nothing more, interrupt what is in work, and wait for that at most `seconds`."""
        with self._news:
            self._stopping = True
            self._news.notify_all()
        if self._thread.is_alive():
            self._thread.join(seconds)

    def join(self, ask: Ask, listener: Listener) -> Job:
        """Queue `ask`, or join the same work where it is queued already.

        Raises:
            Passing: where too much waits.
        """
        with self._news:
            job = self.jobs.get(ask.id)
            if job is None or job.dropped:
                if len(self.jobs) >= MOST:
                    raise Passing(f"{MOST} pieces of work wait already; try again later")
                job = self.jobs[ask.id] = Job(ask)
                self._news.notify_all()
            elif job.state == "waiting" and ask.priority > job.priority:
                job.ask = ask
            job.listeners[listener] = ask.client
            job.left = None
            return job

    def leave(self, job: Job, listener: Listener) -> None:
        """Note that a listener is gone; one that is lost may come back within GRACE."""
        with self._news:
            job.listeners.pop(listener, None)
            if not job.listeners:
                job.left = time.monotonic()

    def cancel(self, key: str, client: str) -> None:
        """Drop `client`'s wish for a piece of work; where nobody else has it, the work stops."""
        with self._news:
            job = self.jobs.get(key)
            if job is None:
                return
            for listener, owner in list(job.listeners.items()):
                if owner == client:
                    del job.listeners[listener]
            job.dropped = not job.listeners

    def status(self, needs: str) -> News:
        """Return the queue, in order of arrival, what the worker says, and if `needs` is loaded."""
        now = time.monotonic()
        with self._news:
            queue: list[Json] = [
                {
                    "id": job.ask.id,
                    "client": job.client,
                    "needs": job.needs,
                    "priority": job.priority,
                    "state": job.state,
                    "seconds": round(now - job.since, 1),
                    "last": {name: told for name, told in job.last.items() if name in SMALL},
                }
                for job in self.jobs.values()
            ]
        holds, worker = self._holds(needs), self.worker.status()
        return {"done": self.done, "queue": queue, "worker": worker, "holds": holds}

    def _run(self) -> None:
        """Work; a process that could not would keep its clients waiting, and so it ends."""
        try:
            self.worker.prepare()
            self._serve()
        except BaseException:
            if not self._stopping:
                LOG.exception("no work can be done")
                os._exit(1)

    def _serve(self) -> None:
        while job := self._take():
            began = time.monotonic()
            job.say({"working": True})
            news = self._work(job)
            with self._news:
                job.state = "ended"
                now = time.monotonic()
                self.turns.charge(job.client, now - began, now)
                self.done += 1
                if self.jobs.get(job.ask.id) is job:
                    del self.jobs[job.ask.id]
            job.say(news)

    def _take(self) -> Job | None:
        """Wait for the next piece of work; None: it is time to stop."""
        with self._news:
            while not self._stopping:
                for key in [key for key, job in self.jobs.items() if job.unwanted]:
                    del self.jobs[key]
                if waiting := list(self.jobs.values()):
                    job = self.turns.next(waiting, self._holds, time.monotonic())
                    job.state = "working"
                    return job
                self._news.wait()
            return None

    def _holds(self, needs: str) -> bool:
        return not needs or self.worker.holds(needs)

    def _work(self, job: Job) -> News:
        """Do a piece of work; return the last thing that is said of it."""
        told = Told(job.say, lambda: self._stopping or job.unwanted)
        try:
            if told.cancelled():
                raise Interrupted("nobody waits for it any more")
            return {"made": self.worker.work(job.ask.body, told)}
        except KeyreelError as error:
            return {"failed": type(error).__name__, "said": str(error)}
        except BaseException as error:
            LOG.exception("%s failed", job.ask.id[:12])
            return {"failed": "", "said": f"{type(error).__name__}: {error}"}
