"""The caption stage: title, text and hashtags that are published beside the file.

Written from the campaign's templates, by a language model too where that is asked for, in the order
and length that the platform takes; all of it at plan time. Running the stage writes it down.
"""

from __future__ import annotations

from configs.base import Json
from configs.errors import BadPlan
from configs.wording import unknown
from tasks.copywriter import expanded, wish_for
from tasks.note import write_params
from tasks.said import Writer
from tasks.stage import Cell, Decision, Stage
from tasks.wish import Wish


def decide(cell: Cell) -> Decision | None:
    """Return what is said of the shot on this delivery; None where nothing is.

    Raises:
        BadPlan: where a template cannot be filled in, a text is longer or shorter than the
            platform takes, a word is against the advertising law of its market, or a language
            model wrote nothing usable.
    """
    writer = writer_for(cell)
    said, notes = writer.said(), dict[str, Json]()
    if not any(said):
        return None
    if cell.settings.caption.expander != "template":
        said, notes["caption"] = expanded(writer, said)
    file, allowed = writer.checked(said)
    if allowed:
        notes["allowed"] = dict(allowed)
    return Decision(params=file.model_dump(mode="json"), notes=notes)


def wish(cell: Cell) -> Wish | None:
    """Return what a language model is asked for this caption; None where nothing is.

    Raises:
        BadPlan: where a template cannot be filled in.
    """
    writer = writer_for(cell)
    said = writer.said()
    asked = any(said) and cell.settings.caption.expander != "template"
    return wish_for(writer, said) if asked else None


def writer_for(cell: Cell) -> Writer:
    """Return who writes the caption of one shot on one delivery."""
    settings, delivery = cell.settings.caption, cell.delivery
    assert delivery is not None, "the wiring lets this stage run per delivery only"
    for name in settings.platforms:
        if name not in cell.campaign.deliveries:
            known = unknown("delivery of this campaign", name, cell.campaign.deliveries)
            raise BadPlan(f"caption.platforms: {known}")
    return Writer(
        cell,
        *settings.on(cell.delivery_id, cell.campaign.prompt.language),
        delivery.caption,
    )


STAGE = Stage(
    id="caption",
    version=1,
    takes={},
    gives={"caption": "text"},
    lane="cpu",
    decide=decide,
    run=write_params("caption"),
    worded=True,
    asked=lambda settings: settings.caption.asked,
)
