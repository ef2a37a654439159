"""The way to the resident GPU process, where one runs for this home; else work is done right here.

A flow run started by a Prefect worker is a new process, whose weights would be cold each time.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence
from pathlib import Path

from catalogs.hashes import FileHashes
from catalogs.node import Node
from catalogs.record import Record
from configs.base import Json
from configs.errors import BadInput
from configs.home import Home
from configs.library import Library
from flows.resolve import device_for
from gpu.device import fit_for, pixels
from gpu.service.address import living
from gpu.service.ask import Ask
from gpu.service.client import Client, News
from tasks import make as here
from tasks.model import fingerprint
from tasks.resident import Delivered, Order, Weights, commission
from tasks.stage import Progress, Stage, Studio

ENTRY = "tasks.resident:open_maker"
"""What the process is started with."""
MOST = 8
"""Processes that one run uses: the cards of the largest common machine."""


def folder(home: Home) -> Path:
    """Return where the resident processes of a home tell their addresses."""
    return home.state / "resident"


def clients_of(home: Home) -> Client:
    """Return what asks the resident processes of a home."""
    return Client(folder(home))


def at_once(home: Home) -> int:
    """Return how many nodes of the GPU's lane a run keeps under way: one for each process."""
    return min(MOST, max(1, len(living(folder(home)))))


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
            done, total = int(str(news["done"])), int(str(news["total"]))
            preview = base64.b64decode(str(news.get("preview", "")))
            studio.on_progress(Progress(node, done, total, preview))

    ask = Ask(
        id=node.key,
        client=run,
        needs=node.model,
        priority=studio.priority,
        body=commission(node, studio, run),
    )
    told = Delivered.model_validate(client.do(ask, on_news, studio.cancelled))
    if told.key != node.key:
        studio.really[node.key] = told.key
    studio.seen.update(told.seen)
    return node, studio.store.record(told.key)


def warm(home: Home, profile: str) -> Iterator[tuple[str, float, float]]:
    """Load a profile's models into each resident process of the home.

    Yields:
        The process's name, gigabytes held, and seconds spent loading.

    Raises:
        BadInput: where no resident process runs: weights loaded here would be gone with this run.
        BadFile: where a model is not there.
    """
    library = Library.open(home)
    name, device = device_for(profile, library)
    row = library.profiles[name]
    hashes, chosen = FileHashes(home.cache / "hashes.json"), pixels(device, row.dtype, fit_for(row))
    models = [library.models[each] for each in (row.picture, row.clip)]
    order = Order(
        budget_gb=row.budget_gb,
        warm=tuple(
            Weights(
                model=model,
                fingerprint=fingerprint(model, home, hashes),
                pixels=chosen,
                offload=row.offload,
            )
            for model in models
        ),
    )
    for where, told in _ordered(home, order):
        yield where, float(str(told["held"])) / 1e9, float(str(told["seconds"]))


def release(home: Home) -> Iterator[tuple[str, float]]:
    """Have each resident process of the home put out what no work uses.

    Yields:
        The process's name, and the gigabytes given back.

    Raises:
        BadInput: where no resident process runs.
    """
    for where, told in _ordered(home, Order(release=True)):
        yield where, float(str(told["freed"])) / 1e9


def _ordered(home: Home, order: Order) -> Iterator[tuple[str, dict[str, Json]]]:
    client = Client(folder(home))
    if not client.found():
        raise BadInput(
            "no resident GPU process runs for this home, and weights loaded here would be gone "
            "with this run: start `keyreel up`"
        )
    for address, told in client.each({"order": order.model_dump(mode="json")}):
        yield f"process {address.pid}", told
