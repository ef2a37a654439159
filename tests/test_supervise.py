"""The supervisor, with small processes: what dies is started again, what is left is ended."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from tests.up_home import wait_until

pytestmark = pytest.mark.slow  # processes are started and killed

SUPERVISE = """
import signal, sys, threading, time
from pathlib import Path
from flows.up.supervise import Part, Supervisor

folder, stop = Path(sys.argv[1]), threading.Event()
signal.signal(signal.SIGTERM, lambda *_: stop.set())
supervisor = Supervisor(lambda words: print(words, flush=True))
for name in sys.argv[2:]:
    program = (folder / name).read_text("utf-8")
    supervisor.start(Part(name, (sys.executable, "-c", program), folder / f"{name}.log"))
print("all run", flush=True)
while not stop.wait(0.02):
    supervisor.look()
began = time.monotonic()
supervisor.stop()
print(f"stopped in {time.monotonic() - began:.1f} s", flush=True)
"""
SLEEPS = "import time; time.sleep(100)"
STUBBORN = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(100)"
PARENT = f"import subprocess, sys, time; \
subprocess.Popen([sys.executable, '-c', {SLEEPS!r}], start_new_session=True); time.sleep(100)"


class Supervised:
    """A supervisor in a process of its own."""

    def __init__(self, folder: Path, **programs: str) -> None:
        for name, program in programs.items():
            (folder / name).write_text(program, "utf-8")
        self.log = folder / "said"
        with self.log.open("wb") as sink:
            self.process = subprocess.Popen(
                [sys.executable, "-c", SUPERVISE, str(folder), *programs],
                stdout=sink,
                stderr=sink,
                cwd=Path(__file__).parent.parent,
            )
        wait_until(lambda: "all run" in self.said(), 30)

    def said(self) -> str:
        return self.log.read_text("utf-8")

    def family(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children(recursive=True)

    def stop(self) -> list[psutil.Process]:
        """Stop it; return which of its family still run."""
        family = self.family()
        self.process.terminate()
        self.process.wait(20)
        return [one for one in family if one.is_running()]


@pytest.fixture
def supervise(tmp_path):
    made = []

    def start(**programs: str) -> Supervised:
        made.append(Supervised(tmp_path, **programs))
        return made[-1]

    yield start
    for one in made:
        if one.process.poll() is None:
            for child in one.family():
                child.kill()
            one.process.kill()
            one.process.wait()


def test_what_is_killed_is_started_again_and_said(supervise):
    """One line for a death, and another process half a second later."""
    one = supervise(sleeper=SLEEPS)
    (first,) = one.family()
    first.kill()
    wait_until(lambda: [p.pid for p in one.family()] not in ([], [first.pid]), 5)
    assert "sleeper was killed (SIGKILL); started again in 0.5 s" in one.said()
    assert one.stop() == []


def test_what_dies_at_once_is_started_ever_more_slowly(supervise):
    """A part that cannot run does not keep the machine busy."""
    one = supervise(broken="raise SystemExit(3)")
    wait_until(lambda: "in 2 s" in one.said(), 10)
    said = [line.split("; its log")[0] for line in one.said().splitlines()[1:4]]
    assert said == [f"broken ended with 3; started again in {wait} s" for wait in ("0.5", "1", "2")]


def test_what_a_killed_part_left_running_is_ended(supervise):
    """A flow run hangs once its worker is gone, though it has a session of its own."""
    one = supervise(parent=PARENT)
    wait_until(lambda: len(one.family()) == 2, 10)
    parent = next(p for p in one.family() if p.ppid() == one.process.pid)
    (orphan,) = parent.children()
    parent.kill()
    wait_until(lambda: not orphan.is_running(), 10)
    wait_until(lambda: len(one.family()) == 2, 10)
    assert one.stop() == []


@pytest.mark.slow
def test_what_does_not_end_is_killed_in_time(supervise):
    """A part that ignores SIGTERM is gone within ten seconds."""
    one = supervise(stubborn=STUBBORN, sleeper=SLEEPS)
    time.sleep(0.5)
    assert one.stop() == []
    seconds = float(one.said().rsplit("stopped in ", 1)[1].split()[0])
    assert 5 < seconds < 10


def test_killed_itself_its_parts_hear_of_it(supervise):
    """The pipe to each part closes with the supervisor, which reads as the end."""
    one = supervise(listener="import sys; sys.stdin.read()")
    (part,) = one.family()
    one.process.send_signal(signal.SIGKILL)
    one.process.wait()
    assert part.wait(5) is None
