"""The way of every node from work to record: make, look at it, commit.

Knows nothing of order or Prefect: it is given nodes whose inputs are in the store.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from functools import cache
from importlib.metadata import version

from catalogs.node import InputFile, Node
from catalogs.record import Record
from tasks import quality
from tasks.stage import Stage, Studio

LIBRARIES = ("keyreel", "torch", "diffusers", "transformers", "pillow", "imageio-ffmpeg")


def make(
    stage: Stage, nodes: Sequence[Node], studio: Studio, *, run: str
) -> Iterator[tuple[Node, Record]]:
    """Make `nodes` of one shot, yielding each with its record once it is committed.

    A node is given as it ran: with other pixels than planned where memory had run out.

    Raises:
        StageFailed: where a node could not be made; those already yielded are kept.
        Interrupted: where the run was cancelled.
    """
    missing = [node for node in map(studio.follow, nodes) if not studio.store.has(node.key)]
    with studio.store.workspace() as workspace:
        for made in stage.run(missing, studio, workspace):
            quality.gate(made, studio.seen)
            finished = dt.datetime.now(dt.UTC)
            record = studio.store.commit(
                made.node,
                made.drafts,
                run=run,
                started=(finished - dt.timedelta(seconds=made.seconds)).isoformat(),
                seconds=made.seconds,
                facts={**made.facts, "versions": dict(versions())},
                paths=input_paths(made.node),
            )
            yield made.node, record


def input_paths(node: Node) -> dict[str, str]:
    """Return the home-relative paths of the files a node reads, by port."""
    return {
        port: source.path for port, source in node.inputs.items() if isinstance(source, InputFile)
    }


@cache
def versions() -> tuple[tuple[str, str], ...]:
    """Return the versions recorded with every node: recorded, not keyed."""
    return tuple((name, version(name)) for name in LIBRARIES)
