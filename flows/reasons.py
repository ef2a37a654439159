"""Why a node is stale, in words: what differs between its recipe and the one last made.

Pure. Knows what changed, not who changed it: an edited template shows as a changed prompt.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import cast

from catalogs.node import Input, Node, NodeOutput, canonical
from configs.base import Json
from flows.facts import Recipe

ARROW = " -> "
MOST = 3
"""Changes that one reason tells."""
QUOTED = re.compile(r"[\w.#+-]{1,24}", re.ASCII)
"""Values that a reason quotes; of sentences and lists it only says that they changed."""


def reason(node: Node, before: Recipe, nodes: Mapping[str, Node]) -> str:
    """Return what changed, e.g. `animate.motion: push-in -> orbit-left, logo file changed`.

    Args:
        node: as planned now.
        before: the recipe of what was last made at its address.
        nodes: those of the plan, its inputs among them, by key.
    """
    now = json.loads(canonical(node.recipe()))  # as a record keeps it
    stage = node.address.stage
    values = [
        *_values(stage, _table(before, "params"), _table(now, "params")),
        *_values("profile", _table(before, "pixels"), _table(now, "pixels")),
    ]
    changes = [told for told in values if ARROW in told]  # what a person may have set comes first
    if before.get("model") != now["model"]:
        changes.append("model weights changed")
    changes += _inputs(node, _table(before, "inputs"), nodes)
    if before.get("version") != now["version"]:
        changes.append(f"{stage} itself works differently in this version")
    changes += [told for told in values if ARROW not in told]
    changes = list(dict.fromkeys(changes))  # an input may give two ports
    more = [f"{len(changes) - MOST} more"] if len(changes) > MOST else []
    return ", ".join([*changes[:MOST], *more])


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
            was, now = _said(before), _said(after)
            short = QUOTED.fullmatch(was) and QUOTED.fullmatch(now)
            yield f"{path}.{name}: {was}{ARROW}{now}" if short else f"{name} changed"


def _said(value: Json) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _inputs(node: Node, old: Mapping[str, Json], nodes: Mapping[str, Node]) -> Iterator[str]:
    for port in sorted(old.keys() | node.inputs.keys()):
        source = node.inputs.get(port)
        before = cast("list[str]", old.get(port, [""]))
        if source is None:
            yield f"no {port} any more"
        elif before != source.identity():
            made = isinstance(source, NodeOutput)
            name = _named(port, source, nodes)
            same = before[0] == source.identity()[0]
            yield f"{'input ' * made}{name} changed" if same else f"{port} is now the {name}"


def _named(port: str, source: Input, nodes: Mapping[str, Node]) -> str:
    if isinstance(source, NodeOutput):
        return nodes[source.key].address.stage
    return "photo file" if port == "image" else f"{port.replace('_', ' ')} file"
