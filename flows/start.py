"""`keyreel run`: starts the campaign flow from a terminal, quietly, with a progress bar.

Where nothing is to be done, Prefect is not even imported.
"""

from __future__ import annotations

import datetime as dt
import secrets
from collections.abc import Mapping

from catalogs.record import Run
from catalogs.runs import read_run
from configs.errors import Interrupted
from configs.home import Home
from flows import screen
from flows.mend import catch_up, prepare_whole
from flows.progress import Totals, watching
from flows.server import server


def run(
    home: Home, campaign: str, start: dt.date | None, profile: str | None, seed: int | None
) -> int:
    """Run a campaign, showing what a person wants to see; return the exit code.

    A seed that nobody gave is drawn here, once, and handed to the flow as a parameter.
    """
    draw = secrets.token_hex(8)
    (resolved, plan), lost = prepare_whole(
        home, campaign, start=start, profile=profile, seed=seed, draw=draw
    )
    screen.lost(lost)
    screen.say(plan.headline())
    if not plan.work():
        if catch_up(home, resolved, plan):
            screen.say(f"Deliveries, catalog and gallery page are put right in {home.root}.")
        screen.say("Nothing to do: every delivery is made and up to date.")
        return 0
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


def _report(home: Home, run: Run) -> int:
    screen.finished(home, run)
    return 0 if run.state == "done" else 1
