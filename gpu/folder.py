"""A model's folder on disk: checked before anything is loaded, then loaded without chatter.

A folder is hostile until checked: it may be half-downloaded, hold pickles, or name classes of any
installed library.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from configs.errors import BadFile

# Read once, when huggingface_hub is first imported: nothing is fetched behind the user's back.
os.environ.setdefault("HF_HUB_OFFLINE", "1")

LIBRARIES = {"diffusers", "transformers"}
"""The only libraries whose classes a folder may name: importing any other runs its code."""

PICKLES = ("*.bin", "*.pth", "*.pt", "*.ckpt")

MISFITS = (OSError, ValueError, LookupError, TypeError, AttributeError, RuntimeError)
"""What diffusers and transformers raise on configs and tensors that do not fit together."""

HEADER_LIMIT = 100_000_000
"""Bytes; safetensors itself refuses longer headers."""


def check(folder: Path, pipeline: str) -> int:
    """Return how many parameters `folder` holds, having checked that it can be loaded whole.

    Args:
        folder: in diffusers' layout: `model_index.json` and a folder for each component.
        pipeline: the class that `model_index.json` must name.

    Raises:
        BadFile: where a file is missing, cut short, a pickle that runs code, or of another class.
    """
    path = folder / "model_index.json"
    index = read_json(path)
    if not _makes(index, pipeline):
        raise BadFile(f"{path}: is a {index.get('_class_name')!r}; models.yaml says {pipeline}")
    parameters = 0
    for name, entry in index.items():
        match entry:
            case [str(library), str()] if library in LIBRARIES and name.isidentifier():
                parameters += _check_component(folder / name)
            case [None, None]:  # an optional component that this model does without
                pass
            case list():
                raise BadFile(
                    f"{path}: names {entry} as {name!r}; only classes of diffusers and "
                    "transformers are loaded"
                )
    return parameters


def _makes(index: dict[str, object], pipeline: str) -> bool:
    """Whether a folder is of `pipeline`: Wan2.2-TI2V-5B's names one, and is of both.

    It is published as a WanPipeline, whose first frame may be a picture: `expand_timesteps` tells.
    """
    said = index.get("_class_name")
    both = said == "WanPipeline" and index.get("expand_timesteps") is True
    return said == pipeline or (both and pipeline == "WanImageToVideoPipeline")


def _check_component(folder: Path) -> int:
    """Return a component's parameters; a tokenizer or scheduler has none."""
    if not folder.is_dir():
        raise BadFile(f"{folder}: is missing; the model's download is not complete")
    for path in folder.glob("*.index.json"):
        shard_of = read_json(path).get("weight_map")
        shards = (
            {Path(str(name)).name for name in shard_of.values()}
            if isinstance(shard_of, dict)
            else ()
        )
        for shard in shards:
            if not (folder / shard).exists():
                raise BadFile(f"{folder}/{shard}: is missing; the model's download is not complete")
    parameters = sum(count_parameters(path) for path in folder.glob("*.safetensors"))
    if not parameters:
        parameters = sum(_count_pickle(path) for kind in PICKLES for path in folder.glob(kind))
    if not parameters and (folder / "config.json").exists():  # only a network has this file
        raise BadFile(f"{folder}: holds no weights; the model's download is not complete")
    return parameters


def count_parameters(path: Path) -> int:
    """Return how many numbers a safetensors file holds, checking its length against its header.

    Raises:
        BadFile: where the file is cut short or no safetensors.
    """
    tensors, _ = read_header(path)
    return sum(math.prod(tensor["shape"]) for tensor in tensors.values())


def read_header(path: Path) -> tuple[dict[str, dict[str, Any]], int]:
    """Return what a safetensors file says of each tensor, and where the numbers begin.

    A tensor has `dtype`, `shape`, and `data_offsets` from that beginning, in bytes.

    Raises:
        BadFile: where the file is cut short or no safetensors.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        length = struct.unpack("<Q", file.read(8).ljust(8, b"\0"))[0]
        if not 0 < length <= min(size - 8, HEADER_LIMIT):
            raise BadFile(f"{path}: is no safetensors file, or cut short at {size} bytes")
        try:
            tensors = json.loads(file.read(length))
            tensors.pop("__metadata__", None)
            ends = [tensor["data_offsets"][1] for tensor in tensors.values()]
            whole = 8 + length + max(ends, default=0)
            sum(math.prod(tensor["shape"]) for tensor in tensors.values())  # are all numbers
        except (ValueError, TypeError, LookupError, AttributeError) as error:
            raise BadFile(f"{path}: is no safetensors file: {error}") from error
    if size != whole:
        raise BadFile(f"{path}: has {size} of {whole} bytes; download it again")
    return tensors, 8 + length


def _count_pickle(path: Path) -> int:
    """Return how many numbers a pickle of tensors holds; unpickling anything else runs its code."""
    import torch

    try:
        weights: dict[str, torch.Tensor] = torch.load(path, map_location="meta", weights_only=True)
        parameters: int = sum(tensor.numel() for tensor in weights.values())
    except Exception as error:
        raise BadFile(
            f"{path}: is a pickle that torch.load(weights_only=True) refuses; "
            "use the model's safetensors files"
        ) from error
    return parameters


def read_json(path: Path) -> dict[str, object]:
    """Return the JSON object in a model's file.

    Raises:
        BadFile: where it is missing or something else.
    """
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise BadFile(f"{path}: is missing; put the model's whole folder there") from error
    except ValueError as error:
        raise BadFile(f"{path}: is no JSON: {error}; download it again") from error
    if not isinstance(value, dict):
        raise BadFile(f"{path}: is no JSON object; download it again")
    return value


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep diffusers and transformers from printing bars and advice while they load."""
    from diffusers.utils import logging as diffusers_log
    from transformers.utils import logging as transformers_log

    before = [(log, log.get_verbosity()) for log in (diffusers_log, transformers_log)]
    for log, _ in before:
        log.set_verbosity_error()
        log.disable_progress_bar()
    try:
        yield
    finally:
        for log, verbosity in before:
            log.set_verbosity(verbosity)
