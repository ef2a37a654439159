"""Single clips: a form becomes a campaign of one product, one shot and one delivery.

From there on it goes the campaign's way: the same keys, records and catalog.
"""

from __future__ import annotations

from typing import Annotated, TypeVar
from uuid import UUID

from prefect import flow, get_client
from prefect.client.schemas.objects import State
from prefect.runtime import flow_run

from configs.home import Home
from flows.campaign import RUNNER, carry_out
from flows.clips import brief
from flows.forms import Form, ImageToVideo, TextToVideo
from flows.mend import prepare_whole
from flows.notify import TELLING
from flows.offers import titled
from flows.refusal import in_words
from flows.resolve import first_seed

F = TypeVar("F", bound=Form)
TITLE = titled("Your clip")
AWAITED = 10
"""A person waits for it: it goes ahead of campaigns in a resident process's queue."""


def named() -> str:
    """Return a flow run's name: what is asked for, in its first words."""
    asked = flow_run.get_parameters()["request"]
    return str(asked.prompt if isinstance(asked, TextToVideo) else asked.picture)[:60]


@flow(
    name="text-to-video",
    flow_run_name=named,
    task_runner=RUNNER,
    persist_result=False,
    **TELLING,
)
def text_to_video(request: Annotated[TextToVideo, TITLE]) -> State[str] | str:
    """Make a clip from words: from them alone where this machine has a model for that.

    Else a picture is drawn from them first, and then moves.

    Args:
        request: Fill in what you want; what stays empty is chosen for you.
    """
    return in_words(lambda: make_one("text-to-video", request))


@flow(
    name="image-to-video",
    flow_run_name=named,
    task_runner=RUNNER,
    persist_result=False,
    **TELLING,
)
def image_to_video(request: Annotated[ImageToVideo, TITLE]) -> State[str] | str:
    """Make a clip from a picture of the home.

    Args:
        request: Fill in what you want; what stays empty is chosen for you.
    """
    return in_words(lambda: make_one("image-to-video", request))


def make_one(kind: str, form: Form) -> State[str] | str:
    """Make what a form asks for, in the flow run this is called in; return the run's id."""
    home = Home.find()
    form = seeded(form)
    prepared, _ = prepare_whole(home, brief(kind, form, home))
    return carry_out(home, prepared, priority=AWAITED)


def seeded(form: F) -> F:
    """Return the form with a seed; one drawn here stands in the run's parameters from now on.

    It is drawn from the flow run's id: a retry draws the same.
    """
    if form.seed is not None:
        return form
    run = str(flow_run.get_id())
    form = form.model_copy(update={"seed": first_seed(None, None, run)})
    with get_client(sync_client=True) as client:
        told = {"request": form.model_dump(mode="json", exclude_none=True)}
        client.update_flow_run(UUID(run), parameters=told)
    return form
