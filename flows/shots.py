"""The loop: a campaign's matrix unrolled into shots, each with its own day, axes and seed.

Knows nothing of stages. Pure: `today` is given.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import itertools
from collections.abc import Mapping
from dataclasses import dataclass

from configs.campaign import AxisValue, Calendar, Campaign, Product
from configs.errors import BadInput, BadPlan
from configs.festivals import Day, day_facts
from configs.marks import Marks
from configs.matrix import axes, spelled

AXIS_STRIDE = 367
"""More than a calendar's days, so that two values of an axis do not share ranks."""


@dataclass(frozen=True, slots=True)
class Shot:
    """One cell of the matrix."""

    id: str
    """`product/ISO-date/other axes`, the latter in the order of their names."""
    product: Product
    day: Day
    axes: Mapping[str, AxisValue]
    """`product`, `day` as an ISO date, and the campaign's own axes."""
    seed: int
    """From the campaign's seed and the id alone: a shot inserted changes no other."""
    rank: int
    """The number by which a variant is drawn. It is the day's and the axes' own, for the same
    reason; days in a row have numbers in a row."""


def shots_of(campaign: Campaign, source: Marks, *, today: dt.date) -> tuple[Shot, ...]:
    """Return the campaign's shots: by product, then day, then the other axes by name.

    Args:
        campaign: with its seed drawn.
        source: the places of its values.
        today: in the calendar's timezone.

    Raises:
        BadPlan: where an axis is left with no value, or a day is too far away to know festivals.
    """
    calendar = campaign.calendar
    first = first_day(calendar, today)
    try:
        day_facts(first, calendar.locale)  # no year so late that days cannot be added
        values = axes(campaign, first)
        dates = [dt.date.fromisoformat(str(day)) for day in values["day"]]
        days = [day_facts(date, calendar.locale) for date in dates]
    except BadInput as error:
        raise BadPlan(f"{source.where(('matrix',))}: {error}") from None
    products = {product.id: product for product in campaign.products}
    others = sorted(values.keys() - {"product", "day"})
    cells = [
        dict(zip(others, cell, strict=True))
        for cell in itertools.product(*(values[axis] for axis in others))
    ]
    return tuple(
        _shot(products[str(product)], day, cell, campaign.seed)
        for product in values["product"]
        for day in days
        for cell in cells
    )


def first_day(calendar: Calendar, today: dt.date) -> dt.date:
    """Return the calendar's first day; `next-monday` is the first Monday after today."""
    if calendar.start == "today":
        return today
    if calendar.start == "next-monday":
        return today + dt.timedelta(days=7 - today.weekday())
    return calendar.start


def _shot(product: Product, day: Day, cell: Mapping[str, AxisValue], seed: int | None) -> Shot:
    name = "/".join([product.id, day.iso, *map(spelled, cell.values())])
    return Shot(
        id=name,
        product=product,
        day=day,
        axes={"product": product.id, "day": day.iso, **cell},
        seed=_hash(f"{seed}\n{name}"),
        rank=day.date.toordinal() + _offset(cell),
    )


def _offset(cell: Mapping[str, AxisValue]) -> int:
    if not cell:
        return 0
    named = "\n".join(f"{axis}={spelled(value)}" for axis, value in cell.items())
    return AXIS_STRIDE * _hash(named)


def _hash(text: str) -> int:
    """Return 48 bits of SHA-256: JSON readers that know only doubles hold them exactly."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:6], "big")
