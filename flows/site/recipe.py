"""What an asset was made with, in lines that people read and that two assets are compared by."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from catalogs.record import Record
from catalogs.store import Store
from configs.base import Json
from configs.errors import BadFile

LONGEST = 1200
"""Letters of one value on a page: a list of subtitles can be long."""
EMPTY = ("", "null", "[]", "{}")
FIRST = ("model", "prompt", "negative", "text", "seed", "steps", "guidance", "motion", "size")


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a comparison: a name, and its value in each recipe."""

    name: str
    values: tuple[str, ...]

    @property
    def same(self) -> bool:
        """Whether all have the same value."""
        return len(set(self.values)) == 1


def told(store: Store, row: Mapping[str, Any]) -> dict[str, str]:
    """Return the lines of an asset's recipe, the telling ones first; empty where it is lost."""
    try:
        record = store.recall(row["node"])
    except (KeyError, BadFile):
        return {}
    lines = dict(_lines(record))
    return {name: lines[name] for name in sorted(lines, key=_place) if lines[name] not in EMPTY}


def _place(name: str) -> tuple[int, str]:
    return (FIRST.index(name), "") if name in FIRST else (len(FIRST), name)


def _lines(record: Record) -> Iterator[tuple[str, str]]:
    yield "model", str(record.notes.get("model") or "")
    for part in ("params", "pixels"):
        values = record.recipe.get(part)
        for name, value in (values if isinstance(values, dict) else {}).items():
            yield name, written(value)
    for name in ("device", "peak_bytes", "load_seconds", "fallbacks", "versions"):
        if record.facts.get(name):
            yield name, written(record.facts[name])
    yield "stage version", str(record.recipe.get("version"))
    yield "took", f"{record.seconds:.1f} s"


def written(value: Json) -> str:
    """Return a value as a person reads it."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]} …"


def compared(recipes: Sequence[Mapping[str, str]]) -> list[Line]:
    """Return all lines of some recipes beside each other; those that differ come first."""
    names = dict.fromkeys(name for recipe in recipes for name in recipe)
    lines = [Line(name, tuple(recipe.get(name, "") for recipe in recipes)) for name in names]
    return sorted(lines, key=lambda line: line.same)
