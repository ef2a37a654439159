"""What a node costs beside its own work: the order of work, Prefect with a server, and the commit.

    python -m benchmarks.overhead

Works of one node each write a 1 KB asset and commit a record, through the flow's own tasks.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median
from types import MappingProxyType

NODES, ROUNDS = 200, 9


def run_once(folder: Path, number: int) -> float:
    """Return the milliseconds a node took."""
    from prefect import flow
    from prefect.task_runners import ThreadPoolTaskRunner

    from catalogs.node import Address, Node
    from catalogs.store import Store
    from configs.home import Home
    from flows import campaign
    from flows.execute import execute, group
    from flows.progress import Totals
    from tasks.stage import Decision, Draft, Made, Stage, Studio

    def write(nodes: Sequence[Node], _studio: Studio, workspace: Path) -> Iterator[Made]:
        for node in nodes:
            path = workspace / f"{node.key}.json"
            path.write_bytes(node.key.encode() * 16)
            yield Made(node, {"text": Draft(path, "text", "application/json")}, 0.0)

    tiny = Stage("expand", 1, {}, {"text": "text"}, "cpu", lambda _: Decision({}), write)
    campaign.STAGES = MappingProxyType({"expand": tiny})  # type: ignore[misc]
    store = Store(folder / "store")
    studio = Studio(Home(folder), store, {})
    nodes = [
        Node(Address("expand", f"shot-{number}-{index}"), "expand", 1, {"n": [number, index]})
        for index in range(NODES)
    ]

    @flow(name="overhead", task_runner=ThreadPoolTaskRunner(max_workers=8))
    def overhead() -> int:
        start = campaign.starter(studio, "run", Totals())
        works = group(nodes, {"expand": "cpu"})
        outcome = execute(works, start, slots={"cpu": 8}, held=store.has, cancelled=lambda: False)
        return len(outcome.errors)

    started = time.perf_counter()
    if overhead():
        raise SystemExit("some nodes failed")
    return 1000 * (time.perf_counter() - started) / NODES


def main() -> None:
    """Measure and write the figures."""
    from benchmarks.figures import at_most
    from benchmarks.figures import write as write_figures
    from flows.server import server

    with tempfile.TemporaryDirectory() as folder:
        os.environ["PREFECT_HOME"] = str(Path(folder) / "prefect")
        with server(Path(folder)):
            run_once(Path(folder), 0)  # the first flow of a process imports and connects
            took = [run_once(Path(folder), number) for number in range(1, ROUNDS + 1)]
    note = f"{NODES} nodes, {ROUNDS} rounds: {min(took):.0f}-{max(took):.0f} ms"
    write_figures("overhead", [at_most("overhead of a node", median(took), "ms", 40, note)])


if __name__ == "__main__":
    main()
