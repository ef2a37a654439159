"""A model's folder: checked against its own configs, from headers alone, and loaded."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from configs.errors import BadFile
from gpu import folder as folders
from gpu.checkpoint.match import LAYOUTS
from gpu.checkpoint.network import Network, network
from gpu.checkpoint.tensors import open_tensors
from gpu.fit import out_of_memory
from gpu.folder import MISFITS, quiet, read_json

if TYPE_CHECKING:
    from diffusers import DiffusionPipeline

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
    with quiet():
        return len([_network(folder, *named) for named in _networks(folder)])


def load(folder: Path, pipeline: str, *, dtype: str, device: str) -> DiffusionPipeline:
    """Return the pipeline of `folder`, its weights on `device`.

    The networks are filled by ourselves: `from_pretrained` reads by page faults, and converts on
    the processor. What is stored otherwise than as safetensors is left to it.

    Raises:
        BadFile: where the files are whole but do not make up the pipeline.
    """
    import diffusers
    import torch
    from safetensors import SafetensorError

    kind = getattr(torch, dtype)
    with quiet():
        try:
            parts: dict[str, Any] = {
                name: _network(folder, name, library, of).fill(
                    dtype=kind, device=device, keep_packed=False
                )
                for name, library, of in _networks(folder)
                if list((folder / name).glob("*.safetensors"))
            }
            pipe: DiffusionPipeline = getattr(diffusers, pipeline).from_pretrained(
                folder, dtype=kind, local_files_only=True, **parts
            )
        except (*MISFITS, SafetensorError) as error:
            if out_of_memory(error):
                raise
            said = " ".join(str(error).split())[:300]
            raise BadFile(f"{folder}: cannot be loaded as {pipeline}: {said}") from error
    pipe.set_progress_bar_config(disable=True)
    return pipe.to(device)


def _network(folder: Path, name: str, library: str, kind: str) -> Network:
    """Return a component whose header has been checked."""
    config = read_json(folder / name / "config.json")
    return network(open_tensors(_weights(folder / name)), library, kind, config)


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
