"""Where the cause of a refusal stands: the file and line of what its message names."""

from __future__ import annotations

import re
from collections.abc import Mapping

from configs.campaign import AxisValue
from configs.delivery import Delivery
from configs.layers import KINDS
from flows.facts import Resolved

NAMED = re.compile(r"([\w-]+)\.([a-z_]+)\b")
"""`animate.seconds`, a setting, or `tiktok.max_seconds`, a rule of a delivery's row."""
PRODUCT = re.compile(r"\bproducts\[(\d{1,5})\]\.([a-z_]+)\b")
"""`products[1].image`, a field of the campaign."""


def place(
    message: str, resolved: Resolved, axes: Mapping[str, AxisValue], ids: Mapping[str, str]
) -> str | None:
    """Return FILE:LINE of the product's field, else the setting or rule, that `message` names.

    Args:
        message: what a stage says of a shot.
        resolved: the campaign, its settings and the rows it may name.
        axes: of that shot.
        ids: the pipeline's own name of each stage.
    """
    if own := PRODUCT.search(message):
        return resolved.loaded.source.where(("products", int(own[1]), own[2]))
    names = NAMED.findall(message)
    for name, field in names:
        if name in ids and name in KINDS and field in KINDS[name].model_fields:
            *_, (layer, where, _) = resolved.layers.explain(axes, f"{ids[name]}.{field}")
            if layer != "default":
                return where
    for name, field in names:
        if name in resolved.library.deliveries and field in Delivery.model_fields:
            return resolved.library.rows["deliveries", name].where((name, field))
    return None
