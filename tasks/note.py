"""Stages of words: all is decided at plan time, and running them writes it down."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from catalogs.node import Node, canonical
from tasks.stage import Draft, Made, Studio


def write_params(port: str) -> Callable[[Sequence[Node], Studio, Path], Iterator[Made]]:
    """Return a stage's `run` that writes each node's params as one JSON file, given at `port`."""

    def run(nodes: Sequence[Node], _studio: Studio, workspace: Path) -> Iterator[Made]:
        for node in nodes:
            started = time.perf_counter()
            path = workspace / f"{node.key}.json"
            path.write_bytes(canonical(dict(node.params)))
            draft = Draft(path, "text", "application/json")
            yield Made(node, {port: draft}, time.perf_counter() - started)

    return run
