"""Approval in Prefect: the flow run is suspended with a form, and goes on when it is answered.

Suspended, it holds no process, no memory and no worker's slot, and outlives restarts of them all.
Started again it plans anew: content keys find what is made, verdicts what may be made of it.
"""

from __future__ import annotations

import base64
import datetime as dt
import html
import io
from collections.abc import Iterator, Sequence
from typing import Any, Literal
from uuid import UUID

from PIL import Image
from prefect import get_client, get_run_logger
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.filters import FlowFilter, FlowRunFilter
from prefect.client.schemas.objects import FlowRun, FlowRunInput
from prefect.context import FlowRunContext
from prefect.flow_runs import suspend_flow_run
from prefect.input import RunInput
from prefect.runtime import deployment, flow_run
from pydantic import Field, create_model

from catalogs.record import Verdict
from catalogs.reviews import LONGEST_NAME, LONGEST_NOTE
from configs.errors import BadInput
from configs.home import Home
from flows.approval import Keyframe, awaiting, judge
from flows.notify import say

ANSWERS: dict[str, Verdict] = {
    "accept": "approved",
    "reject": "rejected",
    "another seed": "reseeded",
}
PREFIX, SUFFIX = "suspended-", "-response"
"""Of the names under which Prefect keeps what was filled in."""
FIELD = "keyframe_"
SEEN = (440, 320)
"""Pixels of a picture in the form, at most: its box is 440 wide. About 12 kB each."""
PATIENCE = 30 * 24 * 3600
"""Seconds after which Prefect lets a run fail that nobody answered; its keyframes are kept."""


def began() -> dt.datetime:
    """Return when this flow run first began: resumed, it still makes the same days."""
    context = FlowRunContext.get()
    run = context.flow_run if context else None
    return (run and run.start_time) or dt.datetime.now(dt.UTC)


def wait_for_verdicts(home: Home, campaign: str) -> None:
    """Suspend this flow run while keyframes of the campaign wait for a verdict.

    A run that no deployment started ends instead: `keyreel run` says how to go on.
    """
    found = awaiting(home, campaign)
    if not found:
        return
    pages = f"Flow run {flow_run.get_name()}: {flow_run.get_flow_run_ui_url()}"
    say(home, "approval", campaign, f"{len(found)} 张首帧 keyframes. {pages}")
    if deployment.get_id() is None:
        return
    get_run_logger().warning(
        "%s keyframes wait for approval: judge them in the gallery site, or press Resume on the V1 "
        "pages; the V2 pages have no such button",
        len(found),
    )
    suspend_flow_run(wait_for_input=form(found), timeout=PATIENCE, key=str(len(list(_answers()))))


def form(found: Sequence[Keyframe]) -> type[RunInput]:
    """Return the form that Prefect draws: a choice for each keyframe, a note and a name."""
    choice = Literal["not yet", "accept", "reject", "another seed"]
    fields: dict[str, Any] = {
        FIELD + one.key: (choice, Field("not yet", title=one.name, description=_seen(one)))
        for one in found
    }
    fields["note"] = (
        str,
        Field("", max_length=LONGEST_NOTE, description="Why, for those you reject."),
    )
    fields["reviewer"] = (str, Field("", max_length=LONGEST_NAME, description="Your name."))
    made = create_model("Verdicts", __base__=RunInput, **fields)
    return made.with_initial_data(
        description=f"**{len(found)} keyframes of {found[0].campaign}** are drawn. Clips and files "
        "are made of those you accept; another seed draws the same words anew."
    )


def _seen(one: Keyframe) -> str:
    """Return the words and the picture itself, as the markdown that the form draws."""
    with Image.open(one.path) as picture:
        small = picture.convert("RGB")
    small.thumbnail(SEEN)
    data = io.BytesIO()
    small.save(data, "JPEG", quality=80)
    return (
        f"{html.escape(one.prompt)}\n\n"
        f"![{one.name}](data:image/jpeg;base64,{base64.b64encode(data.getvalue()).decode()})"
    )


def take_answers(home: Home) -> None:
    """Keep the verdicts that were filled into this flow run's forms.

    Each is dated by when it was given, so that taking it twice keeps one.
    """
    for answer in _answers():
        given = answer.decoded_value
        note, by = str(given.get("note", "")), str(given.get("reviewer", ""))
        for name, said in given.items():
            if name.startswith(FIELD) and said in ANSWERS:
                _take(home, name.removeprefix(FIELD), ANSWERS[said], note, by, answer.created)


def _take(
    home: Home, key: str, verdict: Verdict, note: str, by: str, at: dt.datetime | None
) -> None:
    if verdict == "rejected" and not note.strip():
        note = "no reason given in Prefect's form"
    try:
        judge(home, key, verdict, note, by, at=at)
    except BadInput as error:
        get_run_logger().warning("a verdict was not taken: %s", error)


def _answers() -> Iterator[FlowRunInput]:
    """Yield what was filled into the forms of this flow run, oldest first."""
    if deployment.get_id() is None:
        return
    with get_client(sync_client=True) as client:
        found = client.filter_flow_run_input(
            UUID(str(flow_run.get_id())), key_prefix=PREFIX, limit=200, exclude_keys=set()
        )
    yield from (one for one in found if one.key.endswith(SUFFIX))


def resume(client: SyncPrefectClient, home: Home) -> list[str]:
    """Let suspended flow runs go on whose keyframes are all judged, wherever that was done.

    Args:
        client: to the Prefect server.
        home: whose campaigns; other homes' are left alone.

    Returns:
        A sentence for each.
    """
    suspended = FlowRunFilter.model_validate({"state": {"name": {"any_": ["Suspended"]}}})
    ours = FlowFilter.model_validate({"name": {"any_": ["campaign"]}})
    runs = client.read_flow_runs(flow_filter=ours, flow_run_filter=suspended, limit=200)
    waiting = {one.file for one in awaiting(home)} if runs else set()
    judged = [run for run in runs if is_of(run, home) and run.parameters["campaign"] not in waiting]
    for run in judged:
        client.resume_flow_run(run.id, run_input={})
    return [f"{run.name}: its keyframes are judged; it goes on" for run in judged]


def is_of(run: FlowRun, home: Home) -> bool:
    """Say whether a flow run is a home's, as far as its parameters tell."""
    return run.parameters.get("home") in (None, str(home.root))
