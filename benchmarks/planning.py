"""What planning costs: 10,000 shots at once, the demo from the shell, and a week already made.

    python -m benchmarks.planning

The big campaign draws with the rows of the production models (own shapes for portrait, square and
landscape, so 19 nodes a shot) on stand-in weights with a real tokenizer: planning hashes weights
and counts tokens, and loads nothing.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

from benchmarks.figures import Figure, at_most, write
from catalogs.record import Entry, Place, Run
from catalogs.runs import write_run
from catalogs.store import Store
from configs.home import Home
from configs.library import SHIPPED
from flows.plan import Plan, plan, prepare
from flows.resolve import resolve
from tasks.stage import Draft

SHOTS, ROUNDS = 10_000, 5
PRODUCTS, DAYS = 40, 250
STARTED = "2026-03-02T08:00:00+00:00"
TOKENIZER = SHIPPED.parent / "gpu" / "mini" / "weights" / "image" / "tokenizer"
PROFILE = "big: {device: cpu, picture: z-image-turbo, clip: wan2.2-ti2v-5b, budget_gb: 1}\n"
BIG = """\
name: big
profile: big
seed: 1
brand: {name: Lumière, logo: brand/lumiere.png}
calendar: {start: 2026-01-01, days: DAYS}
products:
PRODUCTS
deliveries: [douyin, xiaohongshu, instagram-square, bilibili]
overrides: [{match: {day: fri}, set: {animate.motion: orbit-left}}]
"""


@contextmanager
def home() -> Iterator[Home]:
    """Make a home with the demo, and yield it."""
    with tempfile.TemporaryDirectory() as root:
        yield Home.create(Path(root) / "home", demo=True)


def add_big(place: Home, products: int, days: int) -> None:
    """Add the big campaign, its profile and its models."""
    for folder in ("z-image-turbo", "wan2.2-ti2v-5b"):
        shutil.copytree(TOKENIZER, place.root / "models" / folder / "tokenizer")
        (place.root / "models" / folder / "weights.bin").write_bytes(b"weights")
    (place.root / "profiles.yaml").write_text(PROFILE, encoding="utf-8")
    names = "".join(f"  - {{id: p{n}, name: 口红{n}}}\n" for n in range(products))
    text = BIG.replace("DAYS", str(days)).replace("PRODUCTS\n", names)
    (place.campaigns / "big.yaml").write_text(text, encoding="utf-8")


def measure_big(root: str) -> None:
    """Plan the big campaign in this process, and print what it took as JSON."""
    resolved = resolve(Home(Path(root)), "big")
    wall, cpu = time.perf_counter(), time.process_time()
    planned = plan(resolved)
    took = {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({**took, "peak": peak, "nodes": len(planned.nodes)}))


def big(place: Home) -> list[Figure]:
    """Plan 10,000 shots, each time in a fresh process."""
    add_big(place, PRODUCTS, DAYS)
    command = [sys.executable, "-m", "benchmarks.planning", str(place.root)]
    runs = [json.loads(subprocess.check_output(command)) for _ in range(ROUNDS)]
    cpu, wall, peak = (median(run[what] for run in runs) for what in ("cpu", "wall", "peak"))
    shots, nodes = PRODUCTS * DAYS, runs[0]["nodes"]
    note = f"{nodes:,} nodes; median of {ROUNDS}; {wall:.1f} s by the clock"
    return [
        at_most(f"plan {shots:,} shots x 4 deliveries", cpu, "CPU s", 8, note),
        at_most("the same, peak memory of the process", peak, "MB", 1000),
    ]


def shell(place: Home, *words: str) -> tuple[float, float]:
    """Run `keyreel` in a new process; return seconds by the clock and of the processor."""
    keyreel = Path(sys.executable).with_name("keyreel")
    command = [str(keyreel), "--home", str(place.root), *words]
    before, started = os.times(), time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    wall, after = time.perf_counter() - started, os.times()
    spent = after.children_user + after.children_system
    return wall, spent - before.children_user - before.children_system


def made(place: Home, planned: Plan) -> None:
    """Pretend that all of a plan was made: a file of 1 KB and a record for every node."""
    store = Store(place.store)
    for node in planned.nodes.values():
        with store.workspace() as workspace:
            path = workspace / "file.bin"
            path.write_bytes(node.key.encode() * 16)
            draft = Draft(path, "text", "application/octet-stream")
            store.commit(node, {"file": draft}, run="r", started=STARTED, seconds=1)
    entries = tuple(
        Entry(
            place=Place(stage=a.stage, shot=a.shot, aspect=a.aspect, delivery=a.delivery),
            key=key,
            state="made",
        )
        for a, key in planned.places.items()
    )
    name = planned.campaign.name
    write_run(
        place.runs, Run(id="r", campaign=name, state="done", started=STARTED, entries=entries)
    )


def finished(place: Home) -> list[Figure]:
    """Run a finished campaign of 100 shots again; then change its watermark."""
    add_big(place, 10, 10)
    planned = prepare(place, "big").plan
    made(place, planned)
    took = [shell(place, "run", "big") for _ in range(ROUNDS)]
    brief = place.campaigns / "big.yaml"
    text = brief.read_text(encoding="utf-8")
    changed = text.replace("lumiere.png}", "lumiere.png, watermark: {opacity: 0.3}}")
    brief.write_text(changed, encoding="utf-8")
    again = prepare(place, "big").plan
    stages = {node.kind for node in again.work()}
    wall, cpu = (median(values) for values in zip(*took, strict=True))
    note = f"{len(planned.nodes):,} nodes cached, 0 run; median of {ROUNDS}; {cpu:.1f} CPU s"
    return [
        at_most("`keyreel run` of a finished 100-shot campaign", wall, "s", 5, note),
        Figure(
            "nodes to make after one watermark change",
            len(again.work()),
            "nodes",
            "watermark, export and sign only",
            stages == {"watermark", "export", "sign"},
            f"of {len(again.nodes):,}; {again.headline()}",
        ),
    ]


def main() -> None:
    """Measure, and write the results."""
    with home() as place:
        took = [shell(place, "plan", "demo") for _ in range(ROUNDS)]
        wall, cpu = (median(values) for values in zip(*took, strict=True))
        note = f"a new process each; median of {ROUNDS}; {cpu:.2f} CPU s"
        figures = [at_most("`keyreel plan demo` from the shell", wall, "s", 1.5, note)]
    with home() as place:
        figures += big(place)
    with home() as place:
        figures += finished(place)
    write("planning", figures)


if __name__ == "__main__":
    measure_big(sys.argv[1]) if len(sys.argv) > 1 else main()
