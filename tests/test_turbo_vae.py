"""Wan's decoder with caches in and out: equal to the library's, one graph for all groups."""

from __future__ import annotations

import pytest
import torch
from diffusers import AutoencoderKLWan

from gpu.turbo import wan_vae

pytestmark = pytest.mark.slow

SMALL = {"base_dim": 8, "z_dim": 4, "num_res_blocks": 1, "latents_mean": [0.0] * 4}
KINDS = {
    "wan 2.1": {"dim_mult": [1, 2, 4, 4]},
    "wan 2.2": {
        "dim_mult": [1, 2, 4, 4], "is_residual": True, "in_channels": 12, "out_channels": 12,
        "patch_size": 2, "decoder_base_dim": 12,
    },
}  # fmt: skip


@pytest.fixture(params=KINDS)
def vae(request):
    """An autoencoder whose every weight matters."""
    torch.manual_seed(0)
    made = AutoencoderKLWan(**SMALL, **KINDS[request.param], latents_std=[1.0] * 4).eval()
    for weight in made.parameters():
        weight.data += 0.05 * torch.randn_like(weight)
    return made.requires_grad_(False)


def whole(vae, z, **ways):
    return torch.cat(list(wan_vae.decode(vae, z, **ways)), 1)


def theirs(vae, z):
    return vae.decode(z, return_dict=False)[0].permute(0, 2, 3, 4, 1) / 2 + 0.5


@pytest.mark.parametrize("length", [1, 2, 5])
def test_equals_the_library(vae, length):
    """Clips of 1, 5 and 17 frames, float32: largest error 1e-5 of 1."""
    z = torch.randn(1, 4, length, 4, 6)
    ours, right = whole(vae, z), theirs(vae, z)
    assert ours.shape == right.shape
    assert right.std() > 0.1
    assert (ours - right).abs().max() < 1e-5


@pytest.mark.parametrize("size", [2, 3])
def test_the_size_of_groups_changes_nothing(vae, size):
    """Also where the last is filled up: five latent frames after the first, in groups of 2 or 3."""
    z = torch.randn(1, 4, 6, 4, 4)
    pixels, past = wan_vae.group(vae, z[:, :, :1], None)
    made = [pixels]
    for start in range(1, 6, size):
        pixels, past = wan_vae.group(vae, z[:, :, start : start + size], past)
        made.append(pixels)
    assert (torch.cat(made, 1) - theirs(vae, z)).abs().max() < 1e-5


def test_pairs_of_frames_change_nothing(vae):
    """Two frames as channels, where that is faster: the same sums, in another order."""
    names, z = list(vae.state_dict()), torch.randn(1, 4, 3, 4, 6)
    right = theirs(vae, z)
    wan_vae.pair_frames(vae)
    assert vae.decoder.conv_out.for_pairs.shape[2:] == (2, 3, 3)
    assert (whole(vae, z) - right).abs().max() < 1e-5
    assert list(vae.state_dict()) == names


def test_groups_come_one_by_one(vae):
    """The first frame is there before the second latent is looked at."""
    groups = wan_vae.decode(vae, torch.randn(1, 4, 3, 4, 4))
    assert [group.shape[1] for group in groups] == [1, 4, 4]


def test_what_is_remembered_keeps_its_shape(vae):
    """So that the graph of the second group is that of all later ones; and it holds two frames."""
    z = torch.randn(1, 4, 3, 4, 4)
    _, first = wan_vae.group(vae, z[:, :, :1], None)
    _, later = wan_vae.group(vae, z[:, :, 1:2], first)
    _, last = wan_vae.group(vae, z[:, :, 2:], later)
    assert [x.shape for x in first] == [x.shape for x in later]
    for one, other in ((first, later), (later, last)):
        assert [(x.stride(), x.dtype) for x in one] == [(x.stride(), x.dtype) for x in other]
    assert all(x.shape[2] == 2 and x.untyped_storage().nbytes() == x.nbytes for x in last)
