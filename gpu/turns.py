"""Networks that take turns on a card, and wait in locked memory: they come at the bus's full speed.

diffusers moves a network by its own `to`: out of plain memory, and back into newly taken memory
though no weight has changed. The change of A14B's experts, 28.6 GB each in bfloat16, took 36 s so;
an H100's bus needs 0.6 s for it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from gpu.locked import hold, parameters

if TYPE_CHECKING:
    from diffusers import DiffusionPipeline


def take_turns(pipe: DiffusionPipeline, device: str) -> None:
    """Let the networks of `pipe` come onto `device` one at a time, as each is called.

    Raises:
        MemoryError: where there is not so much main memory.
    """
    for network in pipe.components.values():
        if isinstance(network, torch.nn.Module):
            vars(network)["to"] = Waiting(network)
    pipe.enable_model_cpu_offload(device=device)


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


class Waiting:
    """A network's `to`, by which its weights leave locked memory, or are let go on the card.

    Args:
        network: in main memory.
    """

    def __init__(self, network: torch.nn.Module) -> None:
        self._network = network
        weights = parameters([network])
        self._memory = hold(weights)
        self._weights = [_Weight(tensor, tensor.data, tensor.data) for tensor in weights]

    def __call__(self, *args: Any, **kwargs: Any) -> torch.nn.Module:  # noqa: ANN401  (as torch's)
        """Move the network, as `torch.nn.Module.to` does with the same arguments."""
        asked: tuple[Any, ...] = torch._C._nn._parse_to(*args, **kwargs)
        device, dtype, *_ = asked
        if device is not None and dtype is None:
            for weight in self._weights:
                weight.move(device)
        return type(self._network).to(self._network, *args, **kwargs)  # what came since
