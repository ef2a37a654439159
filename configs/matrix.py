"""The axes of a campaign's matrix, and the words a day is called by."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Iterable, Set

from configs.campaign import AxisValue, Campaign
from configs.errors import BadPlan

MOST_SHOTS = 100_000
"""Ten times what planning is measured with, and held to 1 GB, in benchmarks/."""

_NAMES = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
WEEKDAYS = tuple(name[:3] for name in _NAMES)
DAY_WORDS: dict[str, int] = {
    **{word: number for number, word in enumerate(WEEKDAYS)},
    **{word: number for number, word in enumerate(_NAMES)},
    **{f"{week}{day}": n for week in ("周", "星期") for n, day in enumerate("一二三四五六日")},
    "周天": 6,
    "星期天": 6,
}
"""Every word for a weekday; Monday is 0."""


def is_day(word: object) -> bool:
    """Return whether `word` is a weekday's name or an ISO date."""
    return _day(word) is not None


def spelled(value: object) -> str:
    """Return an axis value as it is spelled in YAML and in a shot's id."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def meaning(axis: str, words: Iterable[object]) -> frozenset[object]:
    """Return what the words of an axis stand for; `holds` asks whether a value is among it."""
    return frozenset(map(_day if axis == "day" else spelled, words))


def holds(axis: str, meant: Set[object], value: object) -> bool:
    """Return whether `meant` holds a value of an axis; a date is also held as its weekday."""
    if axis != "day":
        return spelled(value) in meant
    day = _day(value)
    return day in meant or (isinstance(day, dt.date) and day.weekday() in meant)


def days(campaign: Campaign, start: dt.date) -> tuple[str, ...]:
    """Return the ISO dates of the calendar, from `start`, that the matrix asks for."""
    dates = [start + dt.timedelta(days=number) for number in range(campaign.calendar.days)]
    words = campaign.matrix.get("day", "all")
    meant = meaning("day", WEEKDAYS if words == "all" else words)
    return tuple(date.isoformat() for date in dates if holds("day", meant, date))


def axes(campaign: Campaign, start: dt.date) -> dict[str, tuple[AxisValue, ...]]:
    """Return every axis with its values: `product` ids, `day` as ISO dates from `start`, others.

    Raises:
        BadPlan: naming an axis that is left with no values; where there are too many shots.
    """
    products = tuple(product.id for product in campaign.products)
    listed = {axis: v for axis, v in campaign.matrix.items() if not isinstance(v, str)}
    made = {"product": products, **listed, "day": days(campaign, start)}
    for axis, values in made.items():
        if not values:
            raise BadPlan(
                f"matrix.{axis}: no value is left of {campaign.matrix.get(axis)!r}; "
                f"the calendar runs {campaign.calendar.days} days from {start}"
            )
    shots = math.prod(map(len, made.values()))
    if shots > MOST_SHOTS:
        raise BadPlan(f"matrix: {shots:,} shots; a campaign has {MOST_SHOTS:,} at most, split it")
    return made


def _day(word: object) -> dt.date | int | None:
    """Return a date, or the number of a weekday, or None."""
    if isinstance(word, dt.date):
        return word
    try:
        return dt.date.fromisoformat(str(word))
    except ValueError:
        return DAY_WORDS.get(str(word).lower())
