"""A run at this moment, as a page of Markdown: stages, what is in work, memory and queue.

Pure but for `occupied`, which asks the resident processes. Knows nothing of Prefect.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from configs.base import Json
from configs.home import Home
from flows import resident
from flows.progress import Totals
from gpu.service.client import Client

News = Mapping[str, Json]


def occupied(home: Home) -> list[News]:
    """Return what each resident GPU process of the home says of itself; none where none runs."""
    return list(Client(resident.folder(home)).statuses())


def now(watch: Totals, processes: Sequence[News]) -> str:
    """Return the page.

    Args:
        watch: the run's totals.
        processes: what resident GPU processes say of themselves.
    """
    stages = [
        [stage.name, f"{stage.made} of {stage.total}", _working(stage.steps)]
        for stage in watch.stages()
    ]
    parts = [
        f"**{watch.headline()}**",
        _table(["Stage", "Made", "In work"], stages),
        "#### GPU memory and queue",
        _gpu(processes),
    ]
    return "\n\n".join(parts) + "\n"


def _working(steps: Mapping[str, tuple[int, int]]) -> str:
    return "; ".join(f"{name}: step {done} of {total}" for name, (done, total) in steps.items())


def _gpu(processes: Sequence[News]) -> str:
    if not processes:
        return "No resident GPU process: this run draws by itself."
    rows = []
    for number, told in enumerate(processes):
        worker, queue = told.get("worker"), told.get("queue")
        held = worker if isinstance(worker, dict) else {}
        jobs = [job for job in queue if isinstance(job, dict)] if isinstance(queue, list) else []
        waiting = sum(job.get("state") == "waiting" for job in jobs)
        rows.append(
            [
                str(number),
                f"{float(str(held.get('bytes', 0))) / 1e9:.1f} GB",
                f"{float(str(held.get('parked', 0))) / 1e9:.1f} GB",
                str(len(jobs) - waiting),
                str(waiting),
                str(told.get("done", 0)),
            ]
        )
    names = ["Process", "Weights held", "Parked in main memory", "In work", "Waiting", "Done"]
    return _table(names, rows)


def _table(names: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [names, ["---"] * len(names), *rows]
    return "\n".join(f"| {' | '.join(_plain(cell) for cell in line)} |" for line in lines)


def _plain(cell: str) -> str:
    return cell.replace("|", "\\|")
