"""`keyreel run`: starts the campaign flow from a terminal, quietly, with a progress bar.

Where nothing is to be done, Prefect is not even imported.
"""

from __future__ import annotations

import datetime as dt
import os
import secrets

from catalogs.record import Run
from catalogs.runs import read_run
from configs.errors import Interrupted
from configs.home import Home
from flows import screen
from flows.plan import Prepared, prepare
from flows.progress import Watch, watching

QUIET = {
    "DO_NOT_TRACK": "1",  # with the next line: no outbound call at all
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "120",  # 20 s was exceeded when busy
    "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "CRITICAL",  # the server still gets every line
    "PREFECT_CLI_PROMPT": "false",
}


def run(
    home: Home, campaign: str, start: dt.date | None, profile: str | None, seed: int | None
) -> int:
    """Run a campaign, showing what a person wants to see; return the exit code."""
    drawn = secrets.token_hex(8)
    prepared = prepare(home, campaign, start=start, profile=profile, seed=seed, draw=drawn)
    if not prepared.plan.work:
        screen.nothing_to_do(prepared)
        return 0
    screen.announce(prepared)
    return _through_prefect(prepared, campaign, start, profile)


def _through_prefect(
    prepared: Prepared, campaign: str, start: dt.date | None, profile: str | None
) -> int:
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    from flows.campaign import campaign as flow
    from flows.server import quiet_end

    home, watch = prepared.home, Watch()
    with quiet_end(), watching(watch), screen.progress(watch):
        state = flow(
            campaign,
            home=str(home.root),
            start=start,
            profile=profile,
            seed=prepared.seed,
            return_state=True,
        )
        result = state.result(raise_on_failure=False)
    if isinstance(result, Interrupted):
        screen.interrupted(watch)
        return Interrupted.exit_code
    if isinstance(result, BaseException):
        raise result
    return _report(home, read_run(home.runs, str(result)))


def _report(home: Home, run: Run) -> int:
    screen.finished(home, run)
    return 0 if run.state == "done" else 1
