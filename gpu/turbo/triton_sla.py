"""Sparse-linear attention as three Triton kernels: launching, and what they should cost.

Two read the keys once each: their blocks' means, and what the linear branch sums over all of them.
The third does the rest, for each block of queries and head, with online softmax in base 2 over its
chosen blocks of keys:

    m' = max(m, max s),  s = q·k log2(e) / sqrt(D),  p = 2^(s - m')
    l <- l·2^(m - m') + sum p,  o <- o·2^(m - m') + p·v,  out = o / l + W·linear + b

The linear branch is added from the queries already at hand, so neither branch is written and read
again: against separate kernels that saves about six passes over (L, H, D).

Floor, for L tokens, H heads of D channels, and n chosen keys a query (share·L):

    FLOP = 4·L·n·D·H + 2·L·D·D·H
    bytes from memory = 2·4·L·D·H (q, k, v, out in bfloat16)
    bytes from L2 = 4·(L / block_q)·n·D·H (keys and values, again for each block of queries)

TurboWan2.1-1.3B at 480x832x81 (L 32,760, H 12, D 128, share 0.1): 0.67 TFLOP a layer, 0.68 ms at an
H100's dense peak of 989 TFLOP/s; 0.40 GB from memory, 0.12 ms at 3.35 TB/s; 5.1 GB from L2, about
0.9 ms at 5.5 TB/s. So blocks of 128 queries are bound by L2, and of 64 would be twice as slow.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from gpu.turbo import sla
from gpu.turbo.sla import Blocks


@dataclass(frozen=True, slots=True)
class Launch:
    """How the kernel is cut and kept busy."""

    at_once: int = 2
    """Chosen blocks of keys in a step: one or two."""
    warps: int = 8
    """Of 32 threads, for each block of queries."""
    stages: int = 2
    """Steps in flight."""


WIDE, NARROW = Launch(), Launch(at_once=1, stages=3)
"""An H100 with blocks of 128 queries: 320 TFLOP/s over keys by 64, 383 by two blocks of 64 in a
step, 0.62 to 0.65 of cuDNN's dense attention beside it."""

ROOMY = ((8, 0), (9, 0), (10, 0), (10, 3))
"""Compute capabilities whose 163 KB of shared memory or more hold a WIDE launch; others have 99."""


def launch_for(device: torch.device) -> Launch:
    """Return what suits a card; an interpreter on the CPU has room for all."""
    if device.type == "cuda" and torch.cuda.get_device_capability(device) not in ROOMY:
        return NARROW
    return WIDE


KEYS = 64
"""Keys that the sums of the linear branch take at once."""

PROGRAMS = 264
"""Parts and heads that the sums over keys are spread over: twice an H100's 132 processors."""


@torch.library.custom_op("keyreel::sparse_linear_attention", mutates_args=())
def attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    weight: Tensor,
    bias: Tensor,
    share: float,
    query: int,
    key: int,
) -> Tensor:
    """Return SLA of `q`, `k`, `v` (B, L, H, D), with the numbers of `Blocks` spelled out.

    An operator of its own, so that a compiler fuses what is around it and leaves it whole.
    """
    blocks = Blocks(share, query, key)
    q, k, v = q.contiguous(), k.contiguous(), v.contiguous()
    chosen = sla.choose_blocks(q, k, blocks)
    return fused_attention(q, k, v, chosen, *sla.linear_state(k, v, weight), bias, blocks)


@attention.register_fake
def _(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    weight: Tensor,
    bias: Tensor,
    share: float,
    query: int,
    key: int,
) -> Tensor:
    return torch.empty(q.shape, dtype=q.dtype, device=q.device)


def block_means(x: Tensor, size: int) -> Tensor:
    """Return means over blocks of tokens of `x` (B, L, H, D): float32, (B, H, blocks, D)."""
    from gpu.turbo import kernels

    batch, length, heads, width = x.shape
    count = -(-length // size)
    means = torch.empty((batch, heads, count, width), dtype=torch.float32, device=x.device)
    with torch.cuda.device_of(x):  # type: ignore[no-untyped-call]
        kernels.block_means[count, batch * heads](
            x.contiguous(), means, length, heads, D=width, BLOCK=size, num_warps=4
        )
    return means


def key_state(k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
    """Return f(k)'v as (B, H, D, D) and sum f(k) as (B, H, D), both in float32.

    f = softmax over channels. Keys are cut into parts, so that the card is full with few heads.
    """
    from gpu.turbo import kernels

    batch, length, heads, width = k.shape
    count = -(-length // KEYS)
    parts = max(1, min(count, PROGRAMS // (batch * heads)))
    room = (parts, batch, heads)
    state = torch.empty((*room, width, width), dtype=torch.float32, device=k.device)
    total = torch.empty((*room, width), dtype=torch.float32, device=k.device)
    with torch.cuda.device_of(k):  # type: ignore[no-untyped-call]
        kernels.key_state[parts, batch * heads](
            k.contiguous(), v.contiguous(), state, total, length, heads, -(-count // parts),
            D=width, BLOCK=KEYS, num_warps=4, num_stages=3,
        )  # fmt: skip
    return state.sum(0), total.sum(0)


def fused_attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    chosen: Tensor,
    state: Tensor,
    total: Tensor,
    bias: Tensor,
    blocks: Blocks,
    launch: Launch | None = None,
) -> Tensor:
    """Return SLA of `q`, `k`, `v` (B, L, H, D): equals `sla.attend` up to rounding.

    Args:
        q: bfloat16 or float16, like `k`, `v` and `state`; D and block sizes are powers of two of
            at least 16.
        k: of the shape of `q`.
        v: of the shape of `q`.
        chosen: blocks of keys, int32, (B, H, blocks of queries, kept); rising, and in range.
        state: from `sla.linear_state`.
        total: likewise.
        bias: b of the learnt projection, (D,).
        blocks: the sizes that `chosen` was made for.
        launch: what suits the card, where none is given.

    Raises:
        ValueError: where one clip of the batch has 2^31 elements; a 720p clip of the widest
            model has a fifth of that.
    """
    from gpu.turbo import kernels

    batch, length, heads, width = q.shape
    if length * heads * width >= 2**31:
        raise ValueError(f"{tuple(q.shape)} has too many elements for the kernel's 32-bit indices")
    q, k, v = q.contiguous(), k.contiguous(), v.contiguous()
    out = torch.empty_like(q)
    launch = launch or launch_for(q.device)
    grid = (-(-length // blocks.query), batch * heads)
    with torch.cuda.device_of(q):  # type: ignore[no-untyped-call]
        kernels.sla_forward[grid](
            q, k, v, chosen.contiguous(), state.contiguous(), total.contiguous(), bias, out,
            length, heads, chosen.shape[-1], math.log2(math.e) / math.sqrt(width),
            D=width, BLOCK_Q=blocks.query, BLOCK_K=blocks.key, AT_ONCE=launch.at_once,
            num_warps=launch.warps, num_stages=launch.stages,
        )  # fmt: skip
    return out


def floor_seconds(
    shape: tuple[int, int, int, int], kept: int, blocks: Blocks, *, flops: float, l2: float
) -> float:
    """Return the least seconds that a card of `flops` FLOP/s and `l2` bytes/s could take.

    Args:
        shape: (B, L, H, D).
        kept: blocks of keys for each block of queries.
        blocks: their sizes.
        flops: dense peak for bfloat16.
        l2: rate of the L2 cache.
    """
    batch, length, heads, width = shape
    keys = kept * blocks.key
    work = batch * heads * length * width * (4 * keys + 2 * width)
    moved = 4 * batch * heads * math.ceil(length / blocks.query) * keys * width
    return max(work / flops, moved / l2)
