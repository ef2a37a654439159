"""What language models are asked for captions: before the plan, which sees only what came of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

from configs.errors import BadPlan
from flows.facts import Resolved
from flows.shots import Shot
from tasks import caption
from tasks.stage import Cell
from tasks.views import view
from tasks.wish import Wish


def caption_wishes(resolved: Resolved) -> Iterator[Wish]:
    """Yield a wish for each caption that a language model is to write.

    What is wrong with a caption is left to the plan, which tells it with its line.
    """
    for stage in resolved.pipeline.stages:
        if stage.kind != caption.STAGE.id:
            continue
        own = "" if stage.id == stage.kind else stage.id
        for shot in resolved.shots:
            if resolved.settings(shot, own).caption.expander == "template":
                continue
            for delivery in resolved.campaign.deliveries:
                with suppress(BadPlan):
                    if made := caption.wish(_cell(resolved, shot, own, delivery)):
                        yield made


def _cell(resolved: Resolved, shot: Shot, stage: str, delivery: str) -> Cell:
    """Return what a caption looks at: words alone."""
    return Cell(
        campaign=resolved.campaign,
        product=shot.product,
        shot=shot.id,
        seed=shot.seed,
        settings=resolved.settings(shot, stage),
        texts={},
        pictures={},
        inputs={},
        delivery=resolved.library.deliveries[delivery],
        delivery_id=delivery,
        names=lambda language: view(
            campaign=resolved.campaign,
            product=shot.product,
            day=shot.day,
            axes=shot.axes,
            seed=shot.seed,
            language=language,
        ),
    )
