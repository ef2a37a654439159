"""The campaign flow: a campaign file becomes a week of finished deliveries.

    prepare -> expand -> keyframe -> animate -> watermark -> export -> catalog -> gallery

Says when work starts and what people see of it in Prefect; how a file is made is `tasks/`'s part.
"""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from prefect import flow, get_run_logger, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State, TaskRun
from prefect.futures import PrefectFuture
from prefect.states import Completed
from prefect.task_runners import ThreadPoolTaskRunner
from prefect.tasks import Task
from prefect.utilities.annotations import quote

from catalogs.node import Node
from catalogs.record import Record
from configs.errors import Interrupted, KeyreelError, Passing
from configs.home import Home
from configs.notice import notices
from flows import artifacts, offers, resident
from flows.approval import settled
from flows.approval_form import began, take_answers, wait_for_verdicts
from flows.book import Book
from flows.cancel import cancels, end_cancelled
from flows.execute import Done, Work, execute
from flows.late import tell_delay
from flows.mend import prepare_whole
from flows.notify import TELLING
from flows.plan import Prepared
from flows.progress import Totals, current_watch
from flows.refusal import in_a_state, in_words
from flows.signals import stop_on_signals
from flows.turns import turn
from tasks.stage import Studio
from tasks.stages import STAGES

SLOTS = {"plan": 1, "gpu": 1, "cpu": 2}
"""Works of each lane at once, the GPU's for each resident process. A shot's exports are up to four
one-threaded encoders, 0.6 GB."""

LONGEST = 2 * 3600.0
"""Seconds that one shot's stage may take: far above what any model was measured to need."""

# Prefect's own runner does not fit its own annotation, whose type parameter is invariant.
RUNNER: Any = ThreadPoolTaskRunner[Any](max_workers=sum(SLOTS.values()) + resident.MOST - 1)


@flow(
    name="campaign",
    flow_run_name="{campaign}",
    task_runner=RUNNER,
    persist_result=False,
    validate_parameters=True,
    **TELLING,
)
def campaign(
    campaign: offers.Campaign,
    home: offers.Folder = None,
    start: offers.FirstDay = None,
    profile: offers.Machine = None,
    seed: offers.Chance = None,
) -> State[str] | str:
    """Make every delivery of a campaign that is not made yet.

    Args:
        campaign: Which one to make: a file of the home's folder campaigns.
        home: The folder of the workspace. Empty: the worker's own.
        start: In place of the campaign's own. Empty: as the campaign says.
        profile: Which machine's models. Empty: as the campaign says, or what fits.
        seed: The number that chance starts from, in place of the campaign's own. Empty: that, or
            one drawn from its name, so that the same days are the same work.

    Returns:
        The run's id.
    """
    place = Path(home) if home else None
    return in_words(lambda: make_week(Home.find(place), campaign, start, profile, seed))


def make_week(
    home: Home, name: str, start: dt.date | None, profile: str | None, seed: int | None
) -> State[str] | str:
    """Make a campaign in the flow run this is called in, as `campaign` says."""
    tell_delay(home, name)
    take_answers(home)
    start = settled(home, name, start, began())
    prepared, damaged = prepare_whole(home, name, start=start, profile=profile, seed=seed)
    for said in damaged:
        get_run_logger().warning("made again: %s", said)
    ended = carry_out(home, prepared)
    wait_for_verdicts(home, prepared.plan.campaign.name)
    return ended


def carry_out(home: Home, prepared: Prepared, *, priority: int = 0) -> State[str] | str:
    """Make what a plan says, as task runs of the flow run this is called in; return the run's id.

    Args:
        home: the workspace.
        prepared: the plan.
        priority: in the queue of a resident process; higher goes first.

    Raises:
        Interrupted: where it was told to stop; what was finished is kept.
    """
    notices(home)  # wrong, it is told now and not when all is made
    resolved, plan = prepared
    watch = current_watch()
    with (
        stop_on_signals() as signalled,
        cancels() as cancelled,
        Book.open(home, resolved, plan, watch) as book,
    ):
        for line in (plan.headline(), *plan.notes()):
            get_run_logger().info("%s", line)
        watch.costs = {row.stage: row.seconds / max(row.new + row.stale, 1) for row in plan.rows}

        def stop() -> bool:
            return signalled() or cancelled.is_set()

        studio = book.studio(stop, previews=artifacts.looked_at(), priority=priority)
        with artifacts.live(watch, home):
            outcome = execute(
                book.works,
                starter(studio, book.run.id, watch),
                slots={**SLOTS, "gpu": resident.at_once(home)},
                held=studio.has,
                cancelled=stop,
                idle=book.tick,
            )
        run = book.close(outcome, interrupted=stop())
        artifacts.table(run, book.files, book.store)
    if cancelled.is_set():
        end_cancelled("cancelled; what was finished is kept")
    if run.state == "interrupted":
        raise Interrupted("stopped; what was finished is kept, and the next run goes on from it")
    if run.state == "failed":
        lost = {entry.place.shot for entry in run.entries if entry.state in ("failed", "skipped")}
        words = f"{len(lost)} of {len(run.shots)} shots failed; the others are delivered"
        return Completed(name="PartlyDone", message=words, data=run.id)
    return run.id


def starter(studio: Studio, run_id: str, watch: Totals) -> Callable[[Work, Done], None]:
    """Return what starts one work as a Prefect task run."""

    def start(work: Work, done: Done) -> None:
        # Prefect looks through arguments for futures; a quote keeps it out, and is taken off again.
        future = TASKS[work.kind].submit(  # type: ignore[call-overload]
            f"{work.shot} {work.stage}", quote(work), quote(studio), quote(watch), run_id
        )
        future.add_done_callback(lambda ended: done(work, ending(ended)))

    return start


def ending(future: PrefectFuture[int]) -> BaseException | None:
    """Return what a finished task run raised, if it did; itself it raises nothing."""
    try:
        future.wait()  # keeps the state that the run ended with; `state` alone would ask the server
        return error_of(future.state)
    except Exception as error:
        return error


def error_of(state: State[int]) -> BaseException | None:
    """Return what the state of a task run holds as its error, if it failed."""
    if state.is_completed():
        return None
    result = state.result(raise_on_failure=False)
    return result if isinstance(result, BaseException) else KeyreelError(str(state.message))


def work_on(name: str, work: Work, studio: Studio, watch: Totals, run_id: str) -> State[int] | int:
    """Make the nodes of one shot and stage, in the task run this is called in; return how many.

    What is raised here, Prefect logs with its traceback after the last try.
    """
    return in_a_state(lambda: make_work(work, studio, watch, run_id))


def make_work(work: Work, studio: Studio, watch: Totals, run_id: str) -> int:
    """Make the nodes of one shot and stage; return how many.

    Raises:
        Passing: where it took too long.
        KeyreelError: where it failed, or was cancelled.
    """
    with turn(work.lane, studio):
        end = time.monotonic() + LONGEST
        hurried = replace(studio, cancelled=lambda: studio.cancelled() or time.monotonic() > end)
        try:
            return sum(1 for _ in _made(work, hurried, watch, run_id))
        except Interrupted:
            if studio.cancelled():
                raise
            raise Passing(f"took longer than {LONGEST / 60:.0f} minutes, and was stopped") from None


def _made(work: Work, studio: Studio, watch: Totals, run_id: str) -> Iterator[Node]:
    logger = get_run_logger()
    for node, record in resident.make(STAGES[work.kind], work.nodes, studio, run=run_id):
        watch.finish(node)
        logger.info("%s: %.1f s", node.address, record.seconds)
        for fallback in _fallbacks(record):
            logger.warning("%s: %s", node.address, fallback)
        yield node


def _fallbacks(record: Record) -> list[str]:
    """Return what ran otherwise than was planned, and why."""
    told = record.facts.get("fallbacks")
    return [str(one) for one in told] if isinstance(told, list) else []


def may_pass(_task: Task[..., Any], _run: TaskRun, state: State[Any]) -> bool:
    """Return whether trying again may help: a killed encoder may pass, a broken photo will not."""
    return isinstance(error_of(state), Passing)


TASKS = {
    stage.id: task(
        name=stage.id,
        task_run_name="{name}",
        cache_policy=NO_CACHE,
        persist_result=False,
        retries=2,
        retry_delay_seconds=2,
        retry_jitter_factor=0.5,
        retry_condition_fn=may_pass,
    )(work_on)
    for stage in STAGES.values()
}
