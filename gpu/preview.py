"""What a picture in the making looks like, from its latents by one matrix: no decoding.

Autoencoders of pictures keep a pixel block's mean colour nearly linear in its latent channels. The
matrix of each is found by least squares over smooth random pictures that it encodes itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

if TYPE_CHECKING:
    import torch
    from diffusers import DiffusionPipeline
    from PIL.Image import Image

PICTURES = 8
SIDE = 128
"""Pixels; 8 pictures of 16x16 latents are 2,048 equations for the 17 unknowns of a colour (13 for
the shipped model's 12 channels, 49 for Wan 2.2's 48 at a fourth of the equations)."""

_FOUND: WeakKeyDictionary[Any, torch.Tensor] = WeakKeyDictionary()
"""By autoencoder: found once for as long as it is loaded."""


def look(pipe: DiffusionPipeline, denoised: torch.Tensor) -> Image:
    """Return latents as an RGB picture of their own size: an eighth or a sixteenth of the real one.

    Args:
        pipe: whose autoencoder would decode them.
        denoised: (1, channels, height, width), or (1, channels, frames, height, width), of which
            the middle frame is shown: where it will have moved.
    """
    from PIL import Image

    if denoised.ndim == 5:
        denoised = denoised[:, :, denoised.shape[2] // 2]
    levels = _with_one(denoised.float())[0] @ colours(pipe)
    return Image.fromarray(levels.clamp(0, 1).mul(255).round().byte().cpu().numpy())


def colours(pipe: DiffusionPipeline) -> torch.Tensor:
    """Return the (channels + 1, 3) matrix from latents and 1 to RGB of [0, 1], finding it once.

    Asked for before a picture is begun: the encoder's memory is not on top of the transformer's.
    """
    if pipe.vae not in _FOUND:
        _FOUND[pipe.vae] = _find(pipe)
    return _FOUND[pipe.vae]


def _find(pipe: DiffusionPipeline) -> torch.Tensor:
    import torch

    with torch.inference_mode():
        pictures = _smooth_pictures().to(pipe._execution_device)
        latents = encode(pipe, pictures)
        seen = torch.nn.functional.interpolate(pictures, latents.shape[-2:], mode="area")
        known = _with_one(latents.float()).flatten(0, 2)
        wanted = seen.permute(0, 2, 3, 1).flatten(0, 2)
        # The gelsd driver of LAPACK is the CPU's alone, and takes what is nearly dependent.
        found: torch.Tensor = torch.linalg.lstsq(known.cpu(), wanted.cpu(), driver="gelsd").solution
    return found.to(latents.device)


def _smooth_pictures() -> torch.Tensor:
    """Return random pictures, mostly smooth: (PICTURES, 3, SIDE, SIDE) of [0, 1].

    With a contrast of 1.6 plain colours come out within 25 levels; with 0.8, white by 50.
    """
    import torch

    chance = torch.Generator("cpu").manual_seed(0)
    coarse, fine = (
        torch.nn.functional.interpolate(
            torch.rand(PICTURES, 3, cells, cells, generator=chance), (SIDE, SIDE), mode="bicubic"
        )
        for cells in (3, 16)
    )
    return (0.5 + 1.6 * (coarse - 0.5) + 0.4 * (fine - 0.5)).clamp(0, 1)


def encode(pipe: DiffusionPipeline, pictures: torch.Tensor) -> torch.Tensor:
    """Return the latents of pictures, scaled as the transformer knows them.

    Args:
        pipe: of the Z-Image or Wan classes.
        pictures: (n, 3, height, width) of [0, 1].

    Returns:
        (n, channels, height, width); a video's autoencoder takes each as a clip of one frame.
    """
    import torch

    vae = pipe.vae
    signed = (pictures * 2 - 1).to(vae.dtype)
    if not hasattr(pipe, "vae_scale_factor_temporal"):
        plain: torch.Tensor = vae.encode(signed).latent_dist.mode()
        scaled: torch.Tensor = (plain - vae.config.shift_factor) * vae.config.scaling_factor
        return scaled
    moving: torch.Tensor = vae.encode(signed.unsqueeze(2)).latent_dist.mode()[:, :, 0]
    shape = (1, -1, 1, 1)
    mean, std = (
        torch.tensor(numbers, device=moving.device).view(shape)
        for numbers in (vae.config.latents_mean, vae.config.latents_std)
    )
    still: torch.Tensor = (moving - mean) / std
    return still


def _with_one(latents: torch.Tensor) -> torch.Tensor:
    """Return (n, height, width, channels + 1), the last one 1."""
    import torch

    last = latents.movedim(1, -1)
    return torch.cat([last, torch.ones_like(last[..., :1])], dim=-1)
