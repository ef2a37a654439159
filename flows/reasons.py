"""Why a node is stale, in words: what differs between its recipe and the one last made.

Pure. Knows what changed, not who changed it: an edited template shows as a changed prompt.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import cast

from catalogs.node import Node, NodeOutput
from configs.base import Json
from flows.facts import Recipe

LONGEST = 24
"""Characters of a value that a reason quotes; a prompt is only said to have changed."""


def reason(node: Node, before: Recipe, nodes: Mapping[str, Node]) -> str:
    """Return what changed, e.g. `animate.motion: push-in -> orbit-left, logo file changed`.

    Args:
        node: as planned now.
        before: the recipe of what was last made at its address.
        nodes: those of the plan, its inputs among them, by key.
    """
    now = node.recipe()
    stage = node.address.stage
    changes = list(_values(stage, _table(before, "params"), _table(now, "params")))
    changes += _inputs(node, _table(before, "inputs"), nodes)
    changes += _values("profile", _table(before, "pixels"), _table(now, "pixels"))
    if before.get("model") != now["model"]:
        changes.append("model weights changed")
    if before.get("version") != now["version"]:
        changes.append(f"{stage} itself works differently in this version")
    return ", ".join(changes)


def _table(recipe: Recipe, part: str) -> Mapping[str, Json]:
    return cast("Mapping[str, Json]", recipe.get(part, {}))


def _values(path: str, old: Mapping[str, Json], new: Mapping[str, Json]) -> Iterator[str]:
    """Yield one phrase for each value that differs, nested ones by their dotted path."""
    for name in sorted(old.keys() | new.keys()):
        before, after = old.get(name), new.get(name)
        if before == after:
            continue
        if isinstance(before, dict) and isinstance(after, dict):
            yield from _values(f"{path}.{name}", before, after)
        else:
            was, now = _quoted(before), _quoted(after)
            long = len(was) > LONGEST or len(now) > LONGEST
            yield f"{name} changed" if long else f"{path}.{name}: {was} -> {now}"


def _quoted(value: Json) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _inputs(node: Node, old: Mapping[str, Json], nodes: Mapping[str, Node]) -> Iterator[str]:
    for port in sorted(old.keys() | node.inputs.keys()):
        source = node.inputs.get(port)
        if source is None:
            yield f"{port} is gone"
        elif old.get(port) == source.identity():
            continue
        elif isinstance(source, NodeOutput):
            yield f"input {nodes[source.key].address.stage} changed"
        else:
            what = "photo" if port == "image" else port.replace("_", " ")
            yield f"{what} file changed"
