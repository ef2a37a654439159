"""What the stages that draw with a model share: its limits at plan time, its weights at work.

What the key says is what is loaded: number format and device come from the node, not the machine.
"""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from catalogs.node import Node
from configs.base import Json
from configs.errors import BadPlan
from configs.home import Home
from configs.model import Model
from gpu.device import detect, peak_bytes, processor, threads
from gpu.weights import WeightsSpec
from tasks.stage import Cell, Progress, Studio


def size_of(cell: Cell, model: Model, stage: str) -> tuple[int, int]:
    """Return the width and height that `model` was trained at for the cell's aspect.

    Raises:
        BadPlan: where the pipeline runs the stage once a shot: a shot has no shape.
    """
    for aspect, size in model.sizes.items():
        if aspect == cell.aspect:
            return size
    raise BadPlan(f"{cell.shot}: {stage} draws in a shape; write `per: aspect` in the pipeline")


def check_model(cell: Cell, model: Model, stage: str, steps: int, guidance: float) -> None:
    """Raise BadPlan where steps or guidance are more than a model was trained for."""
    if steps > model.max_steps:
        raise BadPlan(f"{cell.shot}: {stage}.steps: {steps} is above the model's {model.max_steps}")
    if guidance > model.max_guidance:
        raise BadPlan(
            f"{cell.shot}: {stage}.guidance: {guidance} is above the model's {model.max_guidance}"
        )


def folder_of(model: Model, home: Home) -> Path:
    """Return where a model's weights lie: in the package where shipped, else in the home."""
    if model.shipped:
        return Path(str(files("gpu"))) / "mini" / "weights" / model.folder
    return home.inside(f"models/{model.folder}")


def weights_spec(node: Node, studio: Studio) -> WeightsSpec:
    """Return the recipe of a node's weights."""
    model = studio.models[str(node.notes["model"])]
    return WeightsSpec(
        folder=folder_of(model, studio.home),
        pipeline=model.pipeline,
        fingerprint=node.model,
        dtype=node.pixels["dtype"],
        device=node.pixels["device"],
    )


def facts(node: Node, load_seconds: float) -> dict[str, Json]:
    """Return what a node's record says of the work: device, threads, memory, loading."""
    kind = node.pixels["device"]
    device = detect() if kind == "cuda" else processor()
    return {
        "device": device.name,
        "threads": threads(),
        "peak_bytes": peak_bytes(kind),
        "load_seconds": round(load_seconds, 3),
    }


def report(studio: Studio, node: Node, done: int, total: int) -> None:
    """Tell the studio that step `done` of `total` of `node` is behind us."""
    studio.on_progress(Progress(node, done, total))
