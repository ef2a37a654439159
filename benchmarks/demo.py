"""What `make demo` costs after the install: time, and the memory of its whole process tree.

    python -m benchmarks.demo

Every run has a new home and a new Prefect database, as on a newcomer's machine.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from statistics import median

from benchmarks.figures import Figure, at_most, machine, write

ROUNDS = 3
EVERY_SECONDS = 0.2
PAGE = os.sysconf("SC_PAGE_SIZE")


def tree_bytes(root: int) -> int:
    """Return the resident bytes of a process and all it started, shared pages counted each time."""
    parents: dict[int, int] = {}
    resident: dict[int, int] = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                stat = (folder / "stat").read_text("utf-8").rpartition(")")[2].split()
                resident[int(folder.name)] = int((folder / "statm").read_text("utf-8").split()[1])
            except (OSError, IndexError):
                continue
            parents[int(folder.name)] = int(stat[1])
    total, wanted = 0, {root}
    while wanted:
        total += sum(resident.get(pid, 0) for pid in wanted)
        wanted = {pid for pid, parent in parents.items() if parent in wanted}
    return total * PAGE


def run_once(folder: Path) -> tuple[float, int]:
    """Make the demo in a new home; return seconds and peak bytes."""
    command = Path(sys.executable).with_name("keyreel")
    env = os.environ | {"PREFECT_HOME": str(folder / "prefect")}
    started = time.perf_counter()
    subprocess.run([command, "init", folder / "home", "--demo"], check=True, env=env)
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [command, "--home", folder / "home", "run", "demo"], stdout=log, stderr=log, env=env
        )
        peak = 0
        ended = threading.Event()
        while process.poll() is None:
            peak = max(peak, tree_bytes(process.pid))
            ended.wait(EVERY_SECONDS)
    print((folder / "log").read_text("utf-8"))
    if process.returncode:
        raise SystemExit(f"the demo ended with {process.returncode}")
    return time.perf_counter() - started, peak


def main() -> None:
    """Measure and write the figures."""
    seconds, peaks = [], []
    for _ in range(ROUNDS):
        with tempfile.TemporaryDirectory() as folder:
            took, peak = run_once(Path(folder))
            seconds.append(took)
            peaks.append(peak)
    bar = 150 if machine()["amx"] else 240
    figures: list[Figure] = [
        at_most("make demo after install, 4 shots x 3 deliveries", median(seconds), "s", bar,
                f"{ROUNDS} runs: {min(seconds):.0f}-{max(seconds):.0f} s"),
        at_most("its peak memory, whole process tree", max(peaks) / 1e9, "GB", 4),
    ]  # fmt: skip
    write("demo", figures)


if __name__ == "__main__":
    main()
