"""Adapters (LoRA) over loaded weights: put on and taken off, the base never touched or reloaded.

A layer's low-rank change is added to its output by a hook, so that it fits weights of any storage
(bfloat16, fp8, int8, GGUF); plain diffs, of norms and biases, are swapped in and out.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from configs.errors import BadInput
from configs.lora import Expert

if TYPE_CHECKING:
    from diffusers import DiffusionPipeline

EXPERTS = {"high-noise": "transformer", "low-noise": "transformer_2"}
"""What diffusers calls the two experts of Wan 2.2 A14B."""


@dataclass(frozen=True, slots=True)
class LoraFile:
    """One adapter to draw with."""

    path: Path
    sha256: str
    """Of the file: a changed one is another adapter."""
    weight: float = 1.0
    expert: Expert = "both"


def wear(pipe: DiffusionPipeline, loras: tuple[LoraFile, ...]) -> None:
    """Let a leased pipeline draw with just `loras`, in place of those it had on.

    What is on already stays, so a week of shots reads an adapter once. Without any, the pipeline
    is bit for bit what was loaded. Their memory comes on top of the weights' own budget.

    Raises:
        BadFile: where a file does not fit; nothing is on then.
        BadInput: where one is for an expert that the model does not have.
    """
    on, undo = getattr(pipe, "worn", ((), None))
    if on == loras:
        return
    if undo:
        undo.close()
        pipe.worn = (), None
    with contextlib.ExitStack() as steps:
        for name in ("transformer", "transformer_2"):
            if network := getattr(pipe, name, None):
                _put_on(network, [lora for lora in loras if _is_for(lora, name, pipe)], steps)
        pipe.worn = loras, steps.pop_all()


def _is_for(lora: LoraFile, name: str, pipe: DiffusionPipeline) -> bool:
    """Return whether an adapter changes the network of this name."""
    if lora.expert == "both":
        return True
    if getattr(pipe, "transformer_2", None) is None:
        raise BadInput(
            f"{lora.path.name}: is for the {lora.expert} expert, but the model has one transformer;"
            " leave `expert` out"
        )
    return EXPERTS[lora.expert] == name


def _put_on(network: Any, loras: list[LoraFile], undo: contextlib.ExitStack) -> None:  # noqa: ANN401
    """Read `loras` and change `network` by their sum; `undo` takes all of it back."""
    if not loras:
        return
    from gpu.checkpoint.adapter import open_adapter

    shapes = _shapes(network)
    opened = [open_adapter(lora.path, type(network).__name__, shapes) for lora in loras]
    extras: dict[str, _Extra] = {}
    diffs: dict[str, torch.Tensor] = {}
    for lora, adapter in zip(loras, opened, strict=True):
        for change in adapter.changes:
            layer, _, leaf = change.target.rpartition(".")
            if leaf == "weight" and _matrix(network.get_submodule(layer)):
                down, up = adapter.factors(change, network.device)
                extras.setdefault(layer, _Extra()).add(down, up * lora.weight, network.dtype)
            else:
                diff = adapter.whole(change, network.device) * lora.weight
                diffs[change.target] = diffs.get(change.target, 0) + diff
    undo.callback(_settle, network)  # the last that is undone
    for layer, extra in extras.items():
        undo.callback(network.get_submodule(layer).register_forward_hook(extra).remove)
    for name, diff in diffs.items():
        _swap(network.get_parameter(name), diff, undo)
    _settle(network)


def _settle(network: nn.Module) -> None:
    """Make compiled blocks and group offload see changed hooks and parameters: they keep copies."""
    from diffusers.hooks.group_offloading import _maybe_remove_and_reapply_group_offloading

    if any(
        layer._compiled_call_impl or getattr(vars(layer).get("forward"), "is_compiled", False)
        for layer in network.modules()
    ):
        # Else a block with an adapter runs the code of one without, where a file has only some.
        torch._dynamo.config.skip_nnmodule_hook_guards = False
        torch.compiler.reset()  # what was compiled before has no guard on hooks
    _maybe_remove_and_reapply_group_offloading(network)  # as diffusers' own LoRA loader does


def _shapes(network: nn.Module) -> dict[str, tuple[int, ...]]:
    """Return the parameters' shapes; packed weights have those of what they stand for."""
    shapes = {name: tuple(tensor.shape) for name, tensor in network.named_parameters()}
    for name, layer in network.named_modules():
        if shape := _matrix(layer):
            shapes[f"{name}.weight"] = shape
    return shapes


def _matrix(layer: nn.Module) -> tuple[int, int] | None:
    """Return (out, in) of a linear layer, whatever holds its weight, or None for another."""
    if isinstance(layer, nn.Linear):
        return layer.out_features, layer.in_features
    if isinstance(weight := getattr(layer, "int8_weight", None), torch.Tensor):
        rows, columns = weight.shape
        return rows, columns
    return None


class _Extra:
    """What adapters add to one linear layer's output, y + (x·A')·B': a forward hook.

    The A of several stand below each other and their B side by side: one product for all.
    """

    def __init__(self) -> None:
        self.down, self.up = torch.empty(0), torch.empty(0)

    def add(self, down: torch.Tensor, up: torch.Tensor, dtype: torch.dtype) -> None:
        """Take in one more change of (rank, in) and (out, rank), kept as `dtype`."""
        down, up = down.to(dtype), up.to(dtype)
        first = not self.down.numel()
        self.down = down if first else torch.cat((self.down, down))
        self.up = up if first else torch.cat((self.up, up), 1)

    def __call__(
        self, layer: nn.Module, inputs: tuple[torch.Tensor], output: torch.Tensor
    ) -> torch.Tensor:
        """Return the layer's output with the change; it follows the input's device and format."""
        (x,) = inputs
        self.down, self.up = self.down.to(x), self.up.to(x)  # no copy where it is there already
        hidden = x.flatten(0, -2) @ self.down.T
        return output.flatten(0, -2).addmm_(hidden, self.up.T).view_as(output)


def _swap(parameter: nn.Parameter, diff: torch.Tensor, undo: contextlib.ExitStack) -> None:
    """Add `diff` to a parameter; `undo` puts the very tensor back that was there."""
    original = parameter.data

    def restore() -> None:
        parameter.data = original.to(parameter.device)

    undo.callback(restore)
    parameter.data = (original.float() + diff.to(original.device)).to(original.dtype)
