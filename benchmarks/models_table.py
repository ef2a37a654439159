"""Which profile draws with which model, and what each model does, as Markdown.

python -m benchmarks.models_table > docs/models.md
"""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from benchmarks.figures import RESULTS
from configs.home import Home
from configs.library import Library
from configs.model import Model

HEAD = """# Models

Written by `python -m benchmarks.models_table` from configs/models.yaml and configs/profiles.yaml; a
test holds it to them. Sizes are in pixels, memory in gigabytes of 1e9 bytes, weights and work
together. Clips have 4k + 1 frames and take their picture's shape, at the area named; those from
words alone have the size named. A `text-to-video` request goes to the model of the last column of
the first table; where there is none, a picture is drawn first and then animated.
"""

MEASURED = """Seconds a step (two forwards where a model has guidance) and the most memory,
of full-size models with random weights on {device} under a cap; nothing is compiled. Of
caps that fit a model alike the smallest was run.
Weights lie on the card whole, or come in by networks or by layers. By networks one expert of A14B
makes room for the other between two steps, in under a second; where the step has 43 s, it was
measured before networks waited in locked memory, and is 18 of them.
"""

WAYS = {"none": "whole", "model": "by networks", "group": "by layers"}
"""What an offload is called for people."""


def text(library: Library) -> str:
    """Return the page."""
    told = json.loads((RESULTS / "fit.json").read_text(encoding="utf-8"))
    parts = _profiles(library), _models(library), measured(told)
    return "\n".join([HEAD, *(line for part in parts for line in (*part, ""))])


def _profiles(library: Library) -> Iterator[str]:
    columns = "profile", "from, GB", "pictures", "clips of a keyframe or photo", "clips from words"
    yield from _head(columns)
    for name, row in library.profiles.items():
        least = f"{row.min_memory_gb:g}" if row.device == "cuda" else "CPU"
        yield _line([f"`{name}`", least, row.picture, row.clip, row.text_clip or "-"])


def _models(library: Library) -> Iterator[str]:
    columns = ("model", "from", "portrait", "square", "landscape", "sides divide by",
               "frames, at most", "fps", "steps, at most", "guidance", "GB")  # fmt: skip
    yield from _head(columns)
    for name, model in library.models.items():
        yield _line([name, *_cells(model)])


def _cells(model: Model) -> Iterator[str]:
    yield {"picture": "words", "clip": "a picture", "text-clip": "words"}[model.makes]
    yield from (f"{width}x{height}" for width, height in model.sizes.values())
    yield str(model.multiple)
    yield f"{model.frames}, {model.max_frames}" if model.frames else "-"
    yield str(model.fps) if model.fps else "-"
    yield f"{model.steps}, {model.max_steps}"
    yield f"{model.guidance:g}, at most {model.max_guidance:g}" if model.max_guidance else "none"
    yield f"{model.memory_gb:g}"


def measured(told: Mapping[str, Any]) -> Iterator[str]:
    """Yield what `results/fit.json` says: a row a model, a column a cap."""
    cells: dict[str, dict[str, str]] = {}
    figures = told["figures"]
    for step, peak in zip(figures[::3], figures[2::3], strict=True):
        model, caps = re.split(" under | GB: ", step["metric"])[:2]
        cells.setdefault(model, {}).update(dict.fromkeys(caps.split(", "), _cell(step, peak)))
    yield MEASURED.format(device=told["device"])
    columns = sorted({cap for row in cells.values() for cap in row}, key=float)
    yield from _head(["measured", *(f"{cap} GB" for cap in columns)])
    for model, row in cells.items():
        yield _line([model, *(row.get(cap, "-") for cap in columns)])


def _cell(step: Mapping[str, Any], peak: Mapping[str, Any]) -> str:
    way = re.search(r"offload (\w+)(?!.*offload)", step["note"])  # the last: that which ran
    if not way or not step["value"]:
        return "does not run"
    late = ", after it ran out of memory" if "->" in step["note"] else ""
    return f"{step['value']:.2g} s, {peak['value']:.1f} GB, {WAYS[way[1]]}{late}"


def _head(columns: Iterable[str]) -> list[str]:
    names = list(columns)
    return [_line(names), _line("---" for _ in names)]


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def main() -> None:
    """Print the page, of the rows that ship."""
    with tempfile.TemporaryDirectory() as empty:
        print(text(Library.open(Home(Path(empty)))), end="")


if __name__ == "__main__":
    main()
