"""The animate stage: a picture and a motion become the clip that all deliveries are cut from."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from catalogs.node import Node
from configs.base import Json
from configs.errors import BadPlan
from configs.model import Model
from tasks.ffmpeg import write_clip
from tasks.lora import open_worn, worn
from tasks.model import as_ran, check_model, facts, size_of, watching, weights_spec
from tasks.photo import adapt, open_photo
from tasks.recording import Recording
from tasks.stage import Cell, Decision, Draft, Made, Photo, Stage, Studio

LONGEST = 4
"""To one. Of a 4:1 strip even a 16:9 delivery shows less than half, 44 %."""


def decide(cell: Cell) -> Decision:
    """Return what decides the clip: prompt text, size, length, steps, guidance, seed.

    Raises:
        BadPlan: where a setting does not suit the model.
    """
    model, settings = cell.model, cell.settings.animate
    if model is None:
        raise BadPlan(f"{cell.shot}: animate has no clip model; the profile must name one")
    picture = cell.pictures["image"]
    width, height = _size(cell, model, picture)
    steps = model.steps if settings.steps is None else settings.steps
    guidance = model.guidance if settings.guidance is None else settings.guidance
    check_model(cell, model, "animate", steps, guidance)
    frames = _frames(cell, model, settings.seconds)
    loras, files = worn(cell, model, settings.loras)
    return Decision(
        params={
            "prompt": cell.texts["prompt"],
            "width": width,
            "height": height,
            "frames": frames,
            "fps": model.fps,
            "steps": steps,
            "guidance": guidance,
            "seed": cell.seed if settings.seed is None else settings.seed,
            "max_tokens": model.max_tokens,
            "motion": settings.motion,
            **_sampler(model),
            **loras,
        },
        files=files,
        uses_model=True,
        gives={"clip": Photo(width, height, picture.focus, model.fps, frames)},
    )


def _sampler(model: Model) -> dict[str, Json]:
    """Return what replaces the sampler that comes with the weights; nothing for most models."""
    told = {"euler_shift": model.euler_shift, "turbo": model.turbo and model.turbo.model_dump()}
    return {name: value for name, value in told.items() if value}


def _size(cell: Cell, model: Model, picture: Photo) -> tuple[int, int]:
    """Follow the picture's shape: a keyframe of the model's own size keeps it exactly."""
    sides = picture.width, picture.height
    if max(sides) > LONGEST * min(sides):
        raise BadPlan(
            f"{cell.shot}: the picture is {sides[0]}x{sides[1]}; shapes up to {LONGEST}:1 are "
            "animated: crop it"
        )
    return adapt(sides, math.prod(size_of(cell, model, "animate")), model.multiple)


def _frames(cell: Cell, model: Model, seconds: float | None) -> int:
    """Return 4k + 1 frames, nearest to `seconds`."""
    if seconds is None:
        return model.frames
    frames = 4 * max(1, round(seconds * model.fps / 4)) + 1
    if frames > model.max_frames:
        raise BadPlan(
            f"{cell.shot}: animate.seconds: {seconds} is above the model's "
            f"{model.max_frames / model.fps:.1f}"
        )
    return frames


def run(nodes: Sequence[Node], studio: Studio, workspace: Path) -> Iterator[Made]:
    """Animate each node's picture into a visually lossless master clip."""
    from gpu.fit import Fallback
    from gpu.video import ClipRequest, animate
    from gpu.weights import shared

    weights = shared(studio.budget_gb)
    for node in nodes:
        started, loaded = time.perf_counter(), weights.stats().seconds
        ran: list[Fallback] = []
        params: dict[str, Any] = dict(node.params) | {"loras": open_worn(node, studio)}
        fps, *_ = (params.pop(name, None) for name in ("fps", "motion", "turbo"))
        request = ClipRequest(
            spec=weights_spec(node, studio),
            image=open_photo(studio.path(node, "image")),
            **params,
        )
        path, size = workspace / f"{node.key}.mp4", (request.width, request.height)
        write = partial(write_clip, path, size=size, fps=fps, cancelled=studio.cancelled)
        with Recording(write) as recording:
            frames = animate(request, weights, watching(node, studio, ran), recording.take)
        count, height, width, _ = frames.shape
        yield Made(
            as_ran(node, studio, ran),
            {"clip": Draft(path, "clip", "video/mp4", width, height, count, fps, count / fps)},
            time.perf_counter() - started,
            facts(node, weights.stats().seconds - loaded, ran),
        )


STAGE = Stage(
    id="animate",
    version=1,
    takes={"image": "image", "prompt": "text"},
    gives={"clip": "clip"},
    lane="gpu",
    decide=decide,
    run=run,
    uses="clip",
)
