"""Making an asset again from its record alone, to see whether its bytes are the same."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from catalogs.catalog import Catalog
from catalogs.node import Address, Input, InputFile, Node, NodeOutput
from catalogs.record import Record
from catalogs.store import Store, describe
from configs.base import Json
from configs.errors import BadInput
from configs.home import Home
from configs.library import Library
from tasks.stage import Studio
from tasks.stages import STAGES


@dataclass(frozen=True, slots=True)
class Compared:
    """One output of a node, then and now."""

    node: str
    port: str
    then: str
    now: str
    stage: str
    drawn: Mapping[str, str]
    """Addresses, by key, of what a model drew before the node; that was taken as it is."""

    @property
    def same(self) -> bool:
        """Whether the bytes are the same."""
        return self.then == self.now


def rerun(home: Home, asset: str) -> list[Compared]:
    """Make the node that gave `asset` again, beside the store, and compare its outputs.

    Raises:
        BadInput: where the asset is unknown, or its stage's code has changed its pixels since.
    """
    store = Store(home.store)
    found = Catalog(home.catalog, store).show(asset)
    record = store.record(found.sha256)
    node = node_of(record)
    stage = STAGES[node.kind]
    if node.version != stage.version:
        raise BadInput(
            f"{node.address} was made by version {node.version} of {stage.id}; "
            f"this is version {stage.version}, whose pixels differ: run the campaign again"
        )
    studio = Studio(home, store, Library.open(home).models)
    with store.workspace() as workspace:
        (made,) = stage.run([node], studio, workspace)
        now = {port: describe(draft).sha256 for port, draft in made.drafts.items()}
    drawn = {one.key: str(node_of(one).address) for one in found.records() if one.recipe["model"]}
    drawn.pop(record.key, None)
    return [
        Compared(str(node.address), port, output.sha256, now[port], node.address.stage, drawn)
        for port, output in record.outputs.items()
    ]


def node_of(record: Record) -> Node:
    """Return the node that a record was written for."""
    place, recipe = record.place, record.recipe
    return Node(
        address=Address(place.stage, place.shot, place.aspect, place.delivery),
        kind=str(recipe["stage"]),
        version=int(str(recipe["version"])),
        params=_mapping(recipe["params"]),
        inputs={
            port: _input(source, record.paths.get(port, ""))
            for port, source in _mapping(recipe["inputs"]).items()
        },
        model=str(recipe["model"]),
        pixels={name: str(value) for name, value in _mapping(recipe["pixels"]).items()},
        notes=record.notes,
    )


def _mapping(value: Json) -> Mapping[str, Json]:
    assert isinstance(value, dict)
    return value


def _input(source: Json, path: str) -> Input:
    assert isinstance(source, list)
    if source[0] == "node":
        return NodeOutput(str(source[1]), str(source[2]))
    return InputFile(str(source[1]), path)
