"""An adapter's file (LoRA): every key accounted for against the network it changes, headers first.

Trainers name a layer by the network's own or its publisher's names, with dots (PEFT and diffusers,
ai-toolkit, ComfyUI, LightX2V) or with underscores in their place (kohya's sd-scripts, musubi-tuner,
LyCORIS). With underscores throughout, all of these are one. A change is w + weight·alpha/rank·B·A,
or w + weight·diff. Key styles: diffusers' lora_conversion_utils.py and ComfyUI's comfy/lora.py;
`diff_m` is LightX2V's word for a modulation's diff; rank-stabilised scale: arXiv 2312.03732.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch

from configs.errors import BadFile
from gpu.checkpoint.match import FLOATS, LAYOUTS, SHOWN
from gpu.checkpoint.origin import seems
from gpu.checkpoint.tensors import TensorFile, open_tensors

PREFIXES = ("diffusion_model_", "model_diffusion_model_", "transformer_", "lora_unet_",
            "lora_transformer_", "lycoris_", "")  # fmt: skip
ROLES = {
    ".lora_A.weight": "down", ".lora_A.default.weight": "down", ".lora_down.weight": "down",
    ".lora.down.weight": "down",
    ".lora_B.weight": "up", ".lora_B.default.weight": "up", ".lora_up.weight": "up",
    ".lora.up.weight": "up",
    ".lora_B.bias": "up_bias", ".alpha": "alpha",
    ".diff": "diff", ".diff_b": "diff_b", ".diff_m": "diff_m",
}  # fmt: skip
"""What the end of a key says that its tensor is."""

Keys = Mapping[str, str]
"""The keys of one layer, by role."""
Shape = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Change:
    """What an adapter adds to one parameter, and where its numbers lie."""

    target: str
    """The parameter, by the network's own name."""
    shape: Shape
    keys: tuple[str, ...]
    """Of `down` (rank, in) and `up` (out, rank), or of one tensor in the parameter's shape."""
    scale: float = 1.0
    part: int = 0
    parts: int = 1
    """The rows of `up` are those of this many parameters; this is number `part` of them."""


@dataclass(frozen=True, slots=True)
class Adapter:
    """A file whose every key is accounted for; its numbers are not read yet."""

    file: TensorFile
    changes: list[Change]

    def factors(self, change: Change, device: str) -> tuple[torch.Tensor, torch.Tensor]:
        """Return a change of a matrix as float32 (rank, in) and (out, rank), the scale in it."""
        down, *more = (self.file.read(key, device).float().flatten(1) for key in change.keys)
        up = more[0] if more else torch.eye(len(down), device=device)
        return down, up.chunk(change.parts)[change.part] * change.scale

    def whole(self, change: Change, device: str) -> torch.Tensor:
        """Return a change as float32 in the parameter's own shape."""
        if len(change.keys) == 1:
            plain: torch.Tensor = self.file.read(change.keys[0], device).float() * change.scale
            return plain.reshape(change.shape)
        down, up = self.factors(change, device)
        return (up @ down).reshape(change.shape)


def open_adapter(path: Path, class_name: str, shapes: Mapping[str, Shape]) -> Adapter:
    """Return the adapter in `path`, checked against the network that it is to change.

    Args:
        path: of a safetensors file.
        class_name: the network's, one of `match.LAYOUTS`.
        shapes: of the network's parameters.

    Raises:
        BadFile: where a key changes nothing in the network, has another shape or no partner; says
            which model the file seems made for.
    """
    reader = _Reader(open_tensors(path), class_name, shapes, _parameters(class_name, shapes))
    changes = list(reader.changes())
    if problems := reader.problems:
        more = f"; and {len(problems) - SHOWN} more" if len(problems) > SHOWN else ""
        shown = "; ".join(sorted(problems)[:SHOWN]) + more
        made_for = seems({key: entry.shape for key, entry in reader.file.entries.items()})
        raise BadFile(f"{path}: does not fit {class_name}: {shown}{made_for}")
    if not changes:
        raise BadFile(f"{path}: changes nothing in {class_name}; it holds no adapter")
    return Adapter(reader.file, changes)


def _parameters(class_name: str, shapes: Mapping[str, Shape]) -> dict[str, tuple[str, ...]]:
    """Return the parameters that each name stands for, in any layout, with underscores only."""
    found: dict[str, tuple[str, ...]] = {}
    for layout in LAYOUTS[class_name]:
        for target in shapes:
            source = layout.source_of(target)
            named = layout.rule_of(source)
            targets = named[1] if named else ()
            if set(targets) <= shapes.keys():
                found[_flat(source)] = targets or (target,)
    return found


def _flat(name: str) -> str:
    return name.replace(".", "_")


@dataclass(slots=True)
class _Reader:
    """Reads the changes out of a file's header, and keeps what is wrong with it."""

    file: TensorFile
    class_name: str
    shapes: Mapping[str, Shape]
    parameters: Mapping[str, tuple[str, ...]]
    problems: list[str] = field(default_factory=list)

    def changes(self) -> Iterator[Change]:
        told = _told(self.file.path)
        seen: dict[str, Change] = {}
        for stem, keys in self._layers().items():
            for change in self._of_layer(stem, keys, told):
                first = seen.setdefault(change.target, change)
                if first is change:
                    yield change
                elif not self._same(first, change):
                    self._wrong(
                        change.keys[0], f"changes {change.target} unlike {first.keys[0]!r} does"
                    )

    def _layers(self) -> dict[str, dict[str, str]]:
        """Return the keys of each layer, by its name with underscores only and by their roles."""
        layers: dict[str, dict[str, str]] = {}
        for key, entry in self.file.entries.items():
            end = next((end for end in ROLES if key.endswith(end)), "")
            if not end:
                self._wrong(key, "is none of an adapter that is read here: LoRA and plain diffs")
            elif entry.dtype not in FLOATS:
                self._wrong(key, f"is stored as {entry.dtype}, expected BF16, F16 or F32")
            else:
                layers.setdefault(_flat(key.removesuffix(end)), {})[ROLES[end]] = key
        return layers

    def _of_layer(self, stem: str, keys: Keys, told: Mapping[str, object]) -> Iterator[Change]:
        weight = self._found(stem, "_weight") or self._found(stem, "")
        if "down" in keys and "up" in keys:
            yield from self._low_rank(weight, keys, told)
        else:
            for role in keys.keys() & {"down", "up", "up_bias", "alpha"}:
                self._wrong(keys[role], "has no partner: `down` and `up` (A and B) come together")
        for role, targets in (
            ("diff", weight),
            ("diff_b", self._found(stem, "_bias")),
            ("diff_m", self._found(stem, "_modulation")),
        ):
            if role in keys:
                yield from self._plain(targets, keys[role], 1.0)
        if {"down", "up", "up_bias"} <= keys.keys():
            scale = self._scale(keys, told)
            yield from self._plain(self._found(stem, "_bias"), keys["up_bias"], scale)

    def _low_rank(
        self, targets: tuple[str, ...], keys: Keys, told: Mapping[str, object]
    ) -> Iterator[Change]:
        down, up = (self.file.entries[keys[role]].shape for role in ("down", "up"))
        if not targets:
            self._wrong(keys["down"], f"is of no layer that {self.class_name} has")
            return
        rows, *columns = self.shapes[targets[0]]
        rank = down[0] if down else 0
        wanted = (rank, math.prod(columns)), (rows * len(targets), rank)
        for key, shape, fits in zip((keys["down"], keys["up"]), (down, up), wanted, strict=True):
            if not rank or (*shape[:1], math.prod(shape[1:])) != fits:
                self._wrong(key, f"has shape {list(shape)}, expected {list(fits)}")
                return
        scale = self._scale(keys, told)
        pair = keys["down"], keys["up"]
        for part, target in enumerate(targets):
            yield Change(target, self.shapes[target], pair, scale, part, len(targets))

    def _plain(self, targets: tuple[str, ...], key: str, scale: float) -> Iterator[Change]:
        shape = self.file.entries[key].shape
        if len(targets) != 1:
            self._wrong(key, f"is of no layer that {self.class_name} has")
        elif _squeezed(shape) != _squeezed(self.shapes[targets[0]]):
            expected = list(self.shapes[targets[0]])
            self._wrong(key, f"has shape {list(shape)}, expected {expected}")
        else:
            yield Change(targets[0], self.shapes[targets[0]], (key,), scale)

    def _scale(self, keys: Keys, told: Mapping[str, object]) -> float:
        """Return alpha / rank: alpha from beside the layer or from the file's words, else 1."""
        rank = self.file.entries[keys["down"]].shape[0]
        alpha, root = told.get("lora_alpha"), bool(told.get("use_rslora"))
        if "alpha" in keys:
            if self.file.entries[keys["alpha"]].numbers != 1:
                self._wrong(keys["alpha"], "is not one number")
                return 1.0
            alpha, root = float(self.file.read(keys["alpha"], "cpu")), False
        if alpha is None:
            return 1.0
        if not isinstance(alpha, float | int) or not math.isfinite(alpha):
            self._wrong(keys["down"], f"has the alpha {alpha!r}, which is no number")
            return 1.0
        return alpha / (math.sqrt(rank) if root else rank)

    def _found(self, stem: str, leaf: str) -> tuple[str, ...]:
        """Return the parameters of a layer, whatever its trainer puts before its name."""
        for prefix in PREFIXES:
            name = stem.removeprefix(prefix) + leaf
            if stem.startswith(prefix) and name in self.parameters:
                return self.parameters[name]
        return ()

    def _same(self, first: Change, second: Change) -> bool:
        """Return whether a layer's second name holds its first one's numbers, as some files do.

        Z-Image's q, k and v are written both fused and apart (diffusers issue 13203).
        """
        file = Adapter(self.file, [])
        one, two = (file.whole(change, "cpu") for change in (first, second))
        return bool((one - two).abs().max() <= 0.02 * one.abs().max())  # bfloat16 rounds by 0.4 %

    def _wrong(self, key: str, problem: str) -> None:
        self.problems.append(f"key {key!r} {problem}")


def _squeezed(shape: Shape) -> list[int]:
    return [side for side in shape if side != 1]


def _told(path: Path) -> dict[str, object]:
    """Return what diffusers writes of PEFT's settings into a file's header, alpha among them.

    Raises:
        BadFile: where they give single layers an alpha of their own, or are no JSON object.
    """
    from safetensors import safe_open

    with safe_open(path, framework="pt") as file:
        words = (file.metadata() or {}).get("lora_adapter_metadata", "{}")
    try:
        told = {name.removeprefix("transformer."): v for name, v in json.loads(words).items()}
    except (ValueError, AttributeError, RecursionError) as error:
        raise BadFile(f"{path}: has broken metadata: {error}; save it again") from None
    if told.get("alpha_pattern"):
        raise BadFile(f"{path}: has an alpha_pattern, which is not read; save it with .alpha keys")
    return told
