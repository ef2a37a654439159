"""Where an asset came from and what came of it, as a graph that the server draws.

Columns are steps from the user's own files; a node stands right of all it was made from.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

from flows.site.reading import Reading, Row

WIDE, HIGH, GAP_X, GAP_Y, MARGIN = 168, 58, 44, 14, 2
MOST = 80
"""Nodes drawn: a keyframe serves some tens of deliveries."""


@dataclass(frozen=True, slots=True)
class Box:
    """One node, or a file of the user's."""

    x: int
    y: int
    stage: str
    text: str
    face: str
    digest: str
    here: bool


@dataclass(frozen=True, slots=True)
class Graph:
    """What is drawn, in pixels."""

    width: int
    height: int
    boxes: tuple[Box, ...]
    lines: tuple[str, ...]
    """Paths, as SVG has them."""


def graph(reading: Reading, node: str) -> Graph:
    """Return the graph of everything that `node` was made from, and that was made from it."""
    rows = reading.rows("list_lineage", {"node": node, "most": MOST})
    names = {row["name"]: row for row in rows}
    edges = [
        (parent, row["name"]) for row in rows for parent in row["parents"] or [] if parent in names
    ]
    columns = layers(names, edges)
    at = {
        name: (MARGIN + x * (WIDE + GAP_X), MARGIN + y * (HIGH + GAP_Y))
        for x, column in enumerate(columns)
        for y, name in enumerate(column)
    }
    boxes = tuple(_box(names[name], *place, here=name == node) for name, place in at.items())
    return Graph(
        width=2 * MARGIN + len(columns) * (WIDE + GAP_X) - GAP_X,
        height=2 * MARGIN + max(map(len, columns)) * (HIGH + GAP_Y) - GAP_Y,
        boxes=boxes,
        lines=tuple(_line(at[parent], at[child]) for parent, child in edges),
    )


def layers(names: Iterable[str], edges: Iterable[tuple[str, str]]) -> list[list[str]]:
    """Return names in columns: each right of all it was made from."""
    above: dict[str, list[str]] = defaultdict(list)
    for parent, child in edges:
        above[child].append(parent)

    @cache
    def depth(name: str) -> int:
        return 1 + max(map(depth, above[name]), default=-1)

    columns: dict[int, list[str]] = defaultdict(list)
    for name in names:
        columns[depth(name)].append(name)
    return [columns[number] for number in sorted(columns)]


def _box(row: Row, x: int, y: int, *, here: bool) -> Box:
    text = row["path"] or " ".join(filter(None, (row["aspect"], row["delivery"])))
    return Box(x, y, row["stage"] or "file", text, row["face"] or "", row["digest"] or "", here)


def _line(parent: tuple[int, int], child: tuple[int, int]) -> str:
    x, y = parent[0] + WIDE, parent[1] + HIGH // 2
    to_x, to_y = child[0], child[1] + HIGH // 2
    middle = (x + to_x) // 2
    return f"M{x} {y}C{middle} {y} {middle} {to_y} {to_x} {to_y}"
