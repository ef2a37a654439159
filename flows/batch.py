"""A table of prompts and pictures becomes clips, all of one shape, and one zip of them."""

from __future__ import annotations

import hashlib
from typing import Annotated

from prefect import flow, get_run_logger
from prefect.client.schemas.objects import State
from prefect.runtime import flow_run
from pydantic import Field

from catalogs.node import canonical
from catalogs.runs import read_run
from configs.base import Json
from configs.home import Home
from configs.library import Library
from configs.load import Brief
from flows.campaign import RUNNER, carry_out
from flows.clips import own_profile, product_of, settings_of, shaped
from flows.forms import AnyClipModel, Form
from flows.mend import prepare_whole
from flows.notify import TELLING
from flows.offers import titled
from flows.package import Packed, pack
from flows.plan import Prepared
from flows.refusal import in_words
from flows.single import seeded
from flows.table import read_table

TITLE = titled("Your table")


class Batch(Form):
    """Clips by the table: what the form sets holds for every row that says nothing itself."""

    table: str = Field(
        min_length=1,
        max_length=400,
        title="Table",
        description="A .csv or .jsonl of the home, such as batches/week.csv. Columns: prompt, "
        "picture, and if you like name, motion, seconds, steps, seed.",
    )
    model: AnyClipModel = Field(
        "auto",
        title="Clip model",
        description="Which model makes the clips: one for words alone makes none of pictures. "
        "“auto”: what suits this machine and each row.",
    )


def named() -> str:
    """Return a flow run's name: its table's."""
    return str(flow_run.get_parameters()["request"].table)[:60]


@flow(
    name="batch",
    flow_run_name=named,
    task_runner=RUNNER,
    persist_result=False,
    **TELLING,
)
def batch(request: Annotated[Batch, TITLE]) -> State[str] | str:
    """Make a clip of every row of a table, and one zip of them all.

    Args:
        request: Fill in what you want; what stays empty is chosen for you.
    """
    return in_words(lambda: make_all(request))


def make_all(form: Batch) -> State[str] | str:
    """Make and pack what a table asks for, in the flow run this is called in."""
    home = Home.find()
    prepared, _ = prepare_whole(home, brief(seeded(form), home))
    ended = carry_out(home, prepared)
    for path in zipped(home, prepared, str(ended if isinstance(ended, str) else ended.data)).zips:
        get_run_logger().info("packed: %s", path)
    return ended


def zipped(home: Home, prepared: Prepared, run_id: str) -> Packed:
    """Pack what a run of the batch finished."""
    resolved = prepared.resolved
    folder = home.packages / resolved.campaign.name
    run = read_run(home.runs, run_id)
    return pack(home, resolved.campaign, resolved.library, run, folder)


def brief(form: Batch, home: Home) -> Brief:
    """Return the campaign that a table asks for: a product for each row.

    Raises:
        BadField: naming every row that is wrong, at its line.
        BadFile: where the table is missing or outside the home.
    """
    library = Library.open(home)
    path = home.existing(form.table)
    profile = own_profile(library)
    rows = read_table(path, form, library, profile)
    forms = [row for _, row in rows.values()]
    asked: Json = [row.model_dump(mode="json") for row in forms]
    digest = hashlib.sha256(canonical([list(rows), asked])).hexdigest()[:8]
    values: dict[str, Json] = {
        "name": f"batch-{digest}",
        "title": path.stem[:60],
        "products": [product_of(row, name) for name, (_, row) in rows.items()],
        "overrides": [
            {"match": {"product": name}, "set": settings_of(row, profile)}
            for name, (_, row) in rows.items()
        ],
    }
    lines = [line for line, _ in rows.values()]
    return shaped(values, form, forms, home, library, profile, file=str(path.name), lines=lines)
