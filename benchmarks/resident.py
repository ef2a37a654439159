"""What the resident process saves: weights loaded once, and flow runs that share one GPU.

    python -m benchmarks.resident

Campaigns of stills with the shipped model, in processes of their own, as a Prefect worker starts
them, on one Prefect server. Each has another seed: nothing is cached but the weights.
"""

from __future__ import annotations

import datetime as dt
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import NamedTuple

import yaml

from benchmarks.figures import Figure, at_most, write
from catalogs.runs import all_runs
from catalogs.store import Store
from configs.home import Home

RUNS, WARM = 4, 3
BRIEF = {
    "name": "stills",
    "pipeline": "social-still",
    "profile": "mini",
    "brand": {"name": "Lumière", "logo": "brand/lumiere.png"},
    "calendar": {"start": "2026-03-02", "days": 7},
    "products": [
        {"id": "rouge-01", "name": "matte lipstick", "colour": "#B3122B"},
        {"id": "mug-01", "name": "coffee mug", "colour": "#2255AA"},
    ],
    "matrix": {"product": "all", "day": ["mon"]},
    "prompt": {"language": "en"},
    "deliveries": ["xiaohongshu-note"],
    "settings": {"keyframe.steps": 4},
}


def new_home(folder: Path) -> Home:
    """Return a home with a campaign of two shots, one still delivery each."""
    home = Home.create(folder, demo=True)
    text = yaml.safe_dump(BRIEF, allow_unicode=True, sort_keys=False)
    (home.campaigns / "stills.yaml").write_text(text, encoding="utf-8")
    return home


@contextmanager
def resident(home: Home) -> Iterator[subprocess.Popen[bytes]]:
    """Run a resident process beside the block, once it answers."""
    from flows.resident import ENTRY, clients_of, folder

    where = [str(folder(home)), "gpu-0", ENTRY, str(home.root)]
    process = subprocess.Popen([sys.executable, "-m", "gpu.service", *where], stdin=subprocess.PIPE)
    try:
        while not clients_of(home).found():
            time.sleep(0.02)
        yield process
    finally:
        process.terminate()
        process.wait()


def loads(home: Home) -> int:
    """Return how often the resident process has loaded weights."""
    from flows.resident import clients_of

    (status,) = clients_of(home).statuses()
    worker = status["worker"]
    assert isinstance(worker, dict)
    return int(str(worker["loads"]))


class Beginning(NamedTuple):
    """How one picture began: seconds from its task's start, and those of a step."""

    begun: float
    """To the beginning of the first step."""
    done: float
    """To its end."""
    step: float
    """Of the steps after it, the middle one: what no haste can take away."""


def beginnings(home: Home, seed: int) -> list[Beginning]:
    """Run the campaign; return how each of its pictures began."""
    from prefect.client.orchestration import get_client

    from flows.campaign import campaign
    from flows.progress import Totals, watching
    from tasks.stage import Progress

    steps: dict[str, list[float]] = defaultdict(list)

    class Noting(Totals):
        def step(self, progress: Progress) -> None:
            steps[f"{progress.node.address.shot} keyframe"].append(time.time())
            super().step(progress)

    began = dt.datetime.now(dt.UTC)
    with watching(Noting()):
        campaign("stills", home=str(home.root), seed=seed)
    with get_client(sync_client=True) as client:
        starts = {
            task.name: task.start_time.timestamp()
            for task in client.read_task_runs()
            if task.start_time and task.start_time > began
        }
    return [
        Beginning(
            times[0] - starts[name],
            times[1] - starts[name],
            median(after - before for before, after in pairwise(times[1:])),
        )
        for name, times in steps.items()
    ]


def together(home: Home, seeds: range, side_by_side: bool) -> float:
    """Run the campaign with each seed, in processes of their own; return the seconds of all."""
    command = [Path(sys.executable).with_name("keyreel"), "--home", str(home.root), "run", "stills"]
    began = time.perf_counter()
    running = []
    for seed in seeds:
        process = subprocess.Popen([*command, "--seed", str(seed)], stdout=subprocess.DEVNULL)
        running.append(process)
        if not side_by_side:
            process.wait()
    if any(process.wait() for process in running):
        raise SystemExit("a run failed")
    return time.perf_counter() - began


def lead(home: Home, runs: set[str]) -> int:
    """Return by how many pictures any run was ever ahead of another that still wanted some."""
    store = Store(home.store)
    records = [store.record(key) for key in store.held()]
    drawn = sorted((one.started, one.run) for one in records if one.place.stage == "keyframe")
    order = [run for _, run in drawn if run in runs]
    wanted, most = Counter(order), 0
    had: Counter[str] = Counter()
    for run in order:
        had[run] += 1
        waiting = [had[one] for one in runs if had[one] < wanted[one]]
        most = max(most, max(had.values()) - min(waiting, default=max(had.values())))
    return most


def warm_figures(home: Home) -> list[Figure]:
    """Run the campaign cold, then warm."""
    cold = max(one.done for one in beginnings(home, 1))
    before = loads(home)
    warm = [one for seed in range(2, 2 + WARM) for one in beginnings(home, seed)]
    begun, done, step = ([1000 * one[part] for one in warm] for part in range(3))
    return [
        at_most("weights loaded by later campaigns", loads(home) - before, "", 0),
        at_most("task's start to the first denoising step, warm", median(begun), "ms", 300,
                spread(begun)),
        at_most("task's start to the first step's end, warm", median(done), "ms", 300,
                f"{spread(done)}; the first picture of a cold process: {1000 * cold:.0f} ms"),
        Figure("one such step alone: the least of that", median(step), "ms", note=spread(step)),
    ]  # fmt: skip


def spread(values: Sequence[float]) -> str:
    """Return how many pictures were measured, and between which milliseconds they lie."""
    return f"{len(values)} pictures: {min(values):.0f}-{max(values):.0f} ms"


def shared_figures(home: Home) -> list[Figure]:
    """Run four flow runs one after another, then four at once."""
    alone = together(home, range(100, 100 + RUNS), side_by_side=False)
    before = {run.id for run in all_runs(home.runs)}
    at_once = together(home, range(200, 200 + RUNS), side_by_side=True)
    runs = {run.id for run in all_runs(home.runs)} - before
    return [
        at_most(f"{RUNS} flow runs at once, of one after another", at_once / alone, "", 0.95,
                f"{at_once:.1f} s of {alone:.1f} s"),
        at_most("pictures a run was ahead of another at most", lead(home, runs), "", 2),
    ]  # fmt: skip


def main() -> None:
    """Measure and write the figures."""
    from flows.server import server

    with tempfile.TemporaryDirectory() as folder:
        os.environ["PREFECT_HOME"] = str(Path(folder) / "prefect")
        home = new_home(Path(folder) / "home")
        with server(Path(folder)), resident(home):
            from prefect.settings import PREFECT_API_URL

            os.environ["PREFECT_API_URL"] = PREFECT_API_URL.value() or ""
            figures = warm_figures(home) + shared_figures(home)
    write("resident", figures)


if __name__ == "__main__":
    main()
