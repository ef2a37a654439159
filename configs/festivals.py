"""What a day is: weekday, season and festival, in both languages. Knows nothing of campaigns.

Lunar dates and solar terms come from borax, Easter from dateutil; what a festival looks like is
data in festivals.yaml.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Literal, cast

from borax.calendars.lunardate import LunarDate, TermUtils
from dateutil.easter import easter
from pydantic import Field, model_validator

from configs.base import Declaration, Slug, Words
from configs.colour import Hex
from configs.errors import BadInput
from configs.fill import load

Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
Season = Literal["spring", "summer", "autumn", "winter"]

WEEKDAYS: tuple[Weekday, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_WEEKDAY_NAMES = tuple(
    Words(zh=zh, en=en)
    for zh, en in zip(
        ("周一", "周二", "周三", "周四", "周五", "周六", "周日"),
        ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"),
        strict=True,
    )
)
_SEASONS: tuple[Season, ...] = ("spring", "summer", "autumn", "winter")
_SEASON_NAMES: Mapping[Season, Words] = {
    "spring": Words(zh="春季", en="spring"),
    "summer": Words(zh="夏季", en="summer"),
    "autumn": Words(zh="秋季", en="autumn"),
    "winter": Words(zh="冬季", en="winter"),
}
_SOUTHERN = ("AU", "NZ", "ZA", "AR", "CL", "BR", "UY")
_FIRST_YEAR, _LAST_YEAR = 1901, 2099  # what borax's table of lunar months covers in full


class When(Declaration):
    """When a festival falls: exactly one of five forms."""

    date: tuple[int, int] | None = None
    """Month and day."""
    lunar: tuple[int, int] | None = None
    """Month and day of the Chinese calendar; never of a leap month."""
    term: str | None = None
    """One of the 24 solar terms, in Chinese."""
    easter: int | None = None
    """Days from Western Easter Sunday."""
    weekday: tuple[int, int, Weekday] | None = None
    """Month, which one of it, weekday: `[5, 2, sun]` is the second Sunday of May."""

    @model_validator(mode="after")
    def _one_form(self) -> When:
        if len(self.model_fields_set) != 1:
            raise ValueError("write exactly one of date, lunar, term, easter, weekday")
        return self

    def in_year(self, year: int) -> dt.date:
        """Return the day in the Gregorian `year`, or for `lunar` in the lunar year of that number.

        Lunar months 11 and 12 of that year usually fall into the next Gregorian one.
        """
        if self.date is not None:
            return dt.date(year, *self.date)
        if self.lunar is not None:
            return cast("dt.date", LunarDate(year, *self.lunar).to_solar_date())
        if self.term is not None:
            return cast("dt.date", TermUtils.day_start_from_term(year, self.term))
        if self.weekday is not None:
            month, nth, weekday = self.weekday
            first = dt.date(year, month, 1)
            ahead = (WEEKDAYS.index(weekday) - first.weekday()) % 7
            return first + dt.timedelta(days=ahead + 7 * (nth - 1))
        return cast("dt.date", easter(year)) + dt.timedelta(days=self.easter or 0)


class Festival(Declaration):
    """A day that campaigns celebrate, and what it looks like."""

    id: Slug
    name: Words
    falls: When
    shift: int = 0
    """Days from what `falls` says."""
    days: Annotated[int, Field(ge=1, le=15)] = 1
    where: tuple[str, ...] = ()
    """Languages or locales that keep it; empty: all."""
    not_where: tuple[str, ...] = ()
    props: Words
    palette: tuple[Hex, ...] = ()
    tone: Words
    words: Mapping[str, str] = {}
    """The nearest things in a small picture model's vocabulary, by slot."""

    def start(self, year: int) -> dt.date:
        """Return its first day in the Gregorian `year`, or the lunar year of that number."""
        return self.falls.in_year(year) + dt.timedelta(days=self.shift)

    def kept_in(self, locale: str) -> bool:
        """Whether people of `locale`, e.g. `zh_CN`, keep it."""
        names = {locale, locale.split("_")[0]}
        return (not self.where or bool(names & {*self.where})) and not names & {*self.not_where}


class Festivals(Declaration):
    """The file festivals.yaml."""

    festivals: tuple[Festival, ...]


@dataclass(frozen=True, slots=True)
class Day:
    """One day of a calendar."""

    date: dt.date
    iso: str
    weekday: Weekday
    name: Words
    is_weekend: bool
    season: Season
    season_name: Words
    festival: Festival | None


@lru_cache(maxsize=4096)
def day_facts(date: dt.date, locale: str) -> Day:
    """Return what `date` is for the people of `locale`.

    Args:
        date: A day of 1901 to 2099, as far as lunar months are tabulated.
        locale: Language and territory, e.g. `zh_CN` or `en_US`.

    Raises:
        BadInput: for a day outside those years.
    """
    if not _FIRST_YEAR <= date.year <= _LAST_YEAR:
        raise BadInput(f"{date}: festivals are known from {_FIRST_YEAR} to {_LAST_YEAR} only")
    weekday = date.weekday()
    season = _season(date.month, locale)
    return Day(
        date=date,
        iso=date.isoformat(),
        weekday=WEEKDAYS[weekday],
        name=_WEEKDAY_NAMES[weekday],
        is_weekend=weekday >= 5,
        season=season,
        season_name=_SEASON_NAMES[season],
        festival=_festivals_of(date.year, locale).get(date),
    )


def _season(month: int, locale: str) -> Season:
    """Return the meteorological season: spring begins on 1 March in the north."""
    southern = locale.partition("_")[2] in _SOUTHERN
    return _SEASONS[((month - 3) // 3 + (2 if southern else 0)) % 4]


@lru_cache(maxsize=64)
def _festivals_of(year: int, locale: str) -> Mapping[dt.date, Festival]:
    """Return the festival of each day of `year` that has one; the shorter wins, then the first."""
    kept = [festival for festival in all_festivals() if festival.kept_in(locale)]
    found: dict[dt.date, Festival] = {}
    for festival in sorted(kept, key=lambda one: one.days):
        for start in (festival.start(year - 1), festival.start(year)):
            for offset in range(festival.days):
                date = start + dt.timedelta(days=offset)
                if date.year == year:
                    found.setdefault(date, festival)
    return found


@lru_cache(maxsize=1)
def all_festivals() -> tuple[Festival, ...]:
    """Return the festivals of festivals.yaml."""
    return load(Path(__file__).with_name("festivals.yaml"), Festivals)[0].festivals
