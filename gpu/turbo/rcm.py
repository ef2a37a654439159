"""The few-step sampler of rCM-distilled Wan models, as a scheduler for diffusers' Wan pipelines.

TrigFlow (arXiv 2410.11081) mixes picture and noise as x = cos(a)·x0 + sin(a)·e with tan(a) = sigma;
rectified flow, which Wan's network knows, as x = (1 - t)·x0 + t·e with velocity v = e - x0. Equal
shares of noise to picture, tan(a) = t / (1 - t), give

    t = sin(a) / (cos(a) + sin(a))

    pipe.scheduler = RCMScheduler(sigma_max=200, ode=True)
    pipe(..., latents=pipe.scheduler.start(shape, seed), num_inference_steps=4)

Source of times and steps: rCM (arXiv 2510.08431) and the inference scripts of thu-ml/TurboDiffusion
at aaecff5.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from diffusers import ConfigMixin, SchedulerMixin
from diffusers.configuration_utils import register_to_config
from diffusers.schedulers.scheduling_utils import SchedulerOutput
from torch import Tensor

from configs.errors import BadInput
from configs.model import TURBO_STEPS

ANGLES = (1.5, 1.4, 1.0)
"""TrigFlow angles after the first: four steps, or less, were distilled."""


def flow_times(sigma_max: float, steps: int) -> Tensor:
    """Return the rectified-flow times of `steps` steps, falling to 0: float64, (steps + 1,).

    Args:
        sigma_max: noise to picture at the start; 80 for text-to-video, 200 for image-to-video.
        steps: 1 to 4.

    Raises:
        BadInput: where the model wasn't distilled for `steps`, or `sigma_max` starts too late.
    """
    if steps not in range(1, TURBO_STEPS + 1):
        raise BadInput(f"steps: {steps!r} for a model distilled for 1 to {TURBO_STEPS} steps")
    if not math.tan(ANGLES[0]) < sigma_max < math.inf:
        least = math.tan(ANGLES[0])
        raise BadInput(f"sigma_max: {sigma_max!r} is not above {least:.1f}, the second step's")
    angles = torch.tensor([math.atan(sigma_max), *ANGLES[: steps - 1], 0], dtype=torch.float64)
    return torch.sin(angles) / (torch.cos(angles) + torch.sin(angles))


class RCMScheduler(SchedulerMixin, ConfigMixin):  # type: ignore[misc]
    """Steps from noise to picture in one to four evaluations of the network.

    Owns the noise, since the Wan pipelines neither scale the first nor pass a generator on: `start`
    makes the latents to give the pipeline and seeds the draws of the steps. Call it for each clip.

    Args:
        sigma_max: see `flow_times`.
        ode: walk straight on (sharper) rather than draw new noise in each step (more robust).
        num_train_timesteps: the network's times per unit of `t`.
    """

    order = 1

    @register_to_config  # type: ignore[untyped-decorator]
    def __init__(
        self, sigma_max: float = 80.0, ode: bool = False, num_train_timesteps: int = 1000
    ) -> None:
        self._source: torch.Generator | None = None
        self.set_timesteps(TURBO_STEPS)

    def start(self, shape: Sequence[int], seed: int) -> Tensor:
        """Return the first latents, t0·e in float32 on the CPU, and seed all noise to come.

        A generator on the CPU gives the same noise on every kind of device.
        """
        self._source = torch.Generator("cpu").manual_seed(seed)
        first = float(flow_times(self.config.sigma_max, 1)[0])
        return (self._noise(tuple(shape)).double() * first).float()

    def set_timesteps(
        self, num_inference_steps: int, device: torch.device | str | None = None
    ) -> None:
        """Lay out the steps: `sigmas` hold t, `timesteps` what the network is told.

        The reference hands 1000·t over in bfloat16, so the network has only seen 988 (996 where
        sigma_max is 200), 932, 852 and 608.

        Raises:
            BadInput: see `flow_times`.
        """
        self.sigmas = flow_times(self.config.sigma_max, num_inference_steps)
        told = self.sigmas[:-1].float().double() * self.config.num_train_timesteps
        self.timesteps = told.bfloat16().float().to(device)
        self.set_begin_index(0)

    def set_begin_index(self, begin_index: int = 0) -> None:
        """Go on from step `begin_index`; the pipelines say 0 before their first."""
        self._step = begin_index

    def step(
        self,
        model_output: Tensor,
        timestep: Tensor | float,
        sample: Tensor,
        return_dict: bool = True,
    ) -> SchedulerOutput | tuple[Tensor]:
        """Return the latents after one step, in float64 as the reference keeps them.

        From t to s: x - (t - s)·v as an ODE, else (1 - s)·(x - t·v) + s·e with new noise e.

        Args:
            model_output: velocity v at `sample`, of its shape.
            timestep: unused, as steps are taken in order.
            sample: latents x at t.
            return_dict: whether to wrap the latents as diffusers does.
        """
        now, after = self.sigmas[self._step : self._step + 2].tolist()
        x, velocity = sample.double(), model_output.double()
        if self.config.ode or not after:
            x = x - (now - after) * velocity
        else:
            x = (1 - after) * (x - now * velocity) + after * self._noise(sample.shape).to(
                sample.device
            )
        self._step += 1
        return SchedulerOutput(prev_sample=x) if return_dict else (x,)

    def _noise(self, shape: Sequence[int]) -> Tensor:
        if self._source is None:
            raise RuntimeError("RCMScheduler.start makes the latents, and was not called")
        return torch.randn(shape, generator=self._source, device="cpu")
