"""The keyframe stage: one prompt becomes the still picture that opens a clip."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from catalogs.node import Node
from configs.errors import BadPlan
from tasks.lora import open_worn, worn
from tasks.model import as_ran, check_model, facts, size_of, watching, weights_spec
from tasks.stage import Cell, Decision, Draft, Made, Photo, Stage, Studio


def decide(cell: Cell) -> Decision:
    """Return what decides the picture: prompt text, size, steps, guidance, seed.

    Raises:
        BadPlan: where a setting does not suit the model.
    """
    model, settings = cell.model, cell.settings.keyframe
    if model is None:
        raise BadPlan(f"{cell.shot}: keyframe has no picture model; the profile must name one")
    width, height = size_of(cell, model, "keyframe")
    steps = model.steps if settings.steps is None else settings.steps
    guidance = model.guidance if settings.guidance is None else settings.guidance
    check_model(cell, model, "keyframe", steps, guidance)
    if settings.negative and not guidance:
        raise BadPlan(
            f"{cell.shot}: keyframe.negative: has no effect without guidance; leave it out"
        )
    focus = cell.product.focus
    loras, files = worn(cell, model, settings.loras)
    return Decision(
        params={
            "prompt": cell.texts["prompt"],
            "negative": settings.negative,
            "width": width,
            "height": height,
            "steps": steps,
            "guidance": guidance,
            "seed": cell.seed if settings.seed is None else settings.seed,
            "max_tokens": model.max_tokens,
            **loras,
        },
        files=files,
        uses_model=True,
        gives={"image": Photo(width, height, (focus.x, focus.y) if focus else None)},
    )


def run(nodes: Sequence[Node], studio: Studio, workspace: Path) -> Iterator[Made]:
    """Draw each node's picture as a PNG with nothing in it but pixels."""
    from gpu.fit import Fallback
    from gpu.image import PictureRequest, draw
    from gpu.weights import shared

    weights = shared(studio.budget_gb)
    for node in nodes:
        started, loaded = time.perf_counter(), weights.stats().seconds
        ran: list[Fallback] = []
        params: dict[str, Any] = dict(node.params) | {"loras": open_worn(node, studio)}
        picture = draw(
            PictureRequest(spec=weights_spec(node, studio), **params),
            weights,
            watching(node, studio, ran),
        )
        path = workspace / f"{node.key}.png"
        picture.save(path, compress_level=1)
        yield Made(
            as_ran(node, studio, ran),
            {"image": Draft(path, "image", "image/png", picture.width, picture.height)},
            time.perf_counter() - started,
            facts(node, weights.stats().seconds - loaded, ran),
        )


STAGE = Stage(
    id="keyframe",
    version=1,
    takes={"prompt": "text"},
    gives={"image": "image"},
    lane="gpu",
    decide=decide,
    run=run,
    uses="picture",
)
