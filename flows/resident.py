"""The way to the resident GPU process, where one runs for this home; else work is done right here.

A flow run started by a Prefect worker is a new process, whose weights would be cold each time.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from catalogs.node import Node
from catalogs.record import Record
from configs.home import Home
from gpu.service.ask import Ask
from gpu.service.client import Client, News
from tasks import make as here
from tasks.resident import Delivered, commission
from tasks.stage import Progress, Stage, Studio

ENTRY = "tasks.resident:open_maker"
"""What the process is started with."""


def folder(home: Home) -> Path:
    """Return where the resident processes of a home tell their addresses."""
    return home.state / "resident"


def clients_of(home: Home) -> Client:
    """Return what asks the resident processes of a home."""
    return Client(folder(home))


def make(
    stage: Stage, nodes: Sequence[Node], studio: Studio, *, run: str
) -> Iterator[tuple[Node, Record]]:
    """Make nodes as `tasks.make.make` does: on the GPU's lane by the resident process, if any.

    Raises:
        KeyreelError: as `tasks.make.make`, and where the process died and did not come back.
    """
    client = clients_of(studio.home)
    if stage.lane != "gpu" or not client.found():
        yield from here.make(stage, nodes, studio, run=run)
        return
    for node in map(studio.follow, nodes):
        if not studio.store.has(node.key):
            yield _asked(client, node, studio, run)


def _asked(client: Client, node: Node, studio: Studio, run: str) -> tuple[Node, Record]:
    """Have a node made; its record is in the store, whoever made it."""

    def on_news(news: News) -> None:
        if "done" in news:
            studio.on_progress(Progress(node, int(str(news["done"])), int(str(news["total"]))))

    ask = Ask(id=node.key, client=run, needs=node.model, body=commission(node, studio, run))
    told = Delivered.model_validate(client.do(ask, on_news, studio.cancelled))
    if told.key != node.key:
        studio.really[node.key] = told.key
    studio.seen.update(told.seen)
    return node, studio.store.record(told.key)
