"""Wan's feed-forward in 8 bits, and the kernel that scales its rows."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from diffusers import WanTransformer3DModel

from gpu.turbo import fp8, wan
from tests.interpreted import interpreted


def transformer() -> WanTransformer3DModel:
    torch.manual_seed(0)
    return WanTransformer3DModel(
        num_attention_heads=2, attention_head_dim=16, in_channels=4, out_channels=4, text_dim=8,
        freq_dim=16, ffn_dim=48, num_layers=2, rope_max_seq_len=32,
    ).eval().requires_grad_(False)  # fmt: skip


def velocity(model: WanTransformer3DModel) -> torch.Tensor:
    torch.manual_seed(2)
    words = {"timestep": torch.tensor([932.0]), "encoder_hidden_states": torch.randn(1, 5, 8)}
    return model(torch.randn(1, 4, 3, 8, 12), **words, return_dict=False)[0]


def test_the_feed_forward_is_that_of_the_library():
    """The same numbers and the same names of weights, with adapters' hooks where they were."""
    model = transformer()
    fp8.quantise(model, "cpu")
    before, names = velocity(model), list(model.state_dict())
    wan.make_fusible(model)
    assert isinstance(model.blocks[0].ffn, wan.FeedForward)
    assert torch.equal(velocity(model), before)
    assert list(model.state_dict()) == names
    layer = model.get_submodule("blocks.1.ffn.net.2")
    layer.register_forward_hook(lambda module, given, out: out + 1)
    assert not torch.equal(velocity(model), before)


def test_other_layers_stay():
    """Without 8 bits there is nothing to scale."""
    model = transformer()
    wan.make_fusible(model)
    assert not isinstance(model.blocks[0].ffn, wan.FeedForward)


@interpreted
@pytest.mark.filterwarnings("ignore:overflow")  # 1 / (1 + infinity) is the 0 that is meant
@pytest.mark.parametrize("columns", [48, 64])
def test_the_kernel_interpreted(columns: int, monkeypatch):
    """Rows of zeros, of large and of small values, before they are rounded to e4m3.

    The interpreter rounds to e4m3 wrongly (64 for 128), so it is left to torch.
    """
    monkeypatch.setattr(wan, "FP8", torch.float32)
    torch.manual_seed(3)
    x = torch.randn(5, columns) * torch.tensor([0, 1e-3, 1, 30, 300])[:, None]
    values, scales = wan.gelu_rows(x)
    right, right_scales = fp8.quantise_rows(F.gelu(x, approximate="tanh"))
    assert torch.allclose(scales, right_scales, rtol=1e-5)
    assert values.abs().max() <= fp8.MOST
    assert (values.to(fp8.FP8).float() != right.float()).float().mean() < 0.02
    assert torch.allclose(values * scales, F.gelu(x, approximate="tanh"), rtol=1e-4, atol=1e-6)
