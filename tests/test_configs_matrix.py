"""The axes of a campaign, and the words a day is called by."""

from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from configs.campaign import Campaign
from configs.errors import BadPlan
from configs.matrix import DAY_WORDS, axes, holds, is_day, meaning, spelled

MONDAY = dt.date(2026, 3, 2)


def campaign(matrix, days=7):
    """Return a campaign of two products."""
    return Campaign.model_validate(
        {
            "name": "c",
            "brand": {"name": "B"},
            "calendar": {"days": days},
            "products": [{"id": "one", "name": "1"}, {"id": "two", "name": "2"}],
            "deliveries": ["douyin"],
            "matrix": matrix,
        }
    )


class TestAxes:
    """The values of each axis."""

    def test_all_is_every_product_and_every_day(self):
        """And so is an axis left out."""
        found = axes(campaign({"product": "all"}), MONDAY)
        assert found["product"] == ("one", "two")
        assert found["day"][0] == "2026-03-02"
        assert len(found["day"]) == 7

    def test_weekdays_and_dates_pick_days_of_the_calendar(self):
        """In the calendar's order, each once."""
        found = axes(
            campaign({"day": ["周五", "mon", "2026-03-04", "monday", "2027-01-01"]}), MONDAY
        )
        assert found["day"] == ("2026-03-02", "2026-03-04", "2026-03-06")

    def test_a_weekday_comes_each_week(self):
        """Two weeks have two Fridays."""
        assert len(axes(campaign({"day": ["fri"]}, days=14), MONDAY)["day"]) == 2

    def test_other_axes_keep_their_values(self):
        """Words, numbers and truth values."""
        found = axes(campaign({"mood": ["warm", 2, True]}), MONDAY)
        assert found["mood"] == ("warm", 2, True)

    @pytest.mark.parametrize(
        ("matrix", "axis"),
        [({"day": ["sun"]}, "day"), ({"mood": []}, "mood"), ({"product": []}, "product")],
    )
    def test_an_axis_left_empty_is_named(self, matrix, axis):
        """There would be no shots."""
        with pytest.raises(BadPlan, match=rf"matrix\.{axis}: no value is left"):
            axes(campaign(matrix, days=3), MONDAY)

    def test_more_shots_than_a_plan_holds(self):
        """Told before they are unrolled."""
        with pytest.raises(BadPlan, match="140,000 shots; a campaign has 100,000 at most"):
            axes(campaign({"take": list(range(10_000))}), MONDAY)


class TestDays:
    """The words of a day."""

    @pytest.mark.parametrize("word", ["Mon", "monday", "周一", "星期一", "2026-03-02"])
    def test_all_words_of_one_day(self, word):
        """English short and long, Chinese both ways, the date."""
        assert is_day(word)
        assert holds("day", meaning("day", [word]), MONDAY)

    @pytest.mark.parametrize("word", ["moon", "周八", 1, True, "2026-02-30", "", "20260302T"])
    def test_what_is_no_day(self, word):
        """Numbers are not weekdays."""
        assert not is_day(word)

    @given(st.dates())
    def test_each_date_is_held_by_its_own_weekday_only(self, date):
        """In every year."""
        words = [word for word in DAY_WORDS if holds("day", meaning("day", [word]), date)]
        assert {DAY_WORDS[word] for word in words} == {date.weekday()}

    def test_values_are_spelled_as_in_yaml(self):
        """Truth values in lower case."""
        assert [spelled(v) for v in (True, 2, 0.5, "A")] == ["true", "2", "0.5", "A"]
