"""Keeps processes running: starts one again when it dies, and ends all of them, leaving no orphan.

Of the supervisors that are well kept, honcho ends all when one dies, supervisord outlives its
terminal by design and is told what to do over XML-RPC, and circus opens three sockets that run
what anyone on the machine sends.
"""

from __future__ import annotations

import ctypes
import math
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil

STEADY_SECONDS = 60.0
"""A process that lived so long begins again with the shortest wait."""
LONGEST_WAIT = 30.0
STOP_SECONDS = 6.0
"""For all to end by themselves; then they are killed. People wait ten."""
LOOK_SECONDS = 0.1
ORPHAN_SECONDS = 2.0
"""Every process of the machine is looked at then, which takes milliseconds."""

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Part:
    """One process to keep running."""

    name: str
    command: Sequence[str]
    log: Path
    env: Mapping[str, str] = field(default_factory=dict)
    cwd: Path | None = None
    once: bool = False
    """It is to end well, once; until it does it is started again."""


@dataclass(slots=True)
class _Run:
    """A part, and its process of the moment."""

    part: Part
    process: subprocess.Popen[bytes] | None = None
    began: float = 0.0
    due: float = 0.0
    wait: float = 0.5

    def start(self) -> None:
        self.part.log.parent.mkdir(parents=True, exist_ok=True)
        with self.part.log.open("ab") as sink:
            self.process = subprocess.Popen(
                self.part.command,
                stdin=subprocess.PIPE,  # closed by the kernel when this process dies
                stdout=sink,
                stderr=sink,
                env=os.environ | self.part.env,
                cwd=self.part.cwd,
                start_new_session=True,  # Ctrl-C is for the supervisor, which ends the parts
            )
        self.began = time.monotonic()

    def look(self, say: Say) -> None:
        """Start the process where it is due; where it has died, say so."""
        now = time.monotonic()
        if self.process is None:
            if now >= self.due:
                self.start()
        elif (code := self.process.poll()) is not None:
            self.drop()
            if self.part.once and code == 0:
                self.due = math.inf
                return
            if now - self.began > STEADY_SECONDS:
                self.wait = 0.5
            said = f"{self.part.name} {ending(code)}; started again in {self.wait:g} s"
            say(f"{said}; its log is {self.part.log}")
            self.due, self.wait = now + self.wait, min(2 * self.wait, LONGEST_WAIT)

    def drop(self) -> None:
        if self.process and self.process.stdin:
            self.process.stdin.close()
        self.process = None


class Supervisor:
    """Parts that run until `stop`.

    Args:
        say: told in a sentence of each death.
    """

    def __init__(self, say: Say) -> None:
        self.say = say
        self.runs: list[_Run] = []
        self.due = 0.0
        _adopt_orphans()

    def start(self, part: Part) -> None:
        """Start a part, and keep it running."""
        run = _Run(part)
        run.start()
        self.runs.append(run)

    def look(self) -> None:
        """Start again what has died; to be called often."""
        for run in self.runs:
            run.look(self.say)
        if time.monotonic() >= self.due:
            self.due = time.monotonic() + ORPHAN_SECONDS
            _end_orphans({run.process.pid for run in self.runs if run.process})

    def stop(self) -> None:
        """End all parts, the last started first, with all that they started; kill what stays."""
        deadline = time.monotonic() + STOP_SECONDS
        for run in reversed(self.runs):
            if run.process and run.process.poll() is None:
                run.process.terminate()
                _wait([psutil.Process(run.process.pid)], deadline)
        for left in psutil.Process().children(recursive=True):
            with suppress(psutil.NoSuchProcess):
                left.terminate()
        _wait(psutil.Process().children(recursive=True), deadline)
        for run in self.runs:
            if run.process:
                run.process.kill()
                run.process.wait()
            run.drop()
        _end_orphans(set())


def ending(code: int) -> str:
    """Return in words how a process ended, by its exit code."""
    return f"was killed ({signal.Signals(-code).name})" if code < 0 else f"ended with {code}"


def _wait(family: Sequence[psutil.Process], deadline: float) -> None:
    """Wait until all of `family` have ended, though nobody may have asked how."""
    while any(_runs(one) for one in family) and time.monotonic() < deadline:
        time.sleep(0.05)


def _runs(one: psutil.Process) -> bool:
    try:
        return bool(one.is_running() and one.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def _adopt_orphans() -> None:
    """Become the parent of what a killed part leaves running, so that it is found at the end."""
    pr_set_child_subreaper = 36
    ctypes.CDLL(None).prctl(pr_set_child_subreaper, 1, 0, 0, 0)


def _end_orphans(known: set[int]) -> None:
    """Kill what a dead part left running; take the exit codes of those, which nobody else will.

    A flow run whose worker was killed hangs at its next line of log: the pipe has no reader.
    """
    for child in psutil.Process().children():
        if child.pid in known:
            continue
        with suppress(psutil.NoSuchProcess, ChildProcessError):
            for one in (*child.children(recursive=True), child):
                if _runs(one):
                    one.kill()
            os.waitpid(child.pid, os.WNOHANG)
