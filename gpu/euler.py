"""Plain Euler steps in place of a model's own sampler: what adapters for few steps are made for.

Their few steps lie on the grid σ = s·u / (1 + (s - 1)·u) for u = 1, 1 - 1/n, …, 1/n, with shift s,
and go straight: x + (σ' - σ)·v. Source: LightX2V's and ComfyUI's settings for its 4-step adapters
(Euler, `simple`, shift 5).
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from diffusers import DiffusionPipeline


@contextlib.contextmanager
def straight(pipe: DiffusionPipeline, shift: float | None, steps: int) -> Iterator[None]:
    """Let a leased pipeline take Euler steps on a grid of `shift`; None leaves its sampler.

    UniPC of the first order without its corrector takes just these steps, on this very grid;
    diffusers' own Euler scheduler spaces few steps otherwise (0.42.1).
    """
    if shift is None:
        yield
        return
    from diffusers import UniPCMultistepScheduler

    own = pipe.scheduler
    pipe.scheduler = UniPCMultistepScheduler(
        solver_order=1,
        disable_corrector=list(range(steps)),
        prediction_type="flow_prediction",
        use_flow_sigmas=True,
        flow_shift=shift,
    )
    try:
        yield
    finally:
        pipe.scheduler = own
