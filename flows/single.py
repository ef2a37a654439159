"""Single clips: a form becomes a campaign of one product, one shot and one delivery.

From there on it goes the campaign's way: the same keys, records and catalog.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import re
from typing import Annotated
from uuid import UUID

from prefect import flow, get_client
from prefect.client.schemas.objects import State
from prefect.runtime import flow_run
from pydantic import Field

from catalogs.node import canonical
from configs.base import Aspect, Json, aspect_of
from configs.delivery import Delivery
from configs.home import Home
from configs.library import Library
from configs.load import Brief
from configs.marks import read
from configs.model import Model
from flows.campaign import RUNNER, carry_out
from flows.forms import Form, ImageToVideo, TextToVideo
from flows.mend import prepare_whole
from flows.resolve import device_for, first_seed

HANZI = re.compile(r"[\u3400-\u9fff]")
TITLE = Field(json_schema_extra={"title": "Your clip"})
SHORT_SIDES = {"480p": 480, "720p": 720}


def titled() -> str:
    """Return a flow run's name: what is asked for, in its first words."""
    asked = flow_run.get_parameters()["request"]
    return str(asked.prompt if isinstance(asked, TextToVideo) else asked.picture)[:60]


@flow(name="text-to-video", flow_run_name=titled, task_runner=RUNNER, persist_result=False)
def text_to_video(request: Annotated[TextToVideo, TITLE]) -> State[str] | str:
    """Make a clip from words: a picture is drawn from them, and then moves.

    Args:
        request: Fill in what you want; what stays empty is chosen for you.
    """
    return make_one("text-to-video", request)


@flow(name="image-to-video", flow_run_name=titled, task_runner=RUNNER, persist_result=False)
def image_to_video(request: Annotated[ImageToVideo, TITLE]) -> State[str] | str:
    """Make a clip from a picture of the home.

    Args:
        request: Fill in what you want; what stays empty is chosen for you.
    """
    return make_one("image-to-video", request)


def make_one(kind: str, form: Form) -> State[str] | str:
    """Make what a form asks for, in the flow run this is called in; return the run's id."""
    home = Home.find()
    seed = first_seed(form.seed, None, str(flow_run.get_id()))
    if form.seed is None:
        form = form.model_copy(update={"seed": seed})
        _keep(form)
    prepared, _ = prepare_whole(home, brief(kind, form, home, file=f"the form of {kind}"))
    return carry_out(home, prepared)


def _keep(form: Form) -> None:
    """Write the seed that was drawn into the flow run's parameters, where a person looks for it."""
    with get_client(sync_client=True) as client:
        run = UUID(str(flow_run.get_id()))
        client.update_flow_run(
            run, parameters={"request": form.model_dump(mode="json", exclude_none=True)}
        )


def brief(kind: str, form: Form, home: Home, *, file: str, line: int = 0) -> Brief:
    """Return the campaign that a form with a seed asks for.

    Args:
        kind: `text-to-video` or `image-to-video`: its name begins with it.
        form: with its seed.
        home: the workspace.
        file: what errors name.
        line: of a table's row.

    Raises:
        BadInput: where the form asks for more than its model can do.
    """
    library = Library.open(home)
    profile, _ = device_for("auto", library)
    clip = library.profiles[profile].clip
    form.check(library, clip)
    delivery = delivery_of(form, library.models[clip if form.model == "auto" else form.model])
    name = f"{form.shape.replace(':', 'x')}-{min(delivery.width, delivery.height)}p"
    asked = hashlib.sha256(canonical(form.model_dump(mode="json"))).hexdigest()
    values = campaign_of(form, home) | {"name": f"{kind}-{asked[:8]}", "deliveries": [name]}
    return Brief(values, {name: delivery}, file, line)


def delivery_of(form: Form, model: Model) -> Delivery:
    """Return the file that is wanted: of the form's shape, as small as the model draws."""
    across, down = map(int, form.shape.split(":"))
    aspect: Aspect = aspect_of(across, down)
    short = SHORT_SIDES.get(form.resolution, min(model.sizes[aspect]))
    scale = short / min(across, down)
    return Delivery.model_validate(
        {
            "name": form.shape,
            "width": 2 * round(across * scale / 2),
            "height": 2 * round(down * scale / 2),
            "aspect": aspect,
            "source": "none: the form's own size",
            "checked_on": dt.date.today(),
        }
    )


def campaign_of(form: Form, home: Home) -> dict[str, Json]:
    """Return a form as a campaign's values; its name and delivery are left to be added."""
    words = form.words()
    said = " ".join(str(text) for text in words.values() if text)
    product: dict[str, Json] = {"id": "clip", "name": {"zh": "短片", "en": "clip"}}
    if isinstance(form, ImageToVideo):
        product["image"] = form.picture
    return {
        "title": said[:60] or "clip",
        "seed": form.seed,
        "brand": _brand(form.look, home),
        "calendar": {"start": "today", "days": 1},
        "products": [product],
        "prompt": {**words, "language": "zh" if HANZI.search(said) else "en"},
        "settings": _settings(form),
    }


def _settings(form: Form) -> dict[str, Json]:
    # The seed itself, not one drawn from it and the day: the same form gives the same clip.
    animate: dict[str, Json] = {
        "motion": form.motion,
        "seconds": form.seconds,
        "steps": form.steps,
        "seed": form.seed,
        "model": None if form.model == "auto" else form.model,
    }
    keyframe: dict[str, Json] = {"seed": form.seed}
    if isinstance(form, TextToVideo) and form.picture_model != "auto":
        keyframe["model"] = form.picture_model
    animate = {name: value for name, value in animate.items() if value is not None}
    return {"animate": animate, "keyframe": keyframe}


def _brand(look: str, home: Home) -> Json:
    if look == "none":
        return {"name": "keyreel"}
    return read(home.find_campaign(look)).value(("brand",))
