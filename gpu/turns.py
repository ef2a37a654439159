"""Networks that take turns on a card, and wait in locked memory: they come at the bus's full speed.

diffusers moves a network by its own `to`: out of plain memory, and back into newly taken memory
though no weight has changed. The change of A14B's experts, 28.6 GB each in bfloat16, took 36 s so;
an H100's bus needs 0.6 s for it, and a step with it takes 7.5 s for 43.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from gpu.locked import fits, hold, parameters

if TYPE_CHECKING:
    from diffusers import DiffusionPipeline


def take_turns(pipe: DiffusionPipeline, device: str) -> None:
    """Let the networks of `pipe` come onto `device` one at a time, as each is called.

    Raises:
        MemoryError: where there is not so much main memory.
    """
    networks = [part for part in pipe.components.values() if isinstance(part, torch.nn.Module)]
    if not fits(parameters(networks)):
        pipe.enable_model_cpu_offload(device=device)
        return
    for network in networks:
        vars(network)["to"] = Waiting(network, networks)
    pipe.enable_model_cpu_offload(device=device)

    def leave() -> None:
        for network in networks:
            network.to("cpu")

    # diffusers' own puts all hooks on anew after each call, by which accelerate takes `to` away.
    pipe.maybe_free_model_hooks = leave


@dataclass(slots=True)
class _Weight:
    """A parameter or buffer."""

    tensor: torch.Tensor
    here: torch.Tensor
    """Its numbers in locked memory, where they stay."""
    now: torch.Tensor
    """Those that it was last given."""

    def move(self, device: torch.device) -> None:
        """Copy onto a card, or forget the copy; what an adapter has put in its place stays."""
        if self.tensor.data_ptr() == self.now.data_ptr():
            away = device.type != "cpu"
            self.now = self.here.to(device, non_blocking=True) if away else self.here
            self.tensor.data = self.now
        else:
            self.now = self.here  # a copy on a card is let go


class Waiting:
    """A network's `to`, by which its weights leave locked memory, or are let go on the card.

    As it comes, all others go: diffusers lets the text encoder stay while a keyframe is encoded,
    for which 24 GB were too few.

    Args:
        network: in main memory.
        all_of: those that take turns with it.
    """

    def __init__(self, network: torch.nn.Module, all_of: Sequence[torch.nn.Module] = ()) -> None:
        self._network = network
        self._others = [other for other in all_of if other is not network]
        weights = parameters([network])
        self._memory = hold(weights)
        self._weights = [_Weight(tensor, tensor.data, tensor.data) for tensor in weights]

    def __call__(self, *args: Any, **kwargs: Any) -> torch.nn.Module:  # noqa: ANN401  (as torch's)
        """Move the network, as `torch.nn.Module.to` does with the same arguments."""
        asked: tuple[Any, ...] = torch._C._nn._parse_to(*args, **kwargs)
        device, dtype, *_ = asked
        if device is not None and dtype is None:
            for other in self._others if device.type != "cpu" else ():
                other.to("cpu")
            for weight in self._weights:
                weight.move(device)
        return type(self._network).to(self._network, *args, **kwargs)  # what came since
