"""A campaign that waits for its keyframes to be approved, drawn with the shipped model."""

from __future__ import annotations

import pytest

from catalogs.reviews import next_seed
from catalogs.runs import latest_run
from catalogs.store import Store
from configs.home import Home
from flows.approval import awaiting, judge, keyframes, settled
from flows.mend import catch_up, prepare_whole
from flows.package import package
from tests.campaigns import keyreel, run_plainly
from tests.fault_home import new_home

pytestmark = [pytest.mark.slow, pytest.mark.timeout(200)]


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Home:
    """A home whose campaign of two drawn shots and an own photo was run once."""
    made = new_home(tmp_path_factory.mktemp("approve") / "home", approve="keyframes")
    assert run_plainly(made).state == "waiting"
    return made


def delivered(home: Home) -> set[str]:
    return {path.parent.name for path in home.deliveries.rglob("*.jpeg")}


def test_only_keyframes_are_made_at_first(home):
    """Own photos need nobody's approval; of drawn shots there is a keyframe, and why no more."""
    assert delivered(home) == {"mug-01"}
    assert [one.shot for one in awaiting(home)] == ["rouge-01/2026-03-02", "mug-02/2026-03-02"]
    gaps = package(home, "stills").gaps
    assert {gap.reason for gap in gaps} == {
        "rouge-01/2026-03-02 keyframe portrait waits for approval",
        "mug-02/2026-03-02 keyframe portrait waits for approval",
    }


def test_a_run_with_nothing_accepted_makes_nothing(home):
    """Run again before anyone has looked: no node, no server, and the same two pictures wait."""
    before = Store(home.store).held()
    said = keyreel(home, "run", "stills")
    assert said.returncode == 0
    assert "Nothing to make until more keyframes are accepted" in said.stdout
    assert "approve stills --accept all" in said.stdout
    assert Store(home.store).held() == before
    assert not (home.cache / "prefect").exists()


def test_accepted_shots_are_finished_and_others_drawn_anew(home):
    """One accepted, one asked for with another seed: one delivery, one new keyframe to judge."""
    first, second = awaiting(home)
    judge(home, first.key, "approved", by="li")
    judge(home, second.key, "reseeded", by="li")
    assert run_plainly(home).state == "waiting"
    assert delivered(home) == {"mug-01", "rouge-01"}
    (again,) = awaiting(home)
    assert again.shot == second.shot
    old, new = (Store(home.store).record(one.key).recipe["params"] for one in (second, again))
    assert new == {**old, "seed": next_seed(old["seed"])}
    assert again.path.read_bytes() != second.path.read_bytes()
    accepted = next(one for one in keyframes(home) if one.shot == first.shot)
    assert (accepted.key, accepted.review.reviewer) == (first.key, "li")


def test_a_rejected_shot_ends_the_waiting(home):
    """All judged: the run is done, the shot is left out, and the package says who said why."""
    (left,) = awaiting(home)
    judge(home, left.key, "rejected", "the handle is doubled", "li")
    (resolved, plan), _ = prepare_whole(home, "stills")
    assert not plan.work()
    assert catch_up(home, resolved, plan)
    assert latest_run(home.runs, "stills").state == "done"
    (gap,) = package(home, "stills").gaps
    assert gap.reason.endswith("portrait was rejected by li: the handle is doubled")
    assert catch_up(home, resolved, plan) is False
    judge(home, left.key, "approved", by="li")
    assert run_plainly(home).state == "done"
    assert delivered(home) == {"mug-01", "rouge-01", "mug-02"}
    assert latest_run(home.runs, "stills").state == "done"


def test_approval_settles_days(home):
    """A run that goes on after midnight draws the shots that were judged, and no new ones."""
    import datetime as dt

    import yaml

    path = home.campaigns / "stills.yaml"
    brief = yaml.safe_load(path.read_text("utf-8"))
    brief = {**brief, "calendar": {"start": "next-monday"}}
    del brief["seed"]
    (home.campaigns / "weekly.yaml").write_text(yaml.safe_dump(brief | {"name": "weekly"}), "utf-8")
    sunday = dt.datetime(2026, 3, 1, 15, 59, tzinfo=dt.UTC)  # 23:59 in Shanghai
    start = settled(home, "weekly", None, sunday)
    assert start == dt.date(2026, 3, 2)
    assert settled(home, "weekly", None, sunday + dt.timedelta(minutes=1)) == dt.date(2026, 3, 9)
    assert settled(home, "weekly", start, sunday) == start
