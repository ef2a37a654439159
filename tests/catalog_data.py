"""Small real work for tests of the store and the catalog: two shots, from photo to delivery."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from catalogs.node import Address, Input, InputFile, Node, NodeOutput
from catalogs.record import Asset, Entry, Place, Record, Run
from catalogs.store import Store
from tasks.stage import Draft

STARTED = "2026-03-02T08:00:00+00:00"
LOGO = InputFile("a" * 64, "brand/logo.png")
TEXT = MappingProxyType({"out": "text"})
FACTS = {
    "device": "cpu",
    "peak_bytes": 2_000_000_000,
    "load_seconds": 0.5,
    "versions": {"torch": "2.13.0"},
}


def node(stage: str, shot: str, params=None, inputs=None, model: str = "", **where: str) -> Node:
    """Return a node of `stage` with what tests vary."""
    ports: dict[str, Input] = inputs or {}
    notes = {"model": f"mini-{stage}"} if model else {}
    return Node(Address(stage, shot, **where), stage, 1, params or {}, ports, model, notes=notes)


def commit(
    store: Store,
    made: Node,
    text: str,
    *,
    run: str = "r1",
    seconds: float = 2.0,
    kinds: Mapping[str, Any] = TEXT,
) -> Record:
    """Commit `made` with a file of `text` at each port of `kinds`."""
    with store.workspace() as desk:
        drafts = {
            port: Draft(desk / f"{port}.txt", kind, "text/plain") for port, kind in kinds.items()
        }
        for draft in drafts.values():
            draft.path.write_text(text, encoding="utf-8")
        return store.commit(
            made,
            drafts,
            run=run,
            started=STARTED,
            seconds=seconds,
            facts=FACTS,
            paths={port: at.path for port, at in made.inputs.items() if isinstance(at, InputFile)},
        )


def week(store: Store, run: str = "r1", start: str = "2026-03-02") -> Run:
    """Make two shots of one product; return the run that tells of them."""
    entries: list[Entry] = []
    shots = {}
    for number, product in enumerate(("rouge-01", "mug-01")):
        shot = f"{product}/{start}"
        key = node("keyframe", shot, {"n": shot}, model="f" * 64, aspect="portrait")
        clip = node(
            "animate", shot, {}, {"image": NodeOutput(key.key, "out")}, "f" * 64, aspect="portrait"
        )
        mark = node("watermark", shot, {}, {"logo": LOGO}, delivery="douyin")
        ports = {"clip": NodeOutput(clip.key, "out"), "overlay": NodeOutput(mark.key, "out")}
        export = node("export", shot, {}, ports, delivery="douyin")
        for made in (key, clip, mark, export):
            held = store.has(made.key)
            if not held:
                commit(store, made, f"{made.address}", run=run)
            entries.append(entry(made, "cached" if held else "made"))
        shots[shot] = {
            "template": "product-closeup",
            "language": "zh",
            "seed": 2**48 - number,
            "texts": {"picture": f"一支口红 {number}", "motion": "push in"},
        }
    return Run(
        id=run,
        campaign="spring",
        title={"zh": "春", "en": "Spring"},
        state="done",
        started=STARTED,
        finished="2026-03-02T08:05:00+00:00",
        parameters={"seed": 7},
        shots=shots,
        entries=tuple(entries),
    )


def entry(made: Node, state: str, error: str = "") -> Entry:
    """Return what a run says of `made`."""
    place = Place.model_validate(made.address, from_attributes=True)
    return Entry.model_validate(
        {"place": place, "key": made.key, "state": state, "seconds": 2.0, "error": error}
    )


def files(folder: Path) -> list[str]:
    """Return all files below `folder`, by relative name."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def only(record: Record) -> Asset:
    """Return a record's one output."""
    (asset,) = record.outputs.values()
    return asset
