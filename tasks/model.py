"""From a node to the weights that make it, and what making it took.

What the key says is what is loaded: number format and device come from the node, not the machine.
"""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from catalogs.node import Node
from configs.base import Json
from configs.home import Home
from configs.model import Model
from gpu.device import detect, peak_bytes, processor
from gpu.weights import WeightsSpec
from tasks.stage import Studio


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
    """Return what a node's record says of the work: on what, how much memory, how much loading."""
    kind = node.pixels["device"]
    device = detect() if kind == "cuda" else processor()
    return {
        "device": device.name,
        "peak_bytes": peak_bytes(kind),
        "load_seconds": round(load_seconds, 3),
    }
