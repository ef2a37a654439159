"""Sparse-linear attention against its definition, written out in float64."""

from __future__ import annotations

import math
from unittest import mock

import pytest
import torch
from diffusers import WanTransformer3DModel
from torch import Tensor, nn

from configs.errors import BadInput
from gpu.turbo.sla import Blocks, SLAProcessor, add_sla, attend, choose_blocks
from tests.interpreted import interpreted

SMALL = Blocks(share=0.4, query=16, key=8)


def tensors(tokens: int, heads: int = 2, width: int = 16, batch: int = 2) -> tuple[Tensor, ...]:
    """Queries, keys with a mean of their own, and values."""
    torch.manual_seed(tokens)
    q, k, v = torch.randn(3, batch, tokens, heads, width)
    return q, k + 2 * torch.randn(width), v


def projection(width: int) -> nn.Linear:
    torch.manual_seed(1)
    return nn.Linear(width, width)


@torch.no_grad()
def plain(q: Tensor, k: Tensor, v: Tensor, proj: nn.Linear, chosen: Tensor, blocks: Blocks):
    """The definition with whole matrices: a mask over tokens, and sums over all keys."""
    q, k, v = (x.double().transpose(1, 2) for x in (q, k, v))
    rows, columns = torch.arange(q.shape[2]) // blocks.query, torch.arange(k.shape[2]) // blocks.key
    blocked = torch.zeros(*chosen.shape[:3], int(columns.max()) + 1, dtype=torch.bool)
    blocked.scatter_(-1, chosen.long(), True)
    scores = (q @ k.mT / math.sqrt(q.shape[-1])).masked_fill(
        ~blocked[:, :, rows][..., columns], -torch.inf
    )
    features_q, features_k = q.softmax(-1), k.softmax(-1)
    near = features_q @ features_k.mT
    linear = near @ v / (1e-5 + near.sum(-1, keepdim=True))
    linear = linear @ proj.weight.double().T + proj.bias.double()
    return (scores.softmax(-1) @ v + linear).transpose(1, 2)


def worst(ours: Tensor, right: Tensor) -> float:
    """Largest error, in units of the right answer's largest value."""
    return float((ours.double() - right).abs().max() / right.abs().max())


@torch.no_grad()
@pytest.mark.parametrize("tokens", [8, 48, 61, 130])
@pytest.mark.parametrize("blocks", [SMALL, Blocks(share=0.4, query=8, key=16)], ids=str)
def test_equals_the_definition(tokens: int, blocks: Blocks):
    """Also where the last blocks are ragged."""
    q, k, v = tensors(tokens)
    proj, chosen = projection(16), choose_blocks(q, k, blocks)
    right = plain(q, k, v, proj, chosen, blocks)
    assert worst(attend(q, k, v, proj, blocks), right) <= 1e-5
    assert worst(attend(q, k, v, proj, blocks, chosen.flip(-1)), right) <= 1e-5


@torch.no_grad()
def test_all_blocks_are_plain_attention_plus_the_linear_branch():
    """With every block kept and W, b zero, nothing is left but softmax attention."""
    q, k, v = tensors(61)
    proj = nn.Linear(16, 16)
    nn.init.zeros_(proj.weight)
    nn.init.zeros_(proj.bias)
    heads = (x.transpose(1, 2) for x in (q, k, v))
    right = nn.functional.scaled_dot_product_attention(*heads).transpose(1, 2)
    assert worst(attend(q, k, v, proj, Blocks(1, 16, 8)), right.double()) <= 1e-6


@pytest.mark.parametrize("tokens", [8, 61, 128])
def test_blocks_are_chosen_by_their_means(tokens: int):
    """Block by block in float64: the best share of mean keys, less the mean of all keys."""
    q, k, _ = tensors(tokens)
    chosen = choose_blocks(q, k, SMALL)
    count = -(-tokens // SMALL.key)
    assert chosen.shape == (2, 2, -(-tokens // SMALL.query), max(1, int(0.4 * count)))
    assert chosen.dtype == torch.int32
    for b, h, i in ((0, 0, 0), (1, 1, chosen.shape[2] - 1)):
        keys = k[b, :, h].double() - k[b, :, h].double().mean(0)
        query = q[b, i * SMALL.query : (i + 1) * SMALL.query, h].double().mean(0)
        scores = [float(query @ block.mean(0)) for block in keys.split(SMALL.key)]
        best = sorted(range(count), key=lambda n: -scores[n])[: chosen.shape[-1]]
        assert chosen[b, h, i].tolist() == sorted(best)


def test_a_short_clip_keeps_one_block():
    """A tenth of three blocks would be none, and the answer no number."""
    q, k, v = tensors(24)
    assert choose_blocks(q, k, Blocks(0.1, 16, 8)).shape[-1] == 1
    assert attend(q, k, v, projection(16), Blocks(0.1, 16, 8)).isfinite().all()


@torch.no_grad()
def test_bfloat16_stays_near_the_definition():
    """Within three roundings of the output."""
    q, k, v = (x.bfloat16() for x in tensors(130))
    proj = projection(16)
    chosen = choose_blocks(q, k, SMALL)
    assert worst(attend(q, k, v, proj, SMALL, chosen), plain(q, k, v, proj, chosen, SMALL)) < 0.012


@pytest.mark.parametrize("share", [0, -0.1, 1.5, math.nan])
def test_a_share_that_is_none(share: float):
    """The error names the value."""
    with pytest.raises(BadInput, match=r"share: .* of the blocks"):
        Blocks(share=share)


def wan() -> WanTransformer3DModel:
    torch.manual_seed(0)
    return WanTransformer3DModel(
        num_attention_heads=2, attention_head_dim=12, in_channels=4, out_channels=4, text_dim=8,
        freq_dim=16, ffn_dim=16, num_layers=2, rope_max_seq_len=32,
    ).eval()  # fmt: skip


def velocity(model: WanTransformer3DModel) -> Tensor:
    torch.manual_seed(2)
    words = {"timestep": torch.tensor([932.0]), "encoder_hidden_states": torch.randn(1, 5, 8)}
    return model(torch.randn(1, 4, 3, 8, 12), **words, return_dict=False)[0]


@torch.no_grad()
def test_in_the_transformer_all_blocks_change_nothing():
    """With W and b zero and every block kept, the model is the one it was."""
    model = wan()
    before = velocity(model)
    add_sla(model, Blocks(1, 16, 8))
    assert torch.allclose(velocity(model), before, atol=2e-6)
    assert isinstance(model.blocks[1].attn1.processor, SLAProcessor)
    assert not isinstance(model.blocks[1].attn2.processor, SLAProcessor)


@torch.no_grad()
def test_in_the_transformer_the_learnt_projection_is_loaded_and_used():
    """`attn1.proj_l` is a weight like any other."""
    model, held = wan(), wan()
    for one in (model, held):
        add_sla(one, SMALL)
    before = velocity(model)
    for name, tensor in (state := held.state_dict()).items():
        if "proj_l" in name:
            state[name] = torch.randn_like(tensor)
    model.load_state_dict(state)
    assert sum("proj_l" in name for name in state) == 4
    loaded = velocity(model)
    assert (loaded - before).abs().max() > 1e-3
    add_sla(model, SMALL)  # a second time, as after a checkpoint reader that made room for it
    assert torch.equal(velocity(model), loaded)


@torch.no_grad()
def test_a_velocity_is_not_rounded():
    """A network of bfloat16 gives float32, with the weights that it had."""
    model = wan().bfloat16()
    weight = model.proj_out.weight
    add_sla(model, SMALL)
    assert model.proj_out.weight is weight
    x = torch.randn(3, weight.shape[1]).bfloat16()
    right = x.float() @ weight.float().T + model.proj_out.bias.float()
    assert model.proj_out(x).dtype == torch.float32
    assert torch.allclose(model.proj_out(x), right)


@interpreted
@torch.no_grad()
@pytest.mark.parametrize("tokens", [16, 61, 130])
@pytest.mark.parametrize(("kind", "most"), [(torch.float32, 1e-5), (torch.bfloat16, 0.01)])
@pytest.mark.parametrize("launch", ["WIDE", "NARROW"])  # NARROW: consumer cards
def test_the_kernel_interpreted(tokens: int, kind: torch.dtype, most: float, launch: str):
    """The Triton kernel, run by Triton's interpreter on the CPU, against the definition."""
    from benchmarks.interpreter import bfloat16
    from gpu.turbo import sla, triton_sla

    q, k, v = (x.to(kind) for x in tensors(tokens))
    proj, blocks = projection(16), Blocks(0.4, 32, 16)
    chosen = choose_blocks(q, k, blocks)
    with (
        bfloat16(),
        mock.patch.object(sla, "_has_kernels", return_value=True),
        mock.patch.object(triton_sla, "launch_for", return_value=getattr(triton_sla, launch)),
    ):
        ours = attend(q, k, v, proj, blocks)
        assert torch.equal(choose_blocks(q, k, blocks), chosen)
    assert ours.dtype == kind
    assert worst(ours, plain(q, k, v, proj, chosen, blocks)) <= most


@torch.no_grad()
def test_a_compiler_leaves_the_operator_whole():
    """A card's block is one graph: tracing knows the operator's shape without running it."""
    from gpu.turbo.triton_sla import attention

    q = torch.empty(1, 40, 2, 16, dtype=torch.bfloat16, device="meta")
    weight, bias = torch.empty(16, 16, device="meta"), torch.empty(16, device="meta")
    made = attention(q, q, q, weight, bias, 0.1, 16, 8)
    assert (made.shape, made.dtype) == (q.shape, q.dtype)
