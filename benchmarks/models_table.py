"""Which profile draws with which model, and what each model does, as Markdown.

python -m benchmarks.models_table > docs/models.md
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from configs.home import Home
from configs.library import Library
from configs.model import Model

HEAD = """# Models

Written by `python -m benchmarks.models_table` from configs/models.yaml and configs/profiles.yaml; a
test holds it to them. Sizes are in pixels, memory in gigabytes of 1e9 bytes, weights and work
together, reckoned: what a card measured is in benchmarks/RESULTS.md, under `fit`. Clips have 4k + 1
frames and take their picture's shape, at the area named.
"""


def text(library: Library) -> str:
    """Return the page."""
    return "\n".join([HEAD, *_profiles(library), "", *_models(library), ""])


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
