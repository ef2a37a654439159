"""`keyreel run`: starts the campaign flow from a terminal, quietly, with a progress bar.

Where nothing is to be done, Prefect is not even imported.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping

from catalogs.record import Run
from catalogs.runs import read_run
from configs.errors import Interrupted
from configs.home import Home
from flows import screen
from flows.approval import awaiting, keyframes, settled
from flows.mend import catch_up, prepare_whole
from flows.plan import Plan
from flows.progress import Totals, watching
from flows.server import server


def run(
    home: Home, campaign: str, start: dt.date | None, profile: str | None, seed: int | None
) -> int:
    """Run a campaign, showing what a person wants to see; return the exit code."""
    start = settled(home, campaign, start, dt.datetime.now(dt.UTC))
    (resolved, plan), lost = prepare_whole(home, campaign, start=start, profile=profile, seed=seed)
    screen.lost(lost)
    screen.say(plan.headline())
    if not plan.work():
        if catch_up(home, resolved, plan):
            screen.say(f"Deliveries, catalog and gallery page are put right in {home.root}.")
        return _nothing_to_make(home, resolved.campaign.name, plan)
    watch = Totals()
    with screen.progress(watch), server(home.cache / "prefect"):
        parameters = {"start": start, "profile": profile, "seed": resolved.facts.seed}
        result = _through_prefect(home, campaign, parameters, watch)
    if isinstance(result, Interrupted):
        screen.interrupted(watch)
        return Interrupted.exit_code
    if isinstance(result, BaseException):
        raise result
    return _report(home, read_run(home.runs, str(result)))


def _through_prefect(
    home: Home, campaign: str, parameters: Mapping[str, object], watch: Totals
) -> object:
    """Return the run's id, or what the flow raised."""
    from flows.campaign import campaign as flow

    with watching(watch):
        state = flow(campaign, home=str(home.root), **parameters, return_state=True)
    return state.result(raise_on_failure=False)


def _nothing_to_make(home: Home, name: str, plan: Plan) -> int:
    waits = set(plan.waits.values())
    if not waits:
        screen.say("Nothing to do: every delivery is made and up to date.")
        return 0
    screen.say("Nothing to make until more keyframes are accepted.")
    screen.judged(home, [one for one in keyframes(home, name) if one.key in waits])
    return 0


def _report(home: Home, run: Run) -> int:
    screen.finished(home, run)
    if found := awaiting(home, run.campaign):
        screen.awaiting(home, found)
    return 1 if run.state == "failed" else 0
