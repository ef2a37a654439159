"""The matrix becomes shots: which, in which order, with which seeds."""

from __future__ import annotations

import datetime as dt

import pytest

from configs.campaign import Calendar, Campaign
from configs.errors import BadField, BadPlan
from configs.fill import load
from flows.shots import first_day, shots_of

BRIEF = """
name: week
seed: {seed}
brand: {{name: L}}
calendar: {{start: {start}, days: {days}}}
products:
  - {{id: a, name: A}}
  - {{id: b, name: B}}
matrix: {matrix}
deliveries: [douyin]
"""
TODAY = dt.date(2026, 3, 4)  # a Wednesday


@pytest.fixture
def shots(tmp_path):
    def made(matrix="{}", start="2026-03-02", days=7, seed=1):
        path = tmp_path / "week.yaml"
        path.write_text(BRIEF.format(matrix=matrix, start=start, days=days, seed=seed), "utf-8")
        campaign, marks = load(path, Campaign)
        return shots_of(campaign, marks, today=TODAY)

    return made


def ids(shots):
    return [shot.id for shot in shots]


def test_every_product_and_day(shots):
    """Without a matrix there is a shot for each product and day."""
    assert ids(shots(days=2)) == ["a/2026-03-02", "a/2026-03-03", "b/2026-03-02", "b/2026-03-03"]


def test_weekdays_and_dates(shots):
    """Days are named by weekday or date, in any order and language; shots come by date."""
    assert ids(shots("{product: [a], day: [fri, 2026-03-03, 周一]}")) == [
        "a/2026-03-02",
        "a/2026-03-03",
        "a/2026-03-06",
    ]


def test_other_axes_are_part_of_the_id(shots):
    """Free axes multiply the shots, in the order of the axes' names, whatever the file's order."""
    one = shots("{size: [s, l], product: [a], day: [mon], bold: [true]}")
    assert ids(one) == ["a/2026-03-02/true/s", "a/2026-03-02/true/l"]
    assert one[0].axes == {"product": "a", "day": "2026-03-02", "bold": True, "size": "s"}


def test_a_seed_is_the_campaigns_and_the_ids_alone(shots):
    """A shot keeps its seed when others come and go; another campaign seed changes all."""
    few = {shot.id: shot.seed for shot in shots("{day: [mon, fri]}")}
    many = {shot.id: shot.seed for shot in shots()}
    other = {shot.id: shot.seed for shot in shots(seed=0)}
    assert few.items() < many.items()
    assert len({*many.values(), *other.values()}) == 28
    assert max(many.values()) < 2**53


def test_ranks_are_the_days_own(shots):
    """Days in a row have ranks in a row, and a value of another axis has ranks far from them."""
    days = [shot.rank for shot in shots("{product: [a]}")]
    assert days == list(range(days[0], days[0] + 7))
    sized = {shot.rank for shot in shots("{product: [a], size: [s, m, l]}")}
    assert len(sized) == 21


@pytest.mark.parametrize(
    ("start", "first"),
    [
        ("today", "2026-03-04"),
        ("next-monday", "2026-03-09"),
        (dt.date(2025, 1, 1), "2025-01-01"),
    ],
)
def test_the_first_day(start, first):
    """A calendar starts today, on the Monday after today, or on a date."""
    assert first_day(Calendar(start=start), TODAY).isoformat() == first


def test_next_monday_is_never_today():
    """On a Monday the next one is a week away."""
    assert first_day(Calendar(), dt.date(2026, 3, 2)).isoformat() == "2026-03-09"


def test_a_day_brings_its_facts(shots):
    """Each shot knows its weekday and festival."""
    days = {shot.day.iso: shot.day for shot in shots("{product: [a]}")}
    assert days["2026-03-03"].festival.id == "lantern-festival"
    assert days["2026-03-04"].weekday == "wed"


def test_an_empty_matrix_is_one_error(shots):
    """A matrix whose days fall outside the calendar names file, line and span."""
    with pytest.raises(BadPlan, match=r"week\.yaml:9: matrix\.day: no value is left .* 3 days"):
        shots("{day: [sun]}", days=3)


@pytest.mark.parametrize("start", ["9999-12-30", "2099-12-30", "0001-01-01"])
def test_a_day_out_of_range_is_one_error(shots, start):
    """Days whose festivals nobody has computed are refused with the last or first that is known."""
    with pytest.raises(BadField, match=r"week\.yaml:\d+:\d+: calendar\.start: .*(2098|1901)"):
        shots(start=start)
