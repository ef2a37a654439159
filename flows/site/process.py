"""Jobs as processes of this machine, one at a time: `python -m flows.site.process HOME JOB`.

A process holds a flock on its job as long as it lives, so that nobody takes a dead one's number for
it. It writes its own end down, and needs no site for that.
"""

from __future__ import annotations

import datetime as dt
import fcntl
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from catalogs.durable import locked
from catalogs.store import in_use
from configs.errors import Interrupted, KeyreelError
from configs.home import Home
from flows.site.jobs import Job, Jobs, State, end, tell
from flows.site.ledger import Ledger

Outcome = tuple[State, str, str]
"""How a job ended, why, and the run that it became where that is told."""
PARTLY = "some shots failed: see its run"


class Processes:
    """The runner of a home where no Prefect server is.

    Args:
        home: whose jobs these are.
    """

    def __init__(self, home: Home) -> None:
        self.home, self.folder = home, home.site / "jobs"
        self.children: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, job: Job) -> str:
        """Start a process that this one's end does not touch; it writes its number down itself.

        Raises:
            KeyreelError: where it ended before it could.
        """
        if (child := self.children.get(job.id)) is not None:
            if child.poll() is not None and not in_use(self._place(job)):
                raise KeyreelError(f"its process did not start; see {self._log(job)}")
            return ""
        self.folder.mkdir(parents=True, exist_ok=True)
        lives = any(child.poll() is None for child in self.children.values())
        if lives or in_use(self.folder / "turn"):
            return ""  # it waits as a row: fifty that wait as processes would take 8 GB
        with (self.home.root / self._log(job)).open("ab") as said:
            self.children[job.id] = subprocess.Popen(
                [sys.executable, "-m", "flows.site.process", str(self.home.root), job.id],
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
                start_new_session=True,
            )
        return ""

    def look(self, job: Job) -> tuple[State, str]:
        """Say whether the process still lives; one that ended well has said so itself."""
        if (child := self.children.get(job.id)) is not None:
            child.poll()  # a process that nobody waits for stays in the system's table
        if in_use(self._place(job)):
            return job.state, ""
        return "failed", f"its process ended without a word; see {self._log(job)}"

    def cancel(self, job: Job) -> None:
        """Send SIGTERM, to a process that is surely the job's."""
        if in_use(self._place(job)):
            os.kill(int(job.handle), signal.SIGTERM)

    def _place(self, job: Job) -> Path:
        return self.folder / f"{job.id}.lock"

    def _log(self, job: Job) -> Path:
        return (self.folder / f"{job.id}.log").relative_to(self.home.root)


@contextmanager
def alone(path: Path) -> Iterator[None]:
    """Hold the flock on `path`, or end: another process does this job already."""
    try:
        with locked(path, fcntl.LOCK_EX | fcntl.LOCK_NB):
            yield
    except BlockingIOError:
        sys.exit(0)


def work(home: Home, name: str) -> None:
    """Do one job, when it is its turn, and write down how it ended."""
    ledger = Ledger(home)
    folder = home.site / "jobs"
    jobs = Jobs(home, ledger, Processes(home))
    with alone(folder / f"{name}.lock"):
        if jobs.get(name).state != "queued":
            return  # it has ended, or its process died: work is not done twice without a word
        tell(ledger, name, handle=str(os.getpid()))
        with locked(folder / "turn", fcntl.LOCK_EX):
            job = jobs.get(name)
            if job.state == "cancelling":
                return end(ledger, replace(job, run=""), "cancelled", "")  # it never began
            tell(ledger, name, handle=job.handle, state="running")
            state, error, run = _outcome(home, job)
            end(ledger, replace(job, run=run or jobs.get(name).run), state, error)


def _outcome(home: Home, job: Job) -> Outcome:
    """Do what a job asks."""
    kinds = {"campaign": _run_campaign, "variant": _try_change}
    try:
        return kinds.get(str(job.asked["kind"]), _make_clip)(home, job)
    except Interrupted:
        return "cancelled", "", ""
    except KeyreelError as error:
        return "failed", str(error), ""


def _run_campaign(home: Home, job: Job) -> Outcome:
    from flows.start import run

    start = job.asked.get("start")
    seed, profile = job.asked.get("seed"), job.asked.get("profile")
    code = run(
        home,
        str(job.asked["campaign"]),
        dt.date.fromisoformat(str(start)) if start else None,
        str(profile) if profile else None,
        seed if isinstance(seed, int) else None,
    )
    if code == Interrupted.exit_code:
        return "cancelled", "", ""
    return ("failed", PARTLY, "") if code else ("done", "", "")


def _make_clip(home: Home, job: Job) -> Outcome:
    """Run one of the flows of single clips."""
    from flows import single
    from flows.forms import ImageToVideo, TextToVideo
    from flows.server import server

    os.environ["KEYREEL_HOME"] = str(home.root)  # these flows are given no home
    asked = job.asked["request"]
    state: Any
    with server(home.cache / "prefect"):
        if job.asked["kind"] == "text-to-video":
            words = TextToVideo.model_validate(asked)
            state = single.text_to_video(words, return_state=True)
        else:
            picture = ImageToVideo.model_validate(asked)
            state = single.image_to_video(picture, return_state=True)
    result = state.result(raise_on_failure=False)
    if isinstance(result, BaseException):
        raise result
    return ("done", "", str(result)) if state.name == "Completed" else ("failed", PARTLY, "")


def _try_change(home: Home, job: Job) -> Outcome:
    from flows.signals import stop_on_signals
    from flows.variant import variant

    changes = job.asked["changes"]
    assert isinstance(changes, dict)
    with stop_on_signals() as stop:
        run = variant(home, str(job.asked["asset"]), changes, stop)
    failed = [entry.error for entry in run.entries if entry.state == "failed"]
    return ("failed", failed[0], run.id) if failed else ("done", "", run.id)


if __name__ == "__main__":
    work(Home(Path(sys.argv[1])), sys.argv[2])
