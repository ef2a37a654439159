"""A budget of GPU minutes: refused before anything is spent, with what to cut."""

from __future__ import annotations

import re

import pytest

from configs.errors import BadPlan
from flows.budget import check_budget
from tests.campaigns import home_with, keyreel
from tests.plan_data import Desk, after


@pytest.fixture(scope="module")
def desk(tmp_path_factory):
    from configs.home import Home

    return Desk(Home(tmp_path_factory.mktemp("budget") / "home"))


def budgeted(minutes: float):
    return lambda brief: brief.update(budget={"gpu_minutes": minutes})


def test_a_plan_within_its_budget_is_let_through(desk):
    """What is estimated may be spent to the last second."""
    minutes = desk.plan().gpu_seconds / 60
    resolved = desk.resolve(budgeted(minutes))
    plan = desk.plan(budgeted(minutes))
    assert plan.campaign.budget.gpu_minutes == minutes
    check_budget(plan, resolved.loaded.source)


def test_a_dearer_plan_is_refused_with_what_to_cut(desk):
    """File and line, the estimate, the dearest stage and how many shots would fit."""
    minutes = desk.plan().gpu_seconds / 60
    resolved = desk.resolve(budgeted(minutes * 0.6))
    plan = desk.plan(budgeted(minutes * 0.6))
    with pytest.raises(BadPlan) as refused:
        check_budget(plan, resolved.loaded.source)
    said = str(refused.value)
    assert re.match(r".*demo\.yaml:\d+: budget\.gpu_minutes: about [\d.]+ GPU minutes", said)
    assert "animate takes" in said
    assert "2 of 4 shots fit" in said


def test_what_is_made_costs_nothing(desk):
    """A finished week runs again under any budget."""
    resolved = desk.resolve(budgeted(0.01))
    plan = after(desk.plan(), resolved)
    check_budget(plan, resolved.loaded.source)
    assert plan.gpu_seconds == 0


@pytest.mark.slow
def test_a_run_over_budget_makes_nothing(tmp_path):
    """`keyreel plan` shows the table and refuses; `keyreel run` refuses before a server starts."""
    home = home_with(tmp_path / "home", budget={"gpu_minutes": 0.001})
    planned, ran = keyreel(home, "plan", "stills"), keyreel(home, "run", "stills")
    assert "keyframe" in planned.stdout
    for said in (planned, ran):
        assert said.returncode == 2
        assert "budget.gpu_minutes" in said.stderr
    assert not home.store.exists()
    assert not home.cache.joinpath("prefect").exists()
