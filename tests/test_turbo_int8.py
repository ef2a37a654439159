"""8-bit linears against exact integer arithmetic, alone and in a whole network."""

from __future__ import annotations

from copy import deepcopy

import pytest
import torch
from diffusers import WanTransformer3DModel
from torch import Tensor, nn

from gpu.turbo.int8 import Int8Linear, multiply, quantise, scaled_matmul
from tests.interpreted import interpreted


def matrix(rows: int, columns: int) -> Tensor:
    """Values with a few large channels, as activations have."""
    torch.manual_seed(rows)
    return torch.randn(rows, columns) * (1 + 8 * (torch.rand(columns) > 0.98))


@pytest.mark.parametrize("shape", [(128, 128), (256, 384), (130, 200), (1, 128)])
def test_levels_and_scales_tile_by_tile(shape: tuple[int, int]):
    """Each tile by itself: max / 128, rounded half to even, held to int8; ragged at both ends."""
    x = matrix(*shape)
    levels, scales = quantise(x)
    assert levels.dtype == torch.int8
    assert levels.shape == shape
    assert scales.shape == (-(-shape[0] // 128), -(-shape[1] // 128))
    for i, rows in enumerate(x.split(128)):
        for j, tile in enumerate(rows.split(128, 1)):
            most = tile.abs().max()
            assert scales[i, j] == most / 128
            right = torch.round(tile * (128 / most)).clamp(-128, 127)
            part = levels[i * 128 : (i + 1) * 128, j * 128 : (j + 1) * 128]
            assert torch.equal(part.float(), right)


def test_the_largest_value_is_held_to_127():
    """-max is level -128, +max would be 128."""
    x = torch.zeros(128, 128)
    x[0, 0], x[0, 1] = 3.0, -3.0
    levels, scales = quantise(x)
    assert levels[0, :3].tolist() == [127, -128, 0]
    assert scales.tolist() == [[3 / 128]]


def test_a_tile_of_zeros():
    """Stays zero: the scale never divides by zero."""
    levels, scales = quantise(torch.zeros(128, 128))
    assert not levels.any()
    assert 0 < scales[0, 0] < 1e-9


def test_products_are_those_of_integers():
    """Against int64 sums for each 128 channels, scaled in float64; largest levels everywhere."""
    torch.manual_seed(0)
    a = torch.randint(-128, 128, (130, 256), dtype=torch.int8)
    b = torch.full((257, 256), -128, dtype=torch.int8)
    a[:2] = -128
    a_scale, b_scale = torch.rand(2, 2), torch.rand(3, 2)
    right = torch.zeros(130, 257, dtype=torch.float64)
    for i in range(130):
        for j in (0, 127, 128, 255, 256):
            for part in range(2):
                channels = slice(128 * part, 128 * part + 128)
                dot = int((a[i, channels].long() * b[j, channels].long()).sum())
                scale = float(a_scale[i // 128, part]) * float(b_scale[j // 128, part])
                right[i, j] += dot * scale
    ours = scaled_matmul(a, a_scale, b, b_scale).double()
    where = [0, 127, 128, 255, 256]
    assert ((ours - right)[:, where].abs().max() / right.abs().max()) <= 1e-6


@pytest.mark.parametrize("bias", [True, False])
def test_a_layer_is_near_the_layer_it_came_from(bias: bool):
    """Eight bits of weights and activations: about 1 % of the output's spread."""
    linear = nn.Linear(256, 384, bias=bias)
    layer = Int8Linear(*quantise(linear.weight), linear.bias)
    x = torch.randn(2, 70, 256)
    error = (layer(x) - linear(x)).norm() / linear(x).norm()
    assert 0 < error < 0.02
    assert layer(x).shape == (2, 70, 384)
    assert layer(x.bfloat16()).dtype == torch.bfloat16


def test_a_token_is_cut_together_with_its_neighbours():
    """Tiles of activations span 128 tokens across the batch, as in the reference."""
    layer = Int8Linear(*quantise(torch.randn(128, 128)), None)
    x = torch.randn(4, 32, 128)
    assert torch.equal(layer(x).flatten(0, 1), layer(x.flatten(0, 1)))
    x[0, 0] *= 100
    assert (layer(x)[3] - layer(x[3:])[0]).abs().max() > 0.1


def test_scales_stay_float32():
    """A pipeline's .to(bfloat16) must not round them."""
    layer = Int8Linear(*quantise(torch.randn(128, 256)), torch.zeros(128))
    before = layer.scale.clone()
    layer.to(torch.bfloat16)
    assert layer.bias is not None
    assert (layer.scale.dtype, layer.bias.dtype) == (torch.float32, torch.bfloat16)
    assert torch.equal(layer.scale, before)


@torch.no_grad()
def test_a_whole_network_in_eight_bits():
    """All ten linears of each block, as the `-quant` files have them: 2 % from what it was."""
    torch.manual_seed(0)
    words = {"num_attention_heads": 2, "attention_head_dim": 128, "in_channels": 4,
             "out_channels": 4, "text_dim": 8, "ffn_dim": 256, "num_layers": 2}  # fmt: skip
    network = WanTransformer3DModel(**words).eval()
    small = deepcopy(network)
    linears = {name: layer for name, layer in network.blocks.named_modules()
               if isinstance(layer, nn.Linear)}  # fmt: skip
    assert len(linears) == 20
    for name, layer in linears.items():
        small.blocks.set_submodule(name, Int8Linear(*quantise(layer.weight), layer.bias))
    x, text = torch.randn(1, 4, 3, 8, 8), torch.randn(1, 6, 8)
    right, ours = (
        one(x, torch.tensor([932.0]), text, return_dict=False)[0] for one in (network, small)
    )
    assert 0 < (ours - right).norm() / right.norm() < 0.02


def test_inputs_must_divide():
    """The reference's kernel asks for it, and all Wan sizes do."""
    with pytest.raises(ValueError, match="200 inputs, which don't divide by 128"):
        Int8Linear(torch.zeros(8, 200, dtype=torch.int8), torch.zeros(1, 2), None)


@interpreted
@pytest.mark.parametrize("rows", [1, 128, 300])
def test_the_kernels_interpreted(rows: int):
    """The Triton kernels, run by Triton's interpreter on the CPU, give the reference's numbers."""
    from gpu.turbo.triton_int8 import fused_multiply, fused_quantise

    x, linear = matrix(rows, 256), nn.Linear(256, 200)
    weight, scale = quantise(linear.weight)
    levels, scales = fused_quantise(x)
    right, right_scales = quantise(x)
    assert torch.equal(scales, right_scales)
    assert torch.equal(levels, right)
    ours = fused_multiply(x, weight, scale, linear.bias.detach())
    assert torch.allclose(ours, multiply(x, weight, scale, linear.bias), atol=1e-5)
