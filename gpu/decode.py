"""A clip's frames from its latents, group by group: one is copied out while the next is decoded."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from gpu.image import to_bytes
from gpu.turbo import wan_vae

if TYPE_CHECKING:
    import numpy as np
    from diffusers import DiffusionPipeline
    from numpy.typing import NDArray


def frames(
    pipe: DiffusionPipeline,
    latents: Tensor,
    dtype: str,
    *,
    compiled: bool,
    before_group: Callable[[], None],
) -> Iterator[NDArray[np.uint8]]:
    """Yield the RGB frames of `latents` in groups of (frames, height, width, 3), in order.

    Args:
        pipe: whose autoencoder decodes; an offload brings it in, and is told of the end.
        latents: (1, z, T, H/8, W/8), normalised, as the pipelines give them.
        dtype: the number format computed in, for people.
        compiled: see `wan_vae.decode`.
        before_group: called before each group is begun; what it raises ends the work.

    Raises:
        Rejected: where a value is not a number.
    """
    waiting: Callable[[], NDArray[np.uint8]] | None = None
    for pixels in _groups(pipe, latents, compiled=compiled, before_group=before_group):
        begun = _send(pixels, dtype)
        if waiting:
            yield waiting()
        waiting = begun
    if waiting:
        yield waiting()
    pipe.maybe_free_model_hooks()


@torch.no_grad()
def _groups(
    pipe: DiffusionPipeline, latents: Tensor, *, compiled: bool, before_group: Callable[[], None]
) -> Iterator[Tensor]:
    """Yield pixels of [0, 1] as (frames, height, width, 3)."""
    vae = pipe.vae
    if hasattr(vae, "_hf_hook"):  # of an offload, which diffusers' own `decode` calls
        vae._hf_hook.pre_forward(vae)
    latents = restored(vae, latents)
    before_group()
    if vae.use_tiling:
        whole = vae.decode(latents, return_dict=False)[0][0]
        yield whole.permute(1, 2, 3, 0) / 2 + 0.5
        return
    for pixels in wan_vae.decode(vae, latents, compiled=compiled):
        yield pixels[0]
        before_group()


def restored(vae: Any, latents: Tensor) -> Tensor:  # noqa: ANN401  (diffusers publishes no types)
    """Return latents as the autoencoder makes them, z·std + mean, rounded as diffusers does."""
    latents = latents.to(vae.device, vae.dtype)
    mean, std = (
        torch.tensor(one).view(1, -1, 1, 1, 1)
        for one in (vae.config.latents_mean, vae.config.latents_std)
    )
    return latents / (1.0 / std).to(latents) + mean.to(latents)


def _send(pixels: Tensor, dtype: str) -> Callable[[], NDArray[np.uint8]]:
    """Begin to copy pixels to main memory; returns what waits for them, but for nothing later."""
    if not pixels.is_cuda:
        made = to_bytes(pixels, dtype)
        return lambda: made
    sound, levels = pixels.isfinite().all(), pixels.float().mul(255).round().byte()
    # Pinned: from other memory a copy would wait for all work begun before.
    flag, host = (torch.empty(x.shape, dtype=x.dtype, pin_memory=True) for x in (sound, levels))
    flag.copy_(sound, non_blocking=True)
    host.copy_(levels, non_blocking=True)
    copied = torch.cuda.Event()  # type: ignore[no-untyped-call]
    copied.record()

    def wait() -> NDArray[np.uint8]:
        copied.synchronize()
        return host.numpy() if flag else to_bytes(pixels, dtype)  # which raises

    return wait
