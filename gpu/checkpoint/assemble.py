"""A pipeline from single files: configs that ship, and weights that a company has already."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from configs.errors import BadFile
from configs.model import Turbo
from gpu.checkpoint.tensors import open_tensors, present
from gpu.fit import TRANSFORMERS, out_of_memory
from gpu.folder import LIBRARIES, MISFITS, quiet, read_json

if TYPE_CHECKING:
    from diffusers import DiffusionPipeline

    from gpu.checkpoint.network import Network

ARCHITECTURES = Path(__file__).parent / "architectures"
"""A folder for each published model: its configs in the diffusers layout, without weights."""


@dataclass(frozen=True, slots=True)
class Files:
    """Single files that make up the networks of a pipeline."""

    configs: Path
    """The architecture's folder: `model_index.json`, and a config for each component."""
    networks: tuple[tuple[str, Path], ...]
    """The file of each network, by the name of its component."""
    keep_packed: bool = False
    """Weights of 8 bits or fewer stay so in memory: half of it or less, for some time a step."""
    turbo: Turbo | None = None
    """How the transformers are sampled and attend, where they are TurboDiffusion's."""


def deciding(folder: Path, files: Files) -> dict[str, Path]:
    """Return every file that decides what is drawn, by a name that does not tell where it lies.

    Raises:
        BadFile: where one is missing.
    """
    found = {
        f"configs/{path.relative_to(files.configs).as_posix()}": path
        for path in sorted(files.configs.rglob("*"))
        if path.is_file()
    }
    found["tokenizer"] = _tokenizer_file(folder, files)
    for name, path in files.networks:
        present(path)
        found[name] = path
        if path.suffix == ".json":
            shards = open_tensors(path).paths
            found |= {f"{name}/{shard.name}": shard for shard in shards}
    return found


def check(folder: Path, files: Files, bytes_a_number: int) -> int:
    """Return how many bytes of weights `files` make, having checked that all fit; reads none.

    Args:
        folder: the model's own: it holds the tokenizer, which is in no weight file.
        files: what to load from.
        bytes_a_number: of the format to compute in.

    Raises:
        BadFile: where a file, a key or the tokenizer is missing, broken or of another model.
    """
    _tokenizer_file(folder, files)
    return sum(
        network.bytes(bytes_a_number, keep_packed=files.keep_packed)
        for _, network in _networks(files)
    )


def load(
    folder: Path, files: Files, pipeline: str, *, dtype: str, device: str
) -> DiffusionPipeline:
    """Return the pipeline of `files`, its weights on `device`.

    Raises:
        BadFile: where what lies there does not make up the pipeline.
    """
    import diffusers
    import torch

    with quiet():
        try:
            parts: dict[str, Any] = {
                name: network.fill(
                    dtype=getattr(torch, dtype), device=device, keep_packed=files.keep_packed
                )
                for name, network in _networks(files)
            }
            parts |= dict(_others(folder, files))
            pipe: DiffusionPipeline = getattr(diffusers, pipeline)(**parts)
        except MISFITS as error:
            if out_of_memory(error):
                raise
            said = " ".join(str(error).split())[:300]
            raise BadFile(f"{files.configs.name}: cannot be loaded: {said}") from error
    pipe.set_progress_bar_config(disable=True)
    return pipe.to(device)


def _networks(files: Files) -> Iterator[tuple[str, Network]]:
    """Yield each network that has a file, its header checked.

    Raises:
        BadFile: where a file does not fit, or a network has none.
    """
    from gpu.checkpoint.network import network
    from gpu.turbo.sla import Blocks

    given = dict(files.networks)
    blocks = Blocks(files.turbo.sla_share) if files.turbo else None
    for name, library, kind in _components(files):
        config = files.configs / name / "config.json"
        if name in given:
            file, sla = open_tensors(given.pop(name)), blocks if name in TRANSFORMERS else None
            yield name, network(file, library, kind, read_json(config), sla)
        elif config.exists():
            raise BadFile(f"{files.configs.name} has a {name}: name its file in `files`")
    for name, path in given.items():
        raise BadFile(f"{path}: {files.configs.name} has no {name}; take it out of `files`")


def _others(folder: Path, files: Files) -> Iterator[tuple[str, Any]]:
    """Yield what has no weights: scheduler, tokenizer, absent components, and plain settings."""
    for name, value in read_json(files.configs / "model_index.json").items():
        if not name.startswith("_") and not isinstance(value, list):
            yield name, value
        elif value == [None, None]:
            yield name, None
    for name, library, kind in _components(files):
        if name == "scheduler" and files.turbo:
            yield name, _few_steps(files.turbo)
        elif name in ("scheduler", "image_processor"):
            loader = getattr(importlib.import_module(library), kind)
            yield name, loader.from_pretrained(files.configs / name)
        elif name == "tokenizer":
            yield name, _tokenizer(folder, files, kind)


def _few_steps(turbo: Turbo) -> Any:  # noqa: ANN401  (diffusers publishes no types)
    from gpu.turbo.rcm import RCMScheduler

    return RCMScheduler(sigma_max=turbo.sigma_max, ode=turbo.sampler == "rcm-ode")


def _tokenizer(folder: Path, files: Files, kind: str) -> Any:  # noqa: ANN401  (transformers' own)
    import transformers

    room = files.configs / "tokenizer"
    words = read_json(room / "tokenizer_config.json")
    if (template := room / "chat_template.jinja").exists():
        words["chat_template"] = template.read_text(encoding="utf-8")
    path = _tokenizer_file(folder, files)
    return getattr(transformers, kind)(tokenizer_file=str(path), **words)


def _tokenizer_file(folder: Path, files: Files) -> Path:
    path = folder / "tokenizer" / "tokenizer.json"
    if not path.is_file():
        source = read_json(files.configs / "model_index.json").get("_source")
        raise BadFile(
            f"{path}: is missing; no weight file holds the tokenizer: put tokenizer/tokenizer.json "
            f"of {source} there, or `keyreel models fetch` it"
        )
    return path


def _components(files: Files) -> Iterator[tuple[str, str, str]]:
    """Yield name, library and class of each component that is not left out."""
    path = files.configs / "model_index.json"
    for name, value in read_json(path).items():
        match value:
            case [str(library), str(kind)] if library in LIBRARIES:
                yield name, library, kind
