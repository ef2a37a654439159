"""The axes of a campaign's matrix, and the words a day is called by."""

from __future__ import annotations

import datetime as dt

from configs.campaign import AxisValue, Campaign
from configs.errors import BadPlan

_WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
DAY_WORDS: dict[str, int] = {
    **{name[:3]: number for number, name in enumerate(_WEEKDAYS)},
    **{name: number for number, name in enumerate(_WEEKDAYS)},
    **{f"{week}{day}": n for week in ("周", "星期") for n, day in enumerate("一二三四五六日")},
    "周天": 6,
    "星期天": 6,
}
"""Every word for a weekday; Monday is 0."""


def is_day(word: object) -> bool:
    """Return whether `word` is a weekday's name or an ISO date."""
    return str(word).lower() in DAY_WORDS or _date(word) is not None


def same_day(word: object, day: object) -> bool:
    """Return whether `word`, a weekday's name or an ISO date, means the ISO date `day`."""
    date = _date(day)
    return date is not None and (
        DAY_WORDS.get(str(word).lower()) == date.weekday() or _date(word) == date
    )


def same(axis: str, word: object, value: object) -> bool:
    """Return whether `word` of an override means `value` of an axis."""
    return same_day(word, value) if axis == "day" else spelled(word) == spelled(value)


def spelled(value: object) -> str:
    """Return an axis value as it is spelled in YAML and in a shot's id."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def axes(campaign: Campaign, start: dt.date) -> dict[str, tuple[AxisValue, ...]]:
    """Return every axis with its values: `product` ids, `day` as ISO dates from `start`, others.

    Raises:
        BadPlan: naming an axis that is left with no values.
    """
    days = [start + dt.timedelta(days=number) for number in range(campaign.calendar.days)]
    everything: dict[str, tuple[AxisValue, ...]] = {
        "product": tuple(product.id for product in campaign.products),
        "day": tuple(day.isoformat() for day in days),
    }
    made: dict[str, tuple[AxisValue, ...]] = {}
    for axis, words in {"product": "all", "day": "all", **campaign.matrix}.items():
        if isinstance(words, str):
            made[axis] = everything.get(axis, ())
        elif axis == "day":
            made[axis] = tuple(d for d in everything[axis] if any(same_day(w, d) for w in words))
        else:
            made[axis] = words
        if not made[axis]:
            raise BadPlan(
                f"matrix.{axis}: no value is left of {campaign.matrix.get(axis)!r}: the calendar "
                f"runs {campaign.calendar.days} days from {start}"
            )
    return made


def _date(word: object) -> dt.date | None:
    try:
        return dt.date.fromisoformat(str(word))
    except ValueError:
        return None
