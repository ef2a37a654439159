"""Renders `benchmarks/RESULTS.md` from `results/*.json`: `python -m benchmarks.report`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from benchmarks.figures import RESULTS

MARKS = {True: "yes", False: "**no**", None: ""}
HEAD = "# Results\n\nWritten by `make results` from `results/*.json`. One table a benchmark."


def render(name: str, told: Mapping[str, Any]) -> Iterator[str]:
    """Yield the lines of one benchmark's table."""
    machine = told["machine"]
    yield f"\n## {name}\n"
    yield (
        f"{told['date']}, {told['device']}: {machine['cpu']}, {machine['cores']} cores "
        f"{'with' if machine['amx'] else 'without'} AMX, {machine['memory_gb']} GB; "
        + ", ".join(f"{library} {number}" for library, number in told["versions"].items())
        + ".\n"
    )
    yield "| metric | value | bar | met | note |"
    yield "|---|---:|---|---|---|"
    for one in told["figures"]:
        cells = (one["metric"], f"{one['value']:.4g} {one['unit']}", one["bar"], one["note"])
        metric, value, bar, note = (cell.replace("|", "\\|") for cell in cells)
        yield f"| {metric} | {value} | {bar} | {MARKS[one['met']]} | {note} |"


def main(target: Path = RESULTS.parent / "RESULTS.md") -> None:
    """Write the page."""
    lines = [HEAD]
    for path in sorted(RESULTS.glob("*.json")):
        lines += render(path.stem, json.loads(path.read_text(encoding="utf-8")))
    target.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
