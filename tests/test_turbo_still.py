"""A picture and zeros, encoded with each frame that must come out alike computed once."""

from __future__ import annotations

import pytest
import torch
from diffusers import AutoencoderKLWan

from gpu.turbo import wan_still

pytestmark = pytest.mark.slow


@pytest.fixture(params=[None, 2], ids=["wan 2.1", "patches"])
def vae(request):
    """An autoencoder whose every weight matters."""
    torch.manual_seed(0)
    channels = 3 * (request.param or 1) ** 2
    made = AutoencoderKLWan(
        base_dim=8, z_dim=4, num_res_blocks=1, latents_mean=[0.0] * 4, latents_std=[1.0] * 4,
        in_channels=channels, out_channels=channels, patch_size=request.param,
    ).eval()  # fmt: skip
    for weight in made.parameters():
        weight.data += 0.05 * torch.randn_like(weight)
    return made.requires_grad_(False)


def still(frames: int) -> torch.Tensor:
    """A picture, then zeros."""
    torch.manual_seed(1)
    clip = torch.zeros(1, 3, frames, 16, 32)
    clip[:, :, 0] = torch.rand(1, 3, 16, 32) * 2 - 1
    return clip


@pytest.mark.parametrize("frames", [5, 9, 33, 81])
def test_equals_the_library(vae, frames):
    """Largest error 1e-5 of the largest value, also where the clip ends before frames are alike."""
    right = vae._encode(still(frames))
    ours = wan_still.encode(vae, still(frames))
    assert ours.shape == right.shape
    assert (ours - right).abs().max() < 1e-5 * right.abs().max()
    assert right[:, :, 1:].std() > 1e-3


def test_alike_frames_are_computed_once(vae):
    """The first level sees 8 of 81 frames: one, and for each of its three convolutions two, and

    the one that stands for the rest.
    """
    seen = []
    vae.encoder.down_blocks[0].norm2.register_forward_hook(
        lambda module, given, out: seen.append(out.shape[2])
    )
    wan_still.encode(vae, still(81))
    assert seen == [8]


def test_only_stills_are_encoded_so(vae):
    """A clip that moves takes the library's way, with the library's numbers."""
    moving = torch.rand(1, 3, 9, 16, 32)
    right = vae.encode(moving).latent_dist.mode()
    right_still = vae.encode(still(9)).latent_dist.mode()
    wan_still.encode_stills(vae)
    assert torch.equal(vae.encode(moving).latent_dist.mode(), right)
    assert torch.allclose(vae.encode(still(9)).latent_dist.mode(), right_still, atol=1e-5)
