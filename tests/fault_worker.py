"""A process that has imported all a run needs, and forks a child for each run that is asked for.

    python -m tests.fault_worker

Reads a line of JSON for each run, and answers with one. Importing torch takes seconds and a fork
takes none; no operation of torch may run before a fork, whose child would lack its threads.
"""

from __future__ import annotations

import atexit
import json
import os
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from queue import Queue

from coverage import Coverage

CHANGES = {"os.rename", "os.link", "os.mkdir", "os.remove", "os.rmdir", "os.chmod"}
"""Audit events of what alters a disk; "open" does where it may write."""
LONGEST = 100.0
"""Seconds; a run that takes longer hangs."""
BOOKS = ("deliveries", "runs", "catalog")


@dataclass(frozen=True)
class Asked:
    """A run of the campaign `stills`, and what befalls it."""

    home: str
    signal: int = signal.SIGKILL
    after: float = 0.0
    """Seconds from the fork to the signal; 0 for none."""
    point: str = ""
    """Or the commit point whose `nth` passing brings it."""
    nth: int = 1
    change: int = 0
    """Or the number of the change of `deliveries/`, `runs/` or `catalog/` that it comes before."""
    fill: bool = False
    """The disk is filled there, in place of the signal."""


@dataclass(frozen=True)
class Ended:
    """How a run ended."""

    code: int
    """Exit code, or minus the signal."""
    seconds: float


class Worker:
    """One such process, from the outside."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.fault_worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            cwd=Path(__file__).parent.parent,
        )

    def run(self, asked: Asked) -> Ended:
        self.process.stdin.write(json.dumps(asdict(asked)) + "\n")
        self.process.stdin.flush()
        return Ended(**json.loads(self.process.stdout.readline()))

    def close(self) -> None:
        with self.process:
            self.process.stdin.close()


class Workers:
    """Two workers, for two cores; each run goes to one that is free."""

    def __init__(self) -> None:
        self.all = [Worker(), Worker()]
        self.free: Queue[Worker] = Queue()
        for worker in self.all:
            self.free.put(worker)

    def run(self, home: Path, **befalls: object) -> Ended:
        worker = self.free.get()
        try:
            return worker.run(Asked(str(home), **befalls))
        finally:
            self.free.put(worker)

    def close(self) -> None:
        for worker in self.all:
            worker.close()


@cache
def workers() -> Workers:
    """Return this test session's workers."""
    made = Workers()
    atexit.register(made.close)
    return made


def together(*calls):
    """Call several at once, in threads; return their results."""
    with ThreadPoolExecutor(2) as pool:
        return [future.result() for future in [pool.submit(call) for call in calls]]


def fork(asked: Asked) -> Ended:
    """Run in a child of this process, and send it the signal when its time has come."""
    started = time.monotonic()
    child = os.fork()
    if not child:
        run_and_exit(asked)
    sent = False
    while not os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT):
        if asked.after and not sent and time.monotonic() - started >= asked.after:
            os.kill(child, asked.signal)
            sent = True
        if time.monotonic() - started >= LONGEST:
            os.kill(child, signal.SIGKILL)
        time.sleep(0.002)
    _, status = os.waitpid(child, 0)
    return Ended(os.waitstatus_to_exitcode(status), time.monotonic() - started)


def run_and_exit(asked: Asked) -> None:
    """Run as `keyreel run` does, but for Prefect; what is said goes to a file beside the home."""
    root = Path(asked.home)
    said = os.open(beside(root, "said"), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(said, sys.stdout.fileno())
    os.dup2(said, sys.stderr.fileno())
    if asked.signal == signal.SIGINT and (measured := Coverage.current()):
        measured.stop()  # a KeyboardInterrupt within its lock would hold that for ever
    code = 1
    try:
        code = run(root, asked)
    except KeyboardInterrupt:
        code = signal.SIGINT + 128
    except BaseException:
        traceback.print_exc()
    sys.stderr.flush()
    os._exit(code)


def run(root: Path, asked: Asked) -> int:
    """Run, and return the exit code."""
    from configs.home import Home
    from flows.mend import catch_up, prepare_whole
    from flows.signals import stop_on_signals
    from tests.campaigns import run_plainly

    home = Home(root)
    sys.addaudithook(auditor(root, asked))
    (resolved, plan), _ = prepare_whole(home, "stills")
    if not plan.work():
        catch_up(home, resolved, plan)
        return 0
    with stop_on_signals() as stop:
        done = run_plainly(
            home, cancelled=stop, on_point=at_point(root, asked), watch=noting_draws(root)
        )
    return {"done": 0, "interrupted": signal.SIGINT + 128}.get(done.state, 1)


def noting_draws(root: Path):
    """Return what watches a run, and writes down each picture whose drawing began."""
    from flows.progress import Totals

    class Noting(Totals):
        def step(self, progress) -> None:
            if progress.done == 1:
                note(beside(root, "drawn"), progress.node.key)
            super().step(progress)

    return Noting()


def beside(root: Path, what: str) -> Path:
    """Return where is told `what` befell a home: not in the folder, or on the disk, that it is in.

    `said`: all that its runs said; `drawn`: the keys of pictures begun; `changes`: of its books.
    """
    return root.parent.parent / f"{root.parent.name}-{root.name}.{what}"


def note(path: Path, line: str) -> None:
    with path.open("a", encoding="utf-8") as file:
        file.write(f"{line}\n")


def at_point(root: Path, asked: Asked):
    """Return what sends the signal, or fills the disk, at one commit point."""
    passed: Counter[str] = Counter()
    one = threading.Lock()

    def hook(name: str) -> None:
        with one:
            passed[name] += 1
            if name == asked.point and passed[name] == asked.nth:
                befall(root, asked)

    return hook


def auditor(root: Path, asked: Asked):
    """Return what writes down each change of the books, or kills before one of them."""
    folders = tuple(str(root / name) for name in BOOKS)
    count = 0

    def hook(event: str, args: tuple) -> None:
        nonlocal count
        writes = event == "open" and args[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
        if not writes and event not in CHANGES:
            return
        if not any(str(each).startswith(folders) for each in args[:2]):
            return
        idle = not writes and os.path.lexists(args[0]) is (event == "os.mkdir")
        if idle or str(args[0]).endswith("lock"):
            return  # it changes nothing
        count += 1
        if asked.change == -1:
            note(beside(root, "changes"), f"{count} {event} {caller()}")
        if count == asked.change:
            befall(root, asked)

    return hook


def caller() -> str:
    """Return the line of ours that is at work."""
    frame = sys._getframe(2)
    ours = str(Path(__file__).parent.parent)
    lines = []
    while frame and len(lines) < 2:
        name = frame.f_code.co_filename
        if name.startswith(ours) and "site-packages" not in name and "/lib/python" not in name:
            lines.append(f"{Path(name).name}:{frame.f_lineno}")
        frame = frame.f_back
    return " < ".join(lines)


def befall(root: Path, asked: Asked) -> None:
    """Let happen what was asked for."""
    if not asked.fill:
        os.kill(os.getpid(), asked.signal)
        return
    with (root.parent / "filler").open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            return


def main() -> None:
    """Import, then fork for each line that is read."""
    import diffusers
    import torch

    import flows.mend  # noqa: F401
    import tests.campaigns  # noqa: F401

    # Named, since both packages import their parts at first use.
    _ = diffusers.ZImagePipeline, torch.nn
    for line in sys.stdin:
        print(json.dumps(asdict(fork(Asked(**json.loads(line))))), flush=True)


if __name__ == "__main__":
    main()
