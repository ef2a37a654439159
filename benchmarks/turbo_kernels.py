"""The Triton kernels of sparse-linear attention and 8-bit linears on a graphics card.

Checked against plain PyTorch in float32, and timed against their floors; `turbo_parity` runs it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from statistics import median

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from benchmarks.figures import Figure, at_least, at_most
from gpu.turbo.fp8 import RowwiseLinear, multiply_rows, quantise_rows
from gpu.turbo.int8 import Int8Linear, quantise, scaled_matmul
from gpu.turbo.sla import Blocks, attend, choose_blocks, linear_attention, linear_state
from gpu.turbo.sla import sparse_attention as plain_attention
from gpu.turbo.triton_sla import NARROW, WIDE, Launch, floor_seconds, fused_attention
from gpu.turbo.wan import gelu_rows

HEADS, WIDTH = 12, 128
"""Of TurboWan2.1-1.3B."""

CLIP = 32_760
"""Tokens of 480x832, 81 frames."""

LENGTHS = (64, 250, 1024, 4096, CLIP)
LAUNCHES = (
    (Blocks(0.1), WIDE),
    (Blocks(0.1), NARROW),
    (Blocks(0.1, 64, 64), Launch(1, warps=4, stages=3)),
    (Blocks(0.1, 128, 128), Launch(1)),
)
"""Blocks of queries and of keys, and how they are computed."""

LAYERS = ((1536, 1536), (1536, 8960), (8960, 1536))
"""Inputs and outputs of the 1.3B model's linears."""

FLOPS, INT8_OPS, L2, MEMORY = 989e12, 1979e12, 5.5e12, 3.35e12
"""Dense peaks, about the L2 rate, and that of memory, of an H100 SXM; others' floors differ."""


def realistic(tokens: int, heads: int = HEADS) -> tuple[Tensor, Tensor, Tensor]:
    """Return float32 queries, keys, values (1, tokens, heads, WIDTH) as a video model has them.

    Neighbours are alike, a few channels are large, and all keys share a mean.
    """
    torch.manual_seed(tokens)
    near = torch.randn(3, 1, -(-tokens // 32), heads, WIDTH).repeat_interleave(32, 2)[:, :, :tokens]
    q, k, v = 0.8 * near + 0.6 * torch.randn_like(near)
    large = 1 + 3 * (torch.rand(WIDTH) > 0.95)
    return q * large, k * large + 2 * torch.randn(WIDTH), 0.5 * v


def milliseconds(run: Callable[[], object]) -> float:
    """Return the median time of `run` on the card, of 20."""
    starts, ends = ([torch.cuda.Event(enable_timing=True) for _ in range(20)] for _ in range(2))
    run()
    for start, end in zip(starts, ends, strict=True):
        start.record()
        run()
        end.record()
    torch.cuda.synchronize()
    return median(s.elapsed_time(e) for s, e in zip(starts, ends, strict=True))


def error(ours: Tensor, right: Tensor) -> float:
    """Error of all values together, in units of the right answer's."""
    return float((ours.double() - right.double()).norm() / right.double().norm())


def projection() -> nn.Linear:
    """Return a learnt projection with random weights."""
    torch.manual_seed(0)
    return nn.Linear(WIDTH, WIDTH)


def attention_errors() -> Iterator[Figure]:
    """Our kernel in bfloat16 against float32, beside plain PyTorch in bfloat16."""
    proj, blocks = projection(), Blocks()
    for tokens in LENGTHS:
        wide = [x.bfloat16().float() for x in realistic(tokens)]
        q, k, v = (x.bfloat16() for x in wide)
        chosen = choose_blocks(q, k, blocks)
        right = attend(*wide, proj, blocks, chosen)
        ours = attend(q, k, v, proj, blocks, chosen)
        state, total = linear_state(k, v, proj.weight)
        plain = plain_attention(q, k, v, chosen, blocks)
        plain = plain + linear_attention(q, state, total, proj.bias)
        mine, its = error(ours, right), error(plain, right)
        note = f"error against float32: {mine:.2e}, plain PyTorch's {its:.2e}"
        yield at_most(f"attention kernel, {tokens:,} tokens", mine / its, "x", 1.1, note)
        yield _sparse_error(tokens, wide, (q, k, v), chosen, total)


def _sparse_error(
    tokens: int, wide: Sequence[Tensor], narrow: Sequence[Tensor], chosen: Tensor, total: Tensor
) -> Figure:
    """The kernel with the linear branch zero, against exact softmax over the same keys."""
    blocks = Blocks()
    right = plain_attention(*wide, chosen, blocks)
    none = narrow[0].new_zeros(1, HEADS, WIDTH, WIDTH), total, narrow[0].new_zeros(WIDTH).float()
    ours = fused_attention(*narrow, chosen, *none, blocks)
    mine, its = (error(x, right) for x in (ours, plain_attention(*narrow, chosen, blocks)))
    note = f"error against float32: {mine:.2e}, plain PyTorch's {its:.2e}"
    return at_most(f"its sparse part, {tokens:,} tokens", mine / its, "x", 1.1, note)


def attention_times() -> Iterator[Figure]:
    """One layer of a 480p clip, by how it is launched; and dense attention."""
    q, k, v = (x.bfloat16() for x in realistic(CLIP))
    proj = projection()
    state = linear_state(k, v, proj.weight)
    heads = [x.transpose(1, 2) for x in (q, k, v)]
    with sdpa_kernel([SDPBackend.CUDNN_ATTENTION]):
        dense = milliseconds(lambda: F.scaled_dot_product_attention(*heads))
    yield Figure("dense attention of cuDNN", dense, "ms")
    rate = 4 * CLIP**2 * WIDTH * HEADS / dense
    for blocks, launch in LAUNCHES:
        chosen = choose_blocks(q, k, blocks)
        took = milliseconds(
            lambda blocks=blocks, chosen=chosen, launch=launch: fused_attention(
                q, k, v, chosen, *state, proj.bias, blocks, launch
            )
        )
        least = 1e3 * floor_seconds(q.shape, chosen.shape[-1], blocks, flops=FLOPS, l2=L2)
        note = f"{launch}; an H100's floor {least:.2f} ms"
        name = f"attention kernel, blocks {blocks.query} x {blocks.key}, {launch.at_once} at once"
        yield Figure(name, took, "ms", note=note)
        work = 4 * CLIP * chosen.shape[-1] * blocks.key + 2 * CLIP * WIDTH
        share = work * WIDTH * HEADS / took / rate
        if launch is WIDE:
            yield at_least("its FLOP rate, of dense attention's", share, "x", 0.6)
    blocks = Blocks()
    yield Figure("choosing blocks", milliseconds(lambda: choose_blocks(q, k, blocks)), "ms")
    yield Figure("state of keys", milliseconds(lambda: linear_state(k, v, proj.weight)), "ms")
    yield Figure("all of it", milliseconds(lambda: attend(q, k, v, proj, blocks)), "ms")


def linears() -> Iterator[Figure]:
    """8-bit linears of a 480p clip: exact up to one rounding, and their time beside bfloat16."""
    for inputs, outputs in LAYERS:
        torch.manual_seed(inputs)
        linear = nn.Linear(inputs, outputs).bfloat16()
        layer = Int8Linear(*quantise(linear.weight), linear.bias)
        x = torch.randn(CLIP, inputs).bfloat16()
        right = scaled_matmul(*quantise(x), layer.int8_weight, layer.scale) + linear.bias.float()
        name = f"8-bit linear {inputs} -> {outputs}"
        yield at_most(f"{name}, error", error(layer(x), right), "", 0.003)
        dense = milliseconds(lambda linear=linear, x=x: linear(x))
        least = 2e3 * CLIP * inputs * outputs / INT8_OPS
        note = f"bfloat16 {dense:.2f} ms; an H100's floor {least:.2f} ms"
        took = milliseconds(lambda layer=layer, x=x: layer(x))
        yield Figure(name, took, "ms", note=note)


def fp8_linears() -> Iterator[Figure]:
    """Linear layers in 8-bit floats, with the clip's spread and outliers: error and time.

    The error is also told of TurboDiffusion's 8 bits, whole numbers with a scale a tile.
    """
    for inputs, outputs in LAYERS:
        torch.manual_seed(inputs)
        linear = nn.Linear(inputs, outputs).bfloat16()
        x = (torch.randn(CLIP, inputs) * (1 + 5 * (torch.rand(inputs) > 0.99))).bfloat16()
        layer, tiled = RowwiseLinear(linear), Int8Linear(*quantise(linear.weight), linear.bias)
        right = F.linear(x.float(), linear.weight.float(), linear.bias.float())
        scaled = [
            values.float() * scale for values, scale in map(quantise_rows, (x, linear.weight))
        ]
        same = F.linear(*scaled, linear.bias.float())
        name = f"fp8 linear {inputs} -> {outputs}"
        yield at_most(f"{name}, error against its formula", error(layer(x), same), "", 0.01)
        note = f"int8 with a scale a tile {error(tiled(x), right):.2e}"
        yield Figure(f"{name}, error against float32", error(layer(x), right), "", note=note)
        dense = milliseconds(lambda linear=linear, x=x: linear(x))
        took = milliseconds(lambda layer=layer, x=x: layer(x))
        rows = quantise_rows(x)
        multiplied = milliseconds(lambda layer=layer, rows=rows: _multiplied(layer, *rows))
        least = 2e3 * CLIP * inputs * outputs / INT8_OPS
        note = f"bfloat16 {dense:.2f} ms; of rows in 8 bits {multiplied:.2f}; floor {least:.2f} ms"
        yield Figure(name, took, "ms", note=note)


def _multiplied(layer: RowwiseLinear, values: Tensor, scales: Tensor) -> Tensor:
    return multiply_rows(
        values, scales, layer.weight, layer.weight_scale, layer.bias, torch.bfloat16
    )


def activations() -> Iterator[Figure]:
    """GELU and its rows in 8 bits in one pass, against PyTorch in float32."""
    for name, tokens, channels in (("1.3B", CLIP, 8960), ("A14B", 75_600, 13_824)):
        torch.manual_seed(channels)
        x = torch.randn(tokens, channels).bfloat16()
        ours = gelu_rows(x)
        right = F.gelu(x.float(), approximate="tanh")
        mine = error(ours[0].float() * ours[1], right)
        its = error(math.prod((part.float() for part in quantise_rows(right)), start=1), right)
        note = f"error against float32: {mine:.4e}, plain PyTorch's {its:.4e}"
        yield at_most(f"GELU in 8 bits, {name}", mine / its, "x", 1.01, note)
        least = 1e3 * 3 * x.numel() / MEMORY
        took = milliseconds(lambda x=x: gelu_rows(x))
        yield Figure(f"GELU in 8 bits, {name}, time", took, "ms", note=f"floor {least:.2f} ms")


def figures() -> list[Figure]:
    """Return all figures of the card that is here."""
    measures = attention_errors, attention_times, linears, fp8_linears, activations
    return [figure for measure in measures for figure in measure()]
