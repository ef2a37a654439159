"""Work that was asked for on the site: written down, started, watched, ended once.

A job outlives the site: it is a process of its own, or a flow run of a Prefect server. What started
it may be killed at any instant; the next site takes up all that is open.
"""

from __future__ import annotations

import datetime as dt
import json
import logging
import re
import secrets
import sqlite3
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Literal, Protocol

from catalogs.runs import NAME, campaign_of, since
from configs.base import Json
from configs.errors import BadInput, KeyreelError
from configs.home import Home
from configs.marks import read
from flows.site.ledger import Ledger
from flows.site.letters import post

log = logging.getLogger(__name__)

State = Literal["queued", "running", "cancelling", "done", "failed", "cancelled"]
OPEN = ("queued", "running", "cancelling")
LOOK_SECONDS = 0.5
MOST_OPEN = 50
"""Jobs that may wait at once: a script that runs wild fills no disk."""


@dataclass(frozen=True, slots=True)
class Job:
    """One piece of work that somebody asked for."""

    id: str
    owner: str
    """Id of the token."""
    asked: Mapping[str, Json]
    state: State
    created: str
    finished: str
    handle: str
    """The process or the flow run that does it; empty before it is started."""
    run: str
    """The run of keyreel that it became, where that is known."""
    error: str

    @classmethod
    def of(cls, row: sqlite3.Row) -> Job:
        """Return a row of the ledger as a job."""
        told = {name: row[name] for name in cls.__slots__ if name != "asked"}
        return cls(asked=json.loads(row["asked"]), **told)


class Runner(Protocol):
    """Does jobs somewhere else: each method may be called again after a crash."""

    def start(self, job: Job) -> str:
        """Start a job that is not started; return its handle, or nothing where it tells itself.

        Raises:
            KeyreelError: where it cannot be started at all.
        """

    def look(self, job: Job) -> tuple[State, str]:
        """Return what became of a started job, and why where it failed."""

    def cancel(self, job: Job) -> None:
        """Ask a started job to end."""


class Jobs:
    """The jobs of one home."""

    def __init__(self, home: Home, ledger: Ledger, runner: Runner) -> None:
        self.home, self.ledger, self.runner = home, ledger, runner
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="jobs", daemon=True)

    def submit(
        self, owner: str, asked: Mapping[str, Json], idempotency: str | None = None
    ) -> tuple[Job, bool]:
        """Write down a job, and say whether it is new; it is started within a second.

        Args:
            owner: id of the token.
            asked: what is to be done.
            idempotency: the asker's own name for it: said again, it is the same job.

        Raises:
            BadInput: where that name was given to another job, or too many wait.
        """
        text = json.dumps(asked, ensure_ascii=False, sort_keys=True)
        with self.ledger.writing() as connection:
            found = connection.execute(
                "SELECT * FROM jobs WHERE owner = ? AND idempotency = ?", (owner, idempotency)
            ).fetchone()
            if found and found["asked"] != text:
                raise BadInput("Idempotency-Key: was given to another request; draw a new one")
            if found:
                return Job.of(found), False
            (waiting,) = connection.execute(
                "SELECT count(*) FROM jobs WHERE state IN (?, ?, ?)", OPEN
            ).fetchone()
            if waiting >= MOST_OPEN:
                raise BadInput(f"{waiting} jobs wait already; try again when some have ended")
            name = secrets.token_hex(8)
            connection.execute(
                "INSERT INTO jobs (id, owner, idempotency, asked, state, created)"
                " VALUES (?, ?, ?, ?, 'queued', ?)",
                (name, owner, idempotency, text, now()),
            )
        return self.get(name), True

    def get(self, name: str) -> Job:
        """Return a job.

        Raises:
            KeyError: where there is none of this id.
        """
        rows = self.ledger.rows("SELECT * FROM jobs WHERE id = :id", {"id": name})
        if not rows:
            raise KeyError(name)
        job = Job.of(rows[0])
        return _with_run(job, self.home) if job.state in ("running", "cancelling") else job

    def every(self, limit: int, offset: int = 0) -> list[Job]:
        """Return jobs, newest first."""
        rows = self.ledger.rows(
            "SELECT * FROM jobs ORDER BY rowid DESC LIMIT :limit OFFSET :offset",
            {"limit": limit, "offset": offset},
        )
        return [Job.of(row) for row in rows]

    def open(self) -> list[Job]:
        """Return the jobs that have not ended, oldest first."""
        rows = self.ledger.rows(
            "SELECT * FROM jobs WHERE state IN ('queued', 'running', 'cancelling') ORDER BY rowid"
        )
        return [Job.of(row) for row in rows]

    def cancel(self, name: str) -> Job:
        """Ask a job to end; one that has ended stays as it is.

        Raises:
            KeyError: where there is none of this id.
        """
        job = self.get(name)
        if job.state in OPEN:
            with self.ledger.writing() as connection:
                connection.execute(
                    "UPDATE jobs SET state = 'cancelling' WHERE id = ? AND state IN (?, ?, ?)",
                    (name, *OPEN),
                )
            if job.handle:
                self.runner.cancel(job)
        return self.get(name)

    def start(self) -> None:
        """Begin to start and watch jobs, those of an earlier site too."""
        self._thread.start()

    def close(self) -> None:
        """Stop watching; the jobs go on."""
        self._stop.set()
        if self._thread.ident:
            self._thread.join()

    def _watch(self) -> None:
        while not self._stop.wait(LOOK_SECONDS):
            self.turn()

    def turn(self) -> None:
        """Look once at every open job: start it, or see what became of it."""
        for job in self.open():
            try:
                self._look(job)
            except KeyreelError as error:
                end(self.ledger, job, "failed", str(error))
            except (OSError, sqlite3.Error) as error:
                log.warning("job %s: %s", job.id, error)

    def _look(self, job: Job) -> None:
        """Start a job, or see what became of it."""
        if not job.handle:
            if job.state == "cancelling":
                end(self.ledger, job, "cancelled", "")
            elif handle := self.runner.start(job):
                tell(self.ledger, job.id, handle=handle)
            return
        state, error = self.runner.look(job)
        if state not in OPEN:
            if job.state == "cancelling" and state == "failed":
                state, error = "cancelled", ""
            end(self.ledger, _with_run(job, self.home), state, error)
        elif state != job.state == "queued":
            tell(self.ledger, job.id, state=state)


def tell(ledger: Ledger, name: str, *, handle: str = "", state: State = "queued") -> None:
    """Write down who does a job that waits, and whether its turn has come."""
    with ledger.writing() as connection:
        connection.execute(
            "UPDATE jobs SET handle = coalesce(nullif(?, ''), handle), state = ?"
            " WHERE id = ? AND state = 'queued'",
            (handle, state, name),
        )


def end(ledger: Ledger, job: Job, state: State, error: str) -> None:
    """Write down how a job ended, and the letters that tell of it: both, once, or nothing."""
    finished = now()
    with ledger.writing() as connection:
        changed = connection.execute(
            "UPDATE jobs SET state = ?, error = ?, finished = ?, run = ?"
            " WHERE id = ? AND state IN (?, ?, ?)",
            (state, error, finished, job.run, job.id, *OPEN),
        ).rowcount
        if changed:
            told = {"job": job.id, "run": job.run, "state": state, "error": error}
            post(connection, f"job.{state}", finished, {**told, "asked": dict(job.asked)})


def _with_run(job: Job, home: Home) -> Job:
    """Return a job with the run that it became: the newest of its campaign since it was asked for.

    Jobs of a campaign, and forms of a kind, have their turn one at a time: no later one has begun.
    """
    whose = _campaigns(job, home)
    first = since(dt.datetime.fromisoformat(job.created))
    names = sorted(path.parent.name for path in home.runs.glob(f"*/{NAME}"))
    fitting = [name for name in names if name >= first and whose.fullmatch(campaign_of(name))]
    return replace(job, run=(fitting or [""])[-1])


def _campaigns(job: Job, home: Home) -> re.Pattern[str]:
    """Return what the campaign of a job's run is called: its file's `name`, or a form's own."""
    asked = str(job.asked.get("campaign", ""))
    if not asked:
        return re.compile(rf"{re.escape(str(job.asked['kind']))}-[0-9a-f]{{8}}")
    with suppress(KeyreelError):  # a file that is gone or wrong by now
        asked = str(read(home.find_campaign(asked)).value(("name",)))
    return re.compile(re.escape(asked))


def now() -> str:
    """Return the time, ISO 8601, UTC, to the second."""
    return dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
