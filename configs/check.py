"""What a campaign must hold beyond its form: the names it uses exist, its axes have values.

Gathers what is wrong, each at its own line.
"""

from __future__ import annotations

import datetime as dt
import re
import zoneinfo
from collections.abc import Collection, Iterable, Iterator, Set
from itertools import islice

from configs.advertising import find
from configs.campaign import AxisValue, Campaign
from configs.errors import BadField, BadInput
from configs.labels import Market
from configs.layers import KINDS, Reader, kinds
from configs.library import Library
from configs.marks import Marks, Place
from configs.matrix import DAY_WORDS, WEEKDAYS, days, holds, is_day, meaning, spelled
from configs.wording import MOST_TOLD, nearest, short, unknown

_AXIS = re.compile(r"[a-z][a-z0-9_]{0,31}$")
_VALUE = re.compile(r'[^\s./\\:*?"<>|\x00-\x1f\x7f][^/\\:*?"<>|\x00-\x1f\x7f]{0,63}(?<![\s.])$')
"""An axis value is a part of the shot's id, and that names folders."""


def check(campaign: Campaign, marks: Marks, library: Library) -> list[BadField]:
    """Return what is wrong with a well-formed campaign."""
    reader = Reader({kind: kind for kind in KINDS}, library)
    errors: list[BadField] = []
    try:
        pipeline = library.pipeline(campaign.pipeline)[0]
        reader.stages, reader.words = kinds(pipeline), pipeline.from_words
    except BadField as error:
        errors.append(error)
    except BadInput as error:
        errors.append(marks.bad(("pipeline",), str(error)))
    reader.campaign(marks, len(campaign.overrides))
    matrix = list(islice(_matrix(campaign, marks), MOST_TOLD))
    matches = [] if matrix else islice(_overrides(campaign, marks), MOST_TOLD)
    names = islice(_names(campaign, marks, library), MOST_TOLD)
    return [*errors, *reader.errors, *names, *matrix, *matches]


def _names(campaign: Campaign, marks: Marks, library: Library) -> Iterator[BadField]:
    profiles = ["auto", *library.profiles]
    if campaign.profile not in profiles:
        yield marks.bad(("profile",), unknown("profile", campaign.profile, profiles))
    called = _called(library)
    for index, name in enumerate(campaign.deliveries):
        if name not in library.deliveries:
            message = unknown("delivery", name, library.deliveries, called)
            yield marks.bad(("deliveries", index), message)
    for name in campaign.publish:
        if name not in campaign.deliveries:
            own = {word: key for word, key in called.items() if key in campaign.deliveries}
            message = unknown("delivery of this campaign", name, campaign.deliveries, own)
            yield marks.bad(("publish", name), message, key=True)
    yield from _twice(campaign.deliveries, marks, ("deliveries",))
    yield from _twice([product.id for product in campaign.products], marks, ("products",), "id")
    yield from _templates(campaign, marks, library)
    yield from _forbidden(campaign, marks, library)
    zone = campaign.calendar.timezone
    try:
        zoneinfo.ZoneInfo(zone)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        hint = nearest(zone, zoneinfo.available_timezones()) or "; write one like Asia/Shanghai"
        yield marks.bad(("calendar", "timezone"), f"no time zone {short(zone)}{hint}")


def _called(library: Library) -> dict[str, str]:
    """Return the id of each delivery by its name in Chinese and English."""
    rows = library.deliveries.items()
    return {name: key for key, row in rows for name in (row.name.zh, row.name.en)}


def _forbidden(campaign: Campaign, marks: Marks, library: Library) -> Iterator[BadField]:
    """Hold names that captions and titles repeat against advertising law."""
    markets = markets_of(campaign, library)
    for place, text, names in _named(campaign):
        for found in find(text, markets=markets, names=names, allowed=campaign.brand.allow):
            if not found.reason:
                yield marks.bad(place, str(found))


def _named(campaign: Campaign) -> Iterator[tuple[Place, str, Collection[str]]]:
    """Yield each name's place, its text, and the names of the products that it is about."""
    products = [(product.name.zh, product.name.en) for product in campaign.products]
    everything = [name for names in products for name in names]
    yield ("brand", "name"), campaign.brand.name, everything
    for index, word in enumerate(campaign.brand.words):
        yield ("brand", "words", index), word, everything
    for index, names in enumerate(products):
        yield ("products", index, "name"), "\n".join(dict.fromkeys(names)), names


def markets_of(campaign: Campaign, library: Library) -> set[Market]:
    """Return where a campaign is seen."""
    known = [library.deliveries[name] for name in campaign.deliveries if name in library.deliveries]
    return {*campaign.brand.markets, *(market for one in known for market in one.markets)}


def _templates(campaign: Campaign, marks: Marks, library: Library) -> Iterator[BadField]:
    written, known = campaign.prompt.template, library.templates()
    place: Place = ("prompt", "template")
    for index, name in enumerate([written] if isinstance(written, str) else written):
        if name not in known:
            at = place if isinstance(written, str) else (*place, index)
            yield marks.bad(at, unknown("prompt template", name, known))
    if not written:
        yield marks.bad(place, "has no templates; name one, or delete the line")


def _matrix(campaign: Campaign, marks: Marks) -> Iterator[BadField]:
    products = {product.id for product in campaign.products}
    for axis, values in campaign.matrix.items():
        place = ("matrix", axis)
        if not _AXIS.match(axis):
            message = "name an axis with lower-case letters, digits and `_`"
            yield marks.bad(place, message, key=True)
        elif isinstance(values, str):
            if axis not in ("product", "day"):
                yield marks.bad(place, "`all` is for product and day; list this axis's values")
        elif not values:
            yield marks.bad(place, f"the axis {axis} has no values, so there would be no shots")
        else:
            yield from _twice([spelled(value) for value in values], marks, place)
            yield from _values(values, marks, place, axis, products)
    start, words = campaign.calendar.start, campaign.matrix.get("day", "all")
    fine = bool(words) and (isinstance(words, str) or all(map(is_day, words)))
    if isinstance(start, dt.date) and fine and not days(campaign, start):
        message = f"none of these is among the {campaign.calendar.days} days from {start}"
        yield marks.bad(("matrix", "day"), message)


def _values(
    values: Iterable[AxisValue], marks: Marks, place: Place, axis: str, products: Set[str]
) -> Iterator[BadField]:
    for index, value in enumerate(values):
        if problem := _value_wrong(value, axis, products):
            yield marks.bad((*place, index), problem)


def _value_wrong(value: AxisValue, axis: str, products: Set[str]) -> str:
    """Return what is wrong with one value of one axis, or nothing."""
    if axis == "product":
        return "" if value in products else unknown("product", value, products)
    if axis == "day":
        wanted = "; write mon to sun, 周一 to 周日, or a date, 2026-03-02"
        near = nearest(value, WEEKDAYS) or nearest(value, DAY_WORDS) or wanted
        return "" if is_day(value) else f"no day {short(value)}{near}"
    if not _VALUE.match(spelled(value)):
        return f'{short(value)} cannot name a folder; leave out / \\ : * ? " < > | and outer dots'
    return ""


def _overrides(campaign: Campaign, marks: Marks) -> Iterator[BadField]:
    products = {product.id for product in campaign.products}
    matrix = _matrix_words(campaign, products)
    meant = {axis: meaning(axis, words) for axis, words in matrix.items()}
    for index, override in enumerate(campaign.overrides):
        for axis, words in override.match.items():
            place: Place = ("overrides", index, "match", axis)
            if axis not in matrix:
                yield marks.bad(place, unknown("axis", axis, matrix), key=True)
                continue
            for number, word in enumerate(words if isinstance(words, tuple) else (words,)):
                problem = _value_wrong(word, axis, products)
                if not problem and not _met(axis, word, matrix[axis], meant[axis]):
                    problem = unknown(f"{axis} of the matrix", word, map(spelled, matrix[axis]))
                if problem:
                    yield marks.bad(
                        (*place, number) if isinstance(words, tuple) else place, problem
                    )


def _met(axis: str, word: object, words: Collection[object], meant: Set[object]) -> bool:
    """Return whether a word of an override means any value that the words of an axis mean."""
    if holds(axis, meant, word):
        return True
    return axis == "day" and any(holds(axis, meaning(axis, [word]), other) for other in words)


def _matrix_words(campaign: Campaign, products: Set[str]) -> dict[str, Collection[AxisValue]]:
    """Return the words of every axis; days as dates where the calendar starts on one."""
    start = campaign.calendar.start
    words: dict[str, Collection[AxisValue]] = {"product": products, "day": WEEKDAYS}
    words |= {axis: v for axis, v in campaign.matrix.items() if not isinstance(v, str)}
    return words | ({"day": days(campaign, start)} if isinstance(start, dt.date) else {})


def _twice(words: Iterable[object], marks: Marks, at: Place, field: str = "") -> Iterator[BadField]:
    seen: dict[object, int] = {}
    for index, word in enumerate(words):
        first = seen.setdefault(word, index)
        if first != index:
            line = marks.at((*at, first))[0]
            place = (*at, index, field) if field else (*at, index)
            yield marks.bad(place, f"{short(word)} stands on line {line} already")
