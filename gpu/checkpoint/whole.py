"""A model's folder against its own configs: every key and shape, from headers alone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from configs.errors import BadFile
from gpu import folder as folders
from gpu.checkpoint.match import LAYOUTS
from gpu.checkpoint.network import network
from gpu.checkpoint.tensors import open_tensors
from gpu.folder import quiet, read_json

STEMS = ("diffusion_pytorch_model", "model")
"""What diffusers and transformers call a component's weights."""


def check_keys(folder: Path, pipeline: str) -> int:
    """Return how many networks of `folder` were checked: each key, shape and number format.

    Args:
        folder: in diffusers' layout.
        pipeline: the class that its `model_index.json` must name.

    Raises:
        BadFile: where a file is missing, cut short, or holds other tensors than its config asks
            for; the key is named.
    """
    folders.check(folder, pipeline)
    checked = 0
    with quiet():
        for name, library, kind in _networks(folder):
            config = read_json(folder / name / "config.json")
            network(open_tensors(_weights(folder / name)), library, kind, config)
            checked += 1
    return checked


def _networks(folder: Path) -> Iterator[tuple[str, str, str]]:
    for name, entry in read_json(folder / "model_index.json").items():
        match entry:
            case [str(library), str(kind)] if kind in LAYOUTS:
                yield name, library, kind


def _weights(folder: Path) -> Path:
    """Return a component's file of weights, or the index of its shards.

    Raises:
        BadFile: where it has none.
    """
    names = [
        f"{stem}{end}" for stem in STEMS for end in (".safetensors.index.json", ".safetensors")
    ]
    for name in names:
        if (folder / name).is_file():
            return folder / name
    raise BadFile(f"{folder}: has none of {', '.join(names)}; download it again")
