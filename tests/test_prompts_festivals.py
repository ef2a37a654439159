from __future__ import annotations

import datetime as dt
import re

import holidays
import pytest
from pydantic import ValidationError

from configs.colour import natural
from configs.errors import BadInput
from configs.festivals import When, all_festivals, day_facts
from configs.phrases import phrases
from tests.seconds import least_seconds

# Days as calendars print them.
KNOWN = """
2020-01-25 zh_CN spring-festival
2020-06-25 zh_CN dragon-boat
2021-09-21 zh_CN mid-autumn
2022-01-31 zh_CN new-years-eve-lunar
2023-01-22 zh_CN spring-festival
2023-02-05 zh_CN lantern-festival
2023-04-05 zh_CN qingming
2023-06-22 zh_CN dragon-boat
2023-08-22 zh_CN qixi
2023-10-23 zh_CN double-ninth
2024-01-18 zh_CN laba
2024-02-02 zh_CN little-new-year
2024-02-09 zh_CN new-years-eve-lunar
2024-02-10 zh_CN spring-festival
2024-04-04 zh_CN qingming
2024-08-10 zh_CN qixi
2024-12-21 zh_CN winter-solstice
2025-01-07 zh_CN laba
2025-01-28 zh_CN new-years-eve-lunar
2025-01-29 zh_CN spring-festival
2025-05-31 zh_CN dragon-boat
2025-08-29 zh_CN qixi
2025-10-06 zh_CN mid-autumn
2025-10-29 zh_CN double-ninth
2026-02-17 zh_CN spring-festival
2026-02-23 zh_CN spring-festival
2026-03-03 zh_CN lantern-festival
2026-09-25 zh_CN mid-autumn
2026-11-11 zh_CN double-eleven
2027-02-06 zh_CN spring-festival
2028-01-26 zh_CN spring-festival
2026-03-08 zh_CN women-day
2026-05-20 zh_CN five-twenty
2026-06-01 zh_CN childrens-day
2026-06-18 zh_CN june-18
2026-09-10 zh_CN teachers-day
2026-10-07 zh_CN national-day
2026-12-12 zh_CN double-twelve
2026-12-25 zh_CN christmas
2024-03-31 en_US easter
2025-04-20 en_US easter
2026-04-05 en_US easter
2024-05-12 en_US mothers-day
2024-03-10 en_GB mothering-sunday
2026-06-21 en_US fathers-day
2025-11-27 en_US thanksgiving
2025-10-13 en_CA thanksgiving-canada
2025-11-28 en_US black-friday
2025-12-01 en_US cyber-monday
2026-07-04 en_US independence-day
2026-10-31 en_US halloween
2026-12-26 en_GB boxing-day
2026-12-31 en_US new-years-eve
"""


def date(text: str) -> dt.date:
    return dt.date.fromisoformat(text)


@pytest.mark.parametrize("row", KNOWN.strip().splitlines())
def test_festivals_fall_on_the_days_that_calendars_print(row: str):
    """Lunar, solar-term, nth-weekday, Easter and fixed ones, in several years."""
    day, locale, wanted = row.split()
    festival = day_facts(date(day), locale).festival
    assert festival is not None
    assert festival.id == wanted


@pytest.mark.parametrize("year", range(2008, 2040))
def test_public_days_agree_with_an_independent_calendar(year: int):
    """The library `holidays` keeps its own tables; ours come from others."""
    ours = {
        "农历除夕": "new-years-eve-lunar",
        "清明节": "qingming",
        "端午节": "dragon-boat",
        "中秋节": "mid-autumn",
        "Easter Sunday": "easter",
        "Mother's Day": "mothers-day",
        "Father's Day": "fathers-day",
        "Thanksgiving Day": "thanksgiving",
    }
    chinese = holidays.country_holidays("CN", years=year, language="zh_CN")
    american = holidays.country_holidays(
        "US", years=year, language="en_US", categories=("public", "unofficial")
    )
    compared = set()
    for calendar in (chinese, american):
        for day, names in calendar.items():
            for name in set(re.split(r"[；;] ?", names)) & ours.keys():
                festival = next(one for one in all_festivals() if one.id == ours[name])
                assert day == festival.start(year)
                compared.add(name)
    assert compared >= set(ours) - {"农历除夕"}  # a public day in some years only


def test_a_day_says_its_weekday_and_season_in_both_languages():
    """Monday 2 March 2026 is a spring weekday."""
    day = day_facts(date("2026-03-02"), "zh_CN")
    assert (day.iso, day.weekday, day.name.zh, day.name.en) == (
        "2026-03-02",
        "mon",
        "周一",
        "Monday",
    )
    assert (day.is_weekend, day.season, day.season_name.zh, day.festival) == (
        False,
        "spring",
        "春季",
        None,
    )
    assert day_facts(date("2026-03-07"), "zh_CN").is_weekend


def test_seasons_turn_round_south_of_the_equator():
    """July is winter in Sydney."""
    assert day_facts(date("2026-07-01"), "en_AU").season == "winter"
    assert day_facts(date("2026-07-01"), "en_US").season == "summer"
    assert day_facts(date("2026-01-15"), "zh_CN").season == "winter"


def test_a_one_day_festival_shows_within_a_longer_one():
    """Mid-Autumn of 2025 fell into the National Day week."""
    assert day_facts(date("2025-10-05"), "zh_CN").festival.id == "national-day"
    assert day_facts(date("2025-10-06"), "zh_CN").festival.id == "mid-autumn"


def test_people_keep_the_festivals_of_their_own_place():
    """Double Eleven is no festival in the US, Thanksgiving none in Britain."""
    assert day_facts(date("2026-11-11"), "en_US").festival is None
    assert day_facts(date("2025-11-27"), "en_GB").festival is None
    assert day_facts(date("2026-10-01"), "zh_TW").festival is None


def test_lunar_months_end_with_their_table():
    """Outside 1901 to 2099 the answer is one sentence."""
    assert day_facts(date("1901-02-19"), "zh_CN").festival.id == "spring-festival"
    assert day_facts(date("2099-12-25"), "zh_CN").festival.id == "christmas"
    with pytest.raises(BadInput, match="1901 to 2099"):
        day_facts(date("2100-01-01"), "zh_CN")


def test_ten_thousand_days_take_no_time():
    """Looked up in under 50 ms of CPU, as a plan of 10,000 shots needs."""
    days = [date("2026-01-01") + dt.timedelta(days=n % 366) for n in range(10_000)]
    day_facts(days[0], "zh_CN")
    assert least_seconds(lambda: [day_facts(day, "zh_CN") for day in days]) < 0.05


@pytest.mark.parametrize("festival", all_festivals(), ids=lambda one: one.id)
def test_every_festival_reads_in_both_languages_and_has_known_words(festival):
    """Names, props and tone in Chinese and English; a palette; a backdrop that templates know."""
    for words in (festival.name, festival.props, festival.tone):
        assert words.zh
        assert words.en
        assert words.en.isascii()
    assert all(natural(value) for value in festival.palette)
    assert festival.palette
    assert festival.words["backdrop"] in phrases().backdrop
    assert "props" in festival.words


def test_a_festival_falls_in_one_way_only():
    """Two forms, or none, are refused."""
    for wrong in ({}, {"date": (1, 1), "easter": 0}):
        with pytest.raises(ValidationError, match="exactly one"):
            When.model_validate(wrong)
