"""What a campaign must hold beyond its form: the names it uses exist, its axes have values.

Gathers all that is wrong, each at its own line.
"""

from __future__ import annotations

import datetime as dt
import re
import zoneinfo
from collections.abc import Iterable, Iterator, Set

from configs.campaign import AxisValue, Campaign
from configs.errors import BadField, BadInput, BadPlan
from configs.layers import KINDS, Reader, kinds
from configs.library import Library
from configs.marks import Marks, Place
from configs.matrix import DAY_WORDS, axes, is_day, spelled
from configs.wording import nearest, short, unknown

_AXIS = re.compile(r"[a-z][a-z0-9_]{0,31}$")
_VALUE = re.compile(r'[^\s./\\:*?"<>|\x00-\x1f\x7f][^/\\:*?"<>|\x00-\x1f\x7f]{0,63}$')
"""An axis value is a part of the shot's id, and that names folders."""


def check(campaign: Campaign, marks: Marks, library: Library) -> list[BadField]:
    """Return all that is wrong with a well-formed campaign."""
    errors = [*_names(campaign, marks, library), *_matrix(campaign, marks)]
    reader = Reader({name: name for name in KINDS}, library)
    try:
        reader.stages = kinds(library.pipeline(campaign.pipeline)[0])
    except BadField as error:
        errors.append(error)
    except BadInput as error:
        errors.append(marks.bad(("pipeline",), str(error)))
    reader.campaign(marks, len(campaign.overrides))
    return errors + reader.errors + list(_overrides(campaign, marks))


def _names(campaign: Campaign, marks: Marks, library: Library) -> Iterator[BadField]:
    profiles = ["auto", *library.profiles]
    if campaign.profile not in profiles:
        yield marks.bad(("profile",), unknown("profile", campaign.profile, profiles))
    for index, name in enumerate(campaign.deliveries):
        if name not in library.deliveries:
            message = unknown("delivery", name, library.deliveries)
            yield marks.bad(("deliveries", index), message)
    yield from _twice(campaign.deliveries, marks, ("deliveries",))
    ids = [product.id for product in campaign.products]
    yield from _twice(ids, marks, ("products",), "id")
    try:
        zoneinfo.ZoneInfo(campaign.calendar.timezone)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        zone = campaign.calendar.timezone
        hint = nearest(zone, zoneinfo.available_timezones()) or "; write one like Asia/Shanghai"
        yield marks.bad(("calendar", "timezone"), f"no time zone {short(zone)}{hint}")


def _matrix(campaign: Campaign, marks: Marks) -> Iterator[BadField]:
    products = {product.id for product in campaign.products}
    for axis, values in campaign.matrix.items():
        place = ("matrix", axis)
        if not _AXIS.match(axis):
            message = "name an axis with lower-case letters, digits and `_`"
            yield marks.bad(place, message, key=True)
        if values == "all":
            if axis not in ("product", "day"):
                yield marks.bad(place, "`all` is for product and day; list this axis's values")
        elif not values:
            yield marks.bad(place, f"the axis {axis} has no values, so there would be no shots")
        else:
            spot = marks.spot(place)
            words = [spelled(value) for value in values]
            yield from _twice(words, marks, place)
            for index, value in enumerate(values):
                problem = _axis_value(products, axis, value)
                if problem:
                    yield marks.bad((*place, index) if index in spot.parts else place, problem)
    if isinstance(campaign.calendar.start, dt.date):
        try:
            axes(campaign, campaign.calendar.start)
        except BadPlan as error:
            yield marks.bad(("matrix", "day"), str(error))


def _axis_value(products: Set[str], axis: str, value: AxisValue) -> str:
    """Return what is wrong with one value of one axis, or nothing."""
    if axis == "product":
        return "" if value in products else unknown("product", value, products)
    if axis == "day":
        return "" if is_day(value) else unknown("day", value, DAY_WORDS) + ", or a date, 2026-03-02"
    if not _VALUE.match(spelled(value)):
        return f'{short(value)} cannot name a folder; write words without / \\ : * ? " < > |'
    return ""


def _overrides(campaign: Campaign, marks: Marks) -> Iterator[BadField]:
    products = {product.id for product in campaign.products}
    matrix = {"product": "all", "day": "all", **campaign.matrix}
    for index, override in enumerate(campaign.overrides):
        for axis, words in override.match.items():
            place = ("overrides", index, "match", axis)
            values = matrix.get(axis)
            if values is None:
                yield marks.bad(place, unknown("axis", axis, matrix), key=True)
                continue
            for word in words if isinstance(words, tuple) else (words,):
                problem = _axis_value(products, axis, word)
                if axis not in ("product", "day") and spelled(word) not in map(spelled, values):
                    problem = unknown(f"value of {axis}", word, map(spelled, values))
                if problem:
                    yield marks.bad(place, problem)


def _twice(words: Iterable[object], marks: Marks, at: Place, field: str = "") -> Iterator[BadField]:
    seen: dict[object, int] = {}
    for index, word in enumerate(words):
        first = seen.setdefault(word, index)
        if first != index:
            line = marks.at((*at, first))[0]
            place = (*at, index, field) if field else (*at, index)
            yield marks.bad(place, f"{short(word)} stands on line {line} already")
