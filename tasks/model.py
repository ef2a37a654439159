"""What the stages that draw with a model share: its limits at plan time, its weights at work.

What the key says is what is loaded: number format and device come from the node, not the machine.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from catalogs.hashes import FileHashes
from catalogs.node import Node
from configs.base import Json
from configs.errors import BadFile, BadPlan
from configs.home import Home
from configs.model import Model
from gpu.checkpoint.assemble import ARCHITECTURES, Files, deciding
from gpu.device import detect, offload_for, peak_bytes, processor, threads
from gpu.fit import Fallback, Fit
from gpu.watch import Watch
from gpu.weights import WeightsSpec
from tasks.photo import small_jpeg
from tasks.stage import Cell, Progress, Studio

if TYPE_CHECKING:
    from PIL.Image import Image


PREVIEWS = 8
"""At most about so many of one picture or clip: people look every few seconds."""


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
    """Raise BadPlan where steps or guidance are not what a model was trained for."""
    least, most = model.min_steps, model.max_steps
    if not least <= steps <= most:
        past = f"above the model's {most}" if steps > most else f"below the model's {least}"
        raise BadPlan(f"{cell.shot}: {stage}.steps: {steps} is {past}; write {least} to {most}")
    if guidance > model.max_guidance:
        raise BadPlan(
            f"{cell.shot}: {stage}.guidance: {guidance} is above the model's {model.max_guidance}"
        )


def folder_of(model: Model, home: Home) -> Path:
    """Return where a model's weights lie: in the package where shipped, else in the home."""
    if model.shipped:
        return Path(str(files("gpu"))) / "mini" / "weights" / model.folder
    return home.inside(f"models/{model.folder}")


def files_of(model: Model, home: Home) -> Files | None:
    """Return where a model's single files lie, or None where all is in its folder.

    Raises:
        BadFile: where one, or a symlink on its way, leads out of `files.root`.
    """
    if not (told := model.files):
        return None
    given = Path(told.root).expanduser()
    root = given.resolve() if given.is_absolute() else home.inside(f"models/{told.root}")
    networks = []
    for name in ("transformer", "transformer_2", "text_encoder", "image_encoder", "vae"):
        if file := getattr(told, name):
            path = (root / file).resolve()
            if not path.is_relative_to(root):
                raise BadFile(f"{file!r}: leads outside {root}; set files.root to where it lies")
            networks.append((name, path))
    configs = ARCHITECTURES / told.architecture
    return Files(configs, tuple(networks), told.keep_packed, model.turbo)


def fingerprint(model: Model, home: Home, hashes: FileHashes) -> str:
    """Return the hash of all files that decide what a model draws.

    Raises:
        BadFile: where one is missing or not whole.
    """
    folder = folder_of(model, home)
    if files := files_of(model, home):
        return hashes.fingerprint_of(deciding(folder, files))
    return hashes.fingerprint(folder)


def weights_spec(node: Node, studio: Studio) -> WeightsSpec:
    """Return the recipe of a node's weights."""
    model = studio.models[str(node.notes["model"])]
    return spec_of(model, studio.home, node.model, node.pixels, studio.offload)


def spec_of(
    model: Model, home: Home, fingerprint: str, pixels: Mapping[str, str], offload: str
) -> WeightsSpec:
    """Return the recipe of a model's weights.

    Args:
        model: which one.
        home: where its files lie.
        fingerprint: tells it from others.
        pixels: number format, device and whatever else of the fit the content key has.
        offload: as the profile says it.
    """
    device = detect() if pixels["device"] == "cuda" else processor()
    fit = Fit.of(pixels, "none")
    return WeightsSpec(
        folder=folder_of(model, home),
        pipeline=model.pipeline,
        fingerprint=fingerprint,
        dtype=pixels["dtype"],
        device=pixels["device"],
        files=files_of(model, home),
        fit=replace(fit, offload=offload_for(device, offload, model.memory(fit.quantisation))),
    )


def watching(node: Node, studio: Studio, ran: list[Fallback]) -> Watch:
    """Return what tells the studio of steps, asks it for a cancel, and notes fallbacks in `ran`."""
    total, seen = int(str(node.params["steps"])), 0

    def on_step(done: int, total: int) -> None:
        nonlocal seen
        seen = done
        studio.on_progress(Progress(node, done, total))

    def on_preview(picture: Image) -> None:
        studio.on_progress(Progress(node, seen, total, small_jpeg(picture)))

    return Watch(
        on_step=on_step,
        cancelled=studio.cancelled,
        on_preview=on_preview if studio.previews else None,
        preview_every=max(1, total // PREVIEWS),
        on_fallback=ran.append,
    )


def as_ran(node: Node, studio: Studio, ran: Sequence[Fallback]) -> Node:
    """Return the node of what really ran: another one where memory forced other pixels.

    The studio notes it, so that what comes after draws from it.
    """
    if not any(fallback.changes_pixels for fallback in ran):
        return node
    made = replace(node, pixels={**node.pixels, **ran[-1].ran.pixels})
    studio.really[node.key] = made.key
    return made


def facts(node: Node, load_seconds: float, ran: Sequence[Fallback]) -> dict[str, Json]:
    """Return what a node's record says of the work: device, threads, memory, loading, fallbacks.

    And the key of what was planned, where that is not what ran: a verdict is about both.
    """
    kind = node.pixels["device"]
    device = detect() if kind == "cuda" else processor()
    told: dict[str, Json] = {"fallbacks": [str(fallback) for fallback in ran]} if ran else {}
    if any(fallback.changes_pixels for fallback in ran):
        told["planned"] = node.key
    return {
        "device": device.name,
        "threads": threads(),
        "peak_bytes": peak_bytes(kind),
        "load_seconds": round(load_seconds, 3),
        **told,
    }
