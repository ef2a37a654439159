"""Muon for matrices, AdamW for the rest, a moving average: small transformers train fast."""

import itertools
from collections.abc import Iterable

import torch
from torch import Tensor, nn

from gpu.mini.untyped import Untyped


class Muon:
    """Momentum made orthogonal by five Newton-Schulz steps, batched over equal shapes.

    After K. Jordan, "Muon" (2024); the update's RMS is matched to AdamW's by 0.2 sqrt(max side).
    """

    def __init__(self, params: Iterable[nn.Parameter], momentum: float = 0.95) -> None:
        self.params, self.momentum = list(params), momentum
        self.groups: dict[tuple[int, ...], list[Tensor]] = {}
        for p in self.params:
            self.groups.setdefault(tuple(p.shape), []).append(p)
        self.buffers = {
            s: torch.zeros((len(v), *s), device=v[0].device) for s, v in self.groups.items()
        }

    @torch.no_grad()
    def step(self, rate: float, decay: float = 0.01) -> None:
        """One update of every matrix that has a gradient."""
        for shape, params in self.groups.items():
            grads = [p.grad if p.grad is not None else torch.zeros_like(p) for p in params]
            g = torch.stack(grads).float()
            self.buffers[shape].lerp_(g, 1 - self.momentum)
            x = g.lerp(self.buffers[shape], self.momentum).bfloat16()
            tall = shape[0] > shape[1]
            x = x.mT if tall else x
            x = x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)
            for _ in range(5):
                a = x @ x.mT
                x = 3.4445 * x + (-4.7750 * a + 2.0315 * a @ a) @ x
            x = (x.mT if tall else x).float() * (0.2 * max(shape) ** 0.5)
            torch._foreach_mul_(params, 1 - rate * decay)
            torch._foreach_add_(params, list(x.unbind(0)), alpha=-rate)


class Optimizer:
    """Muon on the blocks' matrices, AdamW on everything else, and their moving average."""

    def __init__(
        self, named: Iterable[tuple[str, nn.Parameter]], muon_rate: float = 1.5e-3
    ) -> None:
        named = list(named)
        matrices = [p for n, p in named if p.dim() == 2 and (".layers." in n or ".blocks." in n)]
        taken = {id(p) for p in matrices}
        self.rest = [p for _, p in named if id(p) not in taken]
        self.muon, self.muon_rate = Muon(matrices), muon_rate
        fused = self.rest[0].is_cuda
        self.adam = torch.optim.AdamW(
            self.rest, 1e-3, betas=(0.9, 0.95), weight_decay=0.0, fused=fused
        )
        self.all: list[Tensor] = [*matrices, *self.rest]
        self.average = [p.detach().clone() for p in self.all]
        self.count = 0

    @torch.no_grad()
    def step(self, factor: float) -> float:
        """One update at ``factor`` of the top rates; returns AdamW's gradient norm."""
        norm = nn.utils.clip_grad_norm_(self.rest, 1.0)
        self.muon.step(self.muon_rate * factor)
        for group in self.adam.param_groups:
            group["lr"] = 1e-3 * factor
        self.adam.step()
        self.count += 1
        # A window of about 5 % of the steps: short at first, longer as the loss settles.
        torch._foreach_lerp_(self.average, self.all, 19 / (self.count + 20))
        for p in self.all:
            p.grad = None
        return float(norm) if self.count % 100 == 1 else 0.0

    @torch.no_grad()
    def swap(self) -> None:
        """Exchanges the live weights with their moving average (call twice to return)."""
        for p, a in zip(self.all, self.average, strict=True):
            kept = p.detach().clone()
            p.copy_(a)
            a.copy_(kept)


def ramp(done: float, step: int, rates: tuple[float, float], warmup: int = 150) -> float:
    """Learning-rate factor: warm-up, then straight from the first rate to the second."""
    first, last = rates
    return min(1.0, (step + 1) / warmup) * (first + (last - first) * min(1.0, done))


def parameters(**modules: Untyped) -> list[tuple[str, nn.Parameter]]:
    """Named parameters of several modules, each name with its module's in front."""
    named = ([(f"{k}.{n}", p) for n, p in m.named_parameters()] for k, m in modules.items())
    return list(itertools.chain.from_iterable(named))


def shifted_sigmas(count: int, shift: float, device: Untyped) -> Tensor:
    """Noise levels: logit-normal with 15 % uniform, moved to ``shift`` as the scheduler's are."""
    s = torch.sigmoid(torch.randn(count, device=device))
    s = torch.where(torch.rand(count, device=device) < 0.15, torch.rand(count, device=device), s)
    return shift * s / (1 + (shift - 1) * s)
