"""The animate stage: the clip that all deliveries are cut from, of a picture or of words alone."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

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

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

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
    picture = _beginning(cell, model)
    width, height = picture.width, picture.height
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
        gives={
            "clip": Photo(width, height, picture.focus, model.fps, frames),
            **({} if "image" in cell.pictures else {"still": picture}),
        },
    )


def _sampler(model: Model) -> dict[str, Json]:
    """Return what replaces the sampler that comes with the weights; nothing for most models."""
    told = {"euler_shift": model.euler_shift, "turbo": model.turbo and model.turbo.model_dump()}
    return {name: value for name, value in told.items() if value}


def _beginning(cell: Cell, model: Model) -> Photo:
    """Return the clip's first frame: the picture at the clip's size, or what words alone will give.

    A keyframe of the model's own size keeps it exactly; a photo keeps its shape.
    """
    own, picture = size_of(cell, model, "animate"), cell.pictures.get("image")
    if (picture is None) != (model.makes == "text-clip"):
        takes, has = ("words alone", "a picture") if picture else ("a picture", "none")
        raise BadPlan(
            f"{cell.shot}: animate.model: it makes clips from {takes}, and this shot has {has}; "
            "name another model"
        )
    if picture is None:
        focus = cell.product.focus
        return Photo(*own, (focus.x, focus.y) if focus else None)
    sides = picture.width, picture.height
    if max(sides) > LONGEST * min(sides):
        raise BadPlan(
            f"{cell.shot}: {_named(cell) if picture.own else ''}the picture is "
            f"{sides[0]}x{sides[1]}; shapes up to {LONGEST}:1 are animated: crop it"
        )
    return Photo(*adapt(sides, math.prod(own), model.multiple), picture.focus)


def _named(cell: Cell) -> str:
    """Return the field that names the product's own photo."""
    return f"products[{cell.campaign.products.index(cell.product)}].image: "


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
    """Make each node's clip, a visually lossless master; of words alone its first frame, too."""
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
            image=open_photo(studio.path(node, "image")) if "image" in node.inputs else None,
            **params,
        )
        path, size = workspace / f"{node.key}.mp4", (request.width, request.height)
        write = partial(write_clip, path, size=size, fps=fps, cancelled=studio.cancelled)
        with Recording(write) as recording:
            frames = animate(request, weights, watching(node, studio, ran), recording.take)
        count, height, width, _ = frames.shape
        clip = Draft(path, "clip", "video/mp4", width, height, count, fps, count / fps)
        yield Made(
            as_ran(node, studio, ran),
            {"clip": clip} if request.image else {"clip": clip, "still": _still(frames[0], path)},
            time.perf_counter() - started,
            facts(node, weights.stats().seconds - loaded, ran),
        )


def _still(frame: NDArray[np.uint8], clip: Path) -> Draft:
    """Save a clip's first frame beside it, for what looks at a keyframe elsewhere."""
    from PIL import Image

    picture, path = Image.fromarray(frame), clip.with_suffix(".png")
    picture.save(path, compress_level=1)
    return Draft(path, "image", "image/png", picture.width, picture.height)


STAGE = Stage(
    id="animate",
    version=1,
    takes={"image": "image", "prompt": "text"},
    gives={"clip": "clip", "still": "image"},
    lane="gpu",
    decide=decide,
    run=run,
    uses="clip",
    pictured=frozenset({"image"}),
)
