"""Adapters (LoRA) on their way from a setting to the card: found, keyed, opened.

A model's own come first, then those of the settings. Each one's bytes, weight and place in the list
are part of the key; a stage that wears none has the key it always had.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from catalogs.hashes import FileHashes, check
from catalogs.node import InputFile, Node
from configs.base import Json
from configs.errors import BadFile
from configs.home import Home
from configs.lora import Lora, Loras
from configs.model import Model
from configs.wording import unknown
from tasks.stage import Cell, Studio

if TYPE_CHECKING:
    from gpu.lora import LoraFile

FOLDER = "models/loras"


def find_lora(lora: Lora, home: Home, hashes: FileHashes) -> InputFile:
    """Return an adapter's file in the home, hashed.

    Raises:
        BadFile: where it is missing, cut short, or leads outside.
    """
    return InputFile(hashes.of(lora_path(lora, home)), f"{FOLDER}/{lora.file}")


def lora_path(lora: Lora, home: Home) -> Path:
    """Return where an adapter lies.

    Raises:
        BadFile: where it is missing, cut short, or leads outside.
    """
    root, path = _root(home), _inside(lora.file, home)
    if not path.is_file():
        known = [each.relative_to(root).as_posix() for each in root.rglob("*.safetensors")]
        raise BadFile(f"{unknown('adapter', lora.file, sorted(known))}; they lie in {root}")
    check(path, "copy the LoRA again")
    return path


def _root(home: Home) -> Path:
    """Return the folder of adapters, which may be a link to that of ComfyUI."""
    return (home.root / FOLDER).resolve()


def _inside(file: str, home: Home) -> Path:
    root = _root(home)
    path = (root / file).resolve()
    if not path.is_relative_to(root):
        raise BadFile(f"{file!r}: leads outside {root}; put the adapter inside it")
    return path


def worn(cell: Cell, model: Model, own: Loras) -> tuple[dict[str, Json], dict[str, InputFile]]:
    """Return the params and files that a stage's decision takes from its adapters.

    Args:
        cell: of the stage.
        model: that it draws with.
        own: the adapters of its settings.
    """
    loras = (*model.loras, *own)
    files = {_port(number): cell.loras[lora.file] for number, lora in enumerate(loras)}
    told: list[Json] = [{"weight": lora.weight, "expert": lora.expert} for lora in loras]
    return ({"loras": told} if told else {}), files


def open_worn(node: Node, studio: Studio) -> tuple[LoraFile, ...]:
    """Return the adapters that a node is drawn with."""
    from gpu.lora import LoraFile

    told = cast("list[dict[str, Any]]", node.params.get("loras", []))
    files = [cast("InputFile", node.inputs[_port(number)]) for number in range(len(told))]
    return tuple(
        LoraFile(_inside(file.path[len(FOLDER) + 1 :], studio.home), file.sha256, **one)
        for file, one in zip(files, told, strict=True)
    )


def _port(number: int) -> str:
    return f"lora-{number + 1}"
