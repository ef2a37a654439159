"""What a resident process does for this project: it makes nodes and commits them to the store.

The store is where whoever asked finds the files: nothing that is finished dies with a client, or
with this process.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from pydantic import TypeAdapter

from catalogs.node import Node
from catalogs.store import Store
from configs.base import Declaration, Json
from configs.errors import BadInput
from configs.home import Home
from configs.model import Model
from gpu.service.ask import Told
from gpu.weights import import_libraries, shared
from tasks.make import make
from tasks.model import spec_of
from tasks.stage import Progress, Studio, ran
from tasks.stages import STAGES

NODES = TypeAdapter(Node)


class Commission(Declaration):
    """One node to make, with all that a studio must know for it."""

    key: str
    """Of the node: what arrived is what was sent."""
    node: dict[str, Json]
    models: dict[str, Model]
    """The node's own, by its id."""
    budget_gb: float
    offload: str
    run: str
    """Goes into the record."""
    previews: bool = False
    """`Studio.previews`."""
    seen: dict[str, str] = {}
    """`Studio.seen` of the run so far."""


class Delivered(Declaration):
    """What became of a commission."""

    key: str
    """Of the node as it really ran: its record is in the store."""
    seen: dict[str, str]
    """`Studio.seen`, with this node's picture."""


class Weights(Declaration):
    """Weights to be loaded before work for them arrives."""

    model: Model
    fingerprint: str
    pixels: dict[str, str]
    offload: str


class Order(Declaration):
    """What is asked of the process itself."""

    warm: tuple[Weights, ...] = ()
    """Load these, one after the other."""
    budget_gb: float = 0
    release: bool = False
    """Put out all that no work uses."""


def commission(node: Node, studio: Studio, run: str) -> dict[str, Json]:
    """Return the JSON that asks for a node."""
    name = str(node.notes.get("model", ""))
    models = {name: studio.models[name]} if name in studio.models else {}
    asked = Commission(
        key=node.key,
        node=NODES.dump_python(node, mode="json"),
        models=models,
        budget_gb=studio.budget_gb,
        offload=studio.offload,
        run=run,
        previews=studio.previews,
        seen=dict(studio.seen),  # others of the run are added to it meanwhile
    )
    return asked.model_dump(mode="json")


class Maker:
    """Makes nodes of one home, one at a time, with weights that stay loaded.

    Args:
        home: the workspace.
    """

    def __init__(self, home: Home) -> None:
        self.home, self.store = home, Store(home.store)

    def prepare(self) -> None:
        """Import the libraries: 5 to 10 s that the first picture would wait for."""
        import_libraries("ZImagePipeline")

    def work(self, body: Mapping[str, Json], told: Told) -> dict[str, Json]:
        """Make a node, or find it made; return a `Delivered`.

        Raises:
            KeyreelError: as `tasks.make.make`, and BadInput where the request is not understood.
        """
        if "order" in body:
            return self.obey(Order.model_validate(body["order"]))
        asked = Commission.model_validate(body)
        node = NODES.validate_python(asked.node)
        if node.key != asked.key or node.kind not in STAGES:
            raise BadInput("the request is another version's: start the resident process again")

        def on_progress(step: Progress) -> None:
            news: dict[str, Json] = {"done": step.done, "total": step.total}
            if step.preview:
                news["preview"] = base64.b64encode(step.preview).decode()
            told.say(news)

        studio = Studio(
            self.home,
            self.store,
            asked.models,
            budget_gb=asked.budget_gb,
            offload=asked.offload,
            on_progress=on_progress,
            previews=asked.previews,
            cancelled=told.cancelled,
            seen=dict(asked.seen),
        )
        for _ in make(STAGES[node.kind], [node], studio, run=asked.run):
            pass
        key = ran(studio.really, node.key)
        return Delivered(key=key, seen=studio.seen).model_dump(mode="json")

    def obey(self, order: Order) -> dict[str, Json]:
        """Load or put out weights; return the gigabytes held and given back, and load seconds."""
        weights = shared(order.budget_gb or None)
        before = weights.stats().seconds
        for one in order.warm:
            weights.prewarm(
                [spec_of(one.model, self.home, one.fingerprint, one.pixels, one.offload)]
            )
        freed = weights.release_all() if order.release else 0
        now = weights.stats()
        return {"held": now.bytes, "freed": freed, "seconds": now.seconds - before}

    def holds(self, needs: str) -> bool:
        """Say whether the weights of this fingerprint are loaded."""
        return shared().holds(needs)

    def status(self) -> dict[str, Json]:
        """Return what the cache of weights did and holds."""
        return asdict(shared().stats())


def open_maker(root: str) -> Maker:
    """Return what makes the nodes of the home at `root`."""
    return Maker(Home.find(Path(root)))
