"""Who set a value of a shot: `keyreel plan --explain SHOT FIELD`."""

from __future__ import annotations

import json

from pydantic_core import to_jsonable_python

from configs.errors import BadInput
from configs.wording import unknown
from flows.facts import Resolved
from flows.prompts import write_prompts


def explain(resolved: Resolved, shot: str, field: str) -> str:
    """Return each layer that sets `field` for a shot, one a line; the last one counts.

    Args:
        resolved: the campaign.
        shot: its id, `product/ISO-date/other axes`.
        field: a dotted path, e.g. `animate.motion`.

    Raises:
        BadInput: where there is no such shot or setting.
    """
    shots = {each.id: each for each in resolved.shots}
    if shot not in shots:
        raise BadInput(unknown("shot", shot, shots))
    layers = resolved.layers.explain(shots[shot].axes, field)
    width = max(len(layer) for layer, _, _ in layers)
    lines = [f"  {layer:<{width}}  {_said(value)}  ({where})" for layer, where, value in layers]
    layer, _, value = layers[-1]
    drawn = ""
    if (field, value) == ("animate.motion", "auto"):
        drawn = f"; drawn for this shot: {write_prompts(resolved)[shot].motion}"
    return "\n".join([f"{shot}: {field} is {_said(value)}, set by {layer}{drawn}", *lines])


def _said(value: object) -> str:
    return json.dumps(to_jsonable_python(value), ensure_ascii=False)
