"""What a stage puts before the public, held against the advertising law of where it is seen."""

from __future__ import annotations

from configs.advertising import find
from configs.errors import BadPlan
from tasks.stage import Cell


def lint(cell: Cell, place: str, text: str) -> dict[str, str]:
    """Return the words that the brand lets stand in a text, with its reasons.

    Args:
        cell: the shot and the delivery.
        place: the setting that the text was written in, such as `caption.text`.
        text: as it is published.

    Raises:
        BadPlan: where a word may not stand.
    """
    delivery, product, brand = cell.delivery, cell.product, cell.campaign.brand
    assert delivery is not None, "only what has a platform is published"
    found = list(
        find(
            text,
            markets={*delivery.markets, *brand.markets},
            names=(product.name.zh, product.name.en, product.kind or ""),
            delivery=cell.delivery_id,
            allowed=brand.allow,
        )
    )
    for one in found:
        if not one.reason:
            raise BadPlan(f"{cell.shot}: {place}: {one}")
    return {one.word: one.reason for one in found}
