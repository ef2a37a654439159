"""fp8 linears against float32, alone and in whole networks; as a profile asks for them."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from diffusers import ZImageTransformer2DModel
from torch import Tensor, nn

from benchmarks.random_weights import TINY
from configs.errors import BadInput
from configs.model import Profile
from gpu.device import Device, fit_for, pixels
from gpu.fit import Fit
from gpu.image import PictureRequest, draw
from gpu.turbo import fp8
from gpu.turbo.fp8 import RowwiseLinear, multiply, quantise, quantise_rows
from gpu.weights import Weights


def matrix(rows: int, columns: int) -> Tensor:
    """Values with a few large channels, as activations have."""
    torch.manual_seed(rows)
    return torch.randn(rows, columns) * (1 + 8 * (torch.rand(columns) > 0.98))


def test_each_row_has_its_own_scale():
    """The largest value of a row is 448 levels; every value is off by at most a sixteenth."""
    x = matrix(5, 64) * torch.tensor([1e-3, 1, 7, 100, 1e4])[:, None]
    values, scale = quantise_rows(x)
    assert (values.dtype, scale.dtype, scale.shape) == (fp8.FP8, torch.float32, (5, 1))
    assert values.float().abs().amax(1).tolist() == [448] * 5
    off = (values.float() * scale - x).abs()
    assert (off <= x.abs() / 16 + scale * 2**-10).all()  # below 2^-6 levels have equal distances


def test_a_row_of_zeros_stays_zero():
    """The scale never divides by zero."""
    values, scale = quantise_rows(torch.zeros(2, 16))
    assert not values.float().any()
    assert (scale > 0).all()


def test_a_product_is_that_of_the_rounded_factors():
    """In float64 from the same levels: the reference adds no error of its own."""
    x, weight, bias = matrix(7, 64), matrix(24, 64), torch.randn(24)
    values, scale = quantise_rows(weight)
    rounded, scales = quantise_rows(x)
    right = (rounded.double() * scales) @ (values.double() * scale).T + bias
    assert torch.allclose(multiply(x, values, scale, bias).double(), right, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("bias", [True, False])
def test_a_layer_is_near_the_layer_it_came_from(bias: bool):
    """Three mantissa bits of weights and activations: under 4 % of the output's spread."""
    linear = nn.Linear(256, 384, bias=bias)
    layer, x = RowwiseLinear(linear), matrix(3 * 40, 256).view(3, 40, 256)
    right, ours = linear(x), layer(x)
    assert ours.shape == right.shape
    error = (ours - right).norm() / right.norm()
    assert 0.01 < error < 0.04


def test_a_network_keeps_its_modulation_and_its_format():
    """All seven linears of a block, none outside; the network still asks for bfloat16."""
    network = ZImageTransformer2DModel(**TINY["ZImageTransformer2DModel"]).bfloat16()
    quantise(network, "cpu")
    kinds = {name: type(part) for name, part in network.named_modules()}
    ours = {name for name, kind in kinds.items() if kind is RowwiseLinear}
    assert len(ours) == 7 * 3  # a layer, a refiner of noise, one of words
    assert kinds["layers.0.adaLN_modulation.0"] is nn.Linear
    assert not any("embedder" in name or "final" in name for name in ours)
    assert network.dtype == torch.bfloat16


def test_a_card_without_fp8_is_told(monkeypatch: pytest.MonkeyPatch):
    """It says what to write in the profile."""
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: (8, 6))
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "RTX 3090")
    network = ZImageTransformer2DModel(**TINY["ZImageTransformer2DModel"])
    with pytest.raises(BadInput, match=r"quantisation fp8: RTX 3090 has none; write .*none"):
        quantise(network, "cuda")


def test_a_profile_s_quantisation_is_in_the_key():
    """And comes back from it; a profile without one has the key it always had."""
    profile = Profile(device="cuda", picture="p", clip="c", budget_gb=1, quantisation="fp8")
    card = Device("cuda", "card", 85, capability=(9, 0))
    told = pixels(card, fit=fit_for(profile))
    assert told["quantisation"] == "fp8"
    assert Fit.of(told, "none") == fit_for(profile)
    assert pixels(card)["quantisation"] == "none"
    assert Fit.of(pixels(card), "none") == Fit()


@pytest.mark.slow
@pytest.mark.parametrize("offload", ["model", "group"])
def test_a_picture_is_drawn_and_an_offload_changes_no_byte(mini_picture, offload: str):
    """The shipped model in 8 bits: not the same bytes as without, but nearly the same picture."""
    weights = Weights(4)

    def make(fit: Fit):
        spec = replace(mini_picture, fit=fit)
        asked = PictureRequest(spec, "red mug", 64, 64, 2, 7, max_tokens=128)
        return torch.frombuffer(bytearray(draw(asked, weights).tobytes()), dtype=torch.uint8)

    plain, packed = make(Fit()), make(Fit(quantisation="fp8"))
    assert torch.equal(make(Fit(offload, quantisation="fp8")), packed)
    off = (plain.float() - packed.float()).abs()
    assert 0 < off.mean() < 16
