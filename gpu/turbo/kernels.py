"""The Triton kernels, without their launching; imported on a graphics card only.

torch's CUDA wheels for Linux bring Triton along. Compiled for an H100 (sm_90) with 8 warps and 3
stages, nothing to speak of is spilled from registers: `sla_forward` uses all 255 and 128 KB of
shared memory, `scaled_matmul` 187 and 96 KB.
"""

# Arguments have the types of what they are launched with.
# ruff: noqa: ANN001, ANN201, ANN202
# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-decorators, allow-untyped-calls

import triton
import triton.language as tl

HALF_EVEN = tl.constexpr(12582912.0)
"""1.5·2^23: float32 has no fractions there, so adding it rounds as torch.round does."""


@triton.jit
def sla_forward(
    q, k, v, chosen, state, total, bias, out,
    length, heads, kept, scale,
    D: tl.constexpr, BLOCK_Q: tl.constexpr, BLOCK_K: tl.constexpr, AT_ONCE: tl.constexpr,
):  # fmt: skip
    """One block of queries of one head: `triton_sla.fused_attention` tells what and how.

    AT_ONCE chosen blocks of keys, one or two, are taken in a step. Only the clip's last block may
    be ragged, and `chosen` rises, so only the last step is masked.
    """
    head = tl.program_id(1).to(tl.int64)
    start = (head // heads * length * heads + head % heads) * D  # of this batch and head
    row = heads * D
    rows = tl.program_id(0) * BLOCK_Q + tl.arange(0, BLOCK_Q)
    columns, channels = tl.arange(0, AT_ONCE * BLOCK_K), tl.arange(0, D)
    at = rows[:, None] * row + channels[None, :]
    queries = tl.load(q + start + at, mask=rows[:, None] < length, other=0.0)
    picked = chosen + (head * tl.num_programs(0) + tl.program_id(0)) * kept
    k += start
    v += start

    most = tl.full([BLOCK_Q], -float("inf"), tl.float32)
    weight = tl.zeros([BLOCK_Q], tl.float32)
    sums = tl.zeros([BLOCK_Q, D], tl.float32)
    last = (kept - 1) // AT_ONCE * AT_ONCE
    for i in range(0, last, AT_ONCE):
        second = tl.load(picked + i + AT_ONCE - 1) - 1
        tokens = tl.where(columns < BLOCK_K, tl.load(picked + i), second) * BLOCK_K + columns
        keys = tl.load(k + tokens[None, :] * row + channels[:, None])
        values = tl.load(v + tokens[:, None] * row + channels[None, :])
        scores = tl.dot(queries, keys)
        most, weight, sums = _take(scores, values, most, weight, sums, scale)
    second = tl.load(picked + kept - 1) - 1
    tokens = tl.where(columns < BLOCK_K, tl.load(picked + last), second) * BLOCK_K + columns
    there = (columns < (kept - last) * BLOCK_K) & (tokens < length)
    keys = tl.load(k + tokens[None, :] * row + channels[:, None], mask=there[None, :], other=0.0)
    values = tl.load(v + tokens[:, None] * row + channels[None, :], mask=there[:, None], other=0.0)
    scores = tl.where(there[None, :], tl.dot(queries, keys), -float("inf"))
    most, weight, sums = _take(scores, values, most, weight, sums, scale)

    features = _features(queries)
    square = head * D * D + channels[:, None] * D + channels[None, :]
    top = tl.dot(features.to(queries.dtype), tl.load(state + square))
    below = tl.sum(features * tl.load(total + head * D + channels)[None, :], 1) + 1e-5
    result = sums / weight[:, None] + top / below[:, None]
    result += tl.load(bias + channels).to(tl.float32)[None, :]
    tl.store(out + start + at, result.to(out.dtype.element_ty), mask=rows[:, None] < length)


@triton.jit
def _take(scores, values, most, weight, sums, scale):
    """Go on with a softmax in base 2 by the scores of one more block of keys."""
    higher = tl.maximum(most, tl.max(scores, 1) * scale)
    shares = tl.math.exp2(scores * scale - higher[:, None])
    shrink = tl.math.exp2(most - higher)
    weight = weight * shrink + tl.sum(shares, 1)
    return higher, weight, tl.dot(shares.to(values.dtype), values, sums * shrink[:, None])


@triton.jit
def _features(x):
    """Softmax over channels, in float32."""
    wide = x.to(tl.float32)
    raised = tl.exp(wide - tl.max(wide, 1)[:, None])
    return raised / tl.sum(raised, 1)[:, None]


@triton.jit
def block_means(x, means, length, heads, D: tl.constexpr, BLOCK: tl.constexpr):
    """The mean of one block of tokens of one head, in float32."""
    head = tl.program_id(1).to(tl.int64)
    start = (head // heads * length * heads + head % heads) * D
    rows, channels = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK), tl.arange(0, D)
    at = start + rows[:, None] * (heads * D) + channels[None, :]
    tile = tl.load(x + at, mask=rows[:, None] < length, other=0.0).to(tl.float32)
    count = tl.minimum(length - tl.program_id(0) * BLOCK, BLOCK)
    to = means + (head * tl.num_programs(0) + tl.program_id(0)) * D + channels
    tl.store(to, tl.sum(tile, 0) / count)


@triton.jit
def key_state(
    k, v, state, total, length, heads, blocks, D: tl.constexpr, BLOCK: tl.constexpr
):  # fmt: skip
    """One part of the sums over keys of one head: see `triton_sla.key_state`."""
    head = tl.program_id(1).to(tl.int64)
    start = (head // heads * length * heads + head % heads) * D
    channels = tl.arange(0, D)
    square = tl.zeros([D, D], tl.float32)
    sums = tl.zeros([D], tl.float32)
    for i in range(blocks):
        rows = (tl.program_id(0) * blocks + i) * BLOCK + tl.arange(0, BLOCK)
        there = rows[:, None] < length
        at = start + rows[:, None] * (heads * D) + channels[None, :]
        values = tl.load(v + at, mask=there, other=0.0)
        features = tl.where(there, _features(tl.load(k + at, mask=there, other=0.0)), 0.0)
        sums += tl.sum(features, 0)
        square = tl.dot(tl.trans(features.to(values.dtype)), values, square)
    part = tl.program_id(0) * tl.num_programs(1) + head
    tl.store(state + part * D * D + channels[:, None] * D + channels[None, :], square)
    tl.store(total + part * D + channels, sums)


@triton.jit
def quantise_tiles(x, levels, scales, rows, columns, TILE: tl.constexpr):
    """One tile of `x` (rows, columns) to int8 with one scale: `int8.quantise` tells the rule."""
    down = tl.program_id(0) * TILE + tl.arange(0, TILE)
    across = tl.program_id(1) * TILE + tl.arange(0, TILE)
    at = down[:, None].to(tl.int64) * columns + across[None, :]
    inside = (down[:, None] < rows) & (across[None, :] < columns)
    values = tl.load(x + at, mask=inside, other=0.0).to(tl.float32)
    most = tl.maximum(tl.max(tl.max(tl.abs(values), 1), 0), 1e-8)
    rounded = (values * (128.0 / most) + HALF_EVEN) - HALF_EVEN
    rounded = tl.minimum(tl.maximum(rounded, -128.0), 127.0)
    tl.store(levels + at, rounded.to(tl.int8), mask=inside)
    tl.store(scales + tl.program_id(0) * tl.num_programs(1) + tl.program_id(1), most / 128.0)


@triton.jit
def scaled_matmul(
    a, a_scale, b, b_scale, bias, out, rows, columns, depth,
    BIAS: tl.constexpr, TILE: tl.constexpr, GROUP: tl.constexpr,
):  # fmt: skip
    """One TILE x TILE of a·b' from int8 tiles with a scale each: see `int8.scaled_matmul`.

    `depth` divides by TILE. Programs go down GROUP tiles before across, so that tiles of `a` and
    `b` are found in the L2 cache.
    """
    downs, acrosses = tl.cdiv(rows, TILE), tl.cdiv(columns, TILE)
    band = tl.program_id(0) // (GROUP * acrosses)
    height = tl.minimum(downs - band * GROUP, GROUP)
    within = tl.program_id(0) % (GROUP * acrosses)
    down, across = band * GROUP + within % height, within // height

    i = down * TILE + tl.arange(0, TILE)
    j = across * TILE + tl.arange(0, TILE)
    along = tl.arange(0, TILE)
    a_at = a + i[:, None].to(tl.int64) * depth + along[None, :]
    b_at = b + j[None, :].to(tl.int64) * depth + along[:, None]
    steps = depth // TILE
    sums = tl.zeros([TILE, TILE], tl.float32)
    for step in range(steps):
        left = tl.load(a_at + step * TILE, mask=i[:, None] < rows, other=0)
        right = tl.load(b_at + step * TILE, mask=j[None, :] < columns, other=0)
        scale = tl.load(a_scale + down * steps + step) * tl.load(b_scale + across * steps + step)
        sums += tl.dot(left, right).to(tl.float32) * scale
    if BIAS:
        sums += tl.load(bias + j, mask=j < columns, other=0.0).to(tl.float32)[None, :]
    at = out + i[:, None].to(tl.int64) * columns + j[None, :]
    inside = (i[:, None] < rows) & (j[None, :] < columns)
    tl.store(at, sums.to(out.dtype.element_ty), mask=inside)


@triton.jit
def gelu_rows(x, values, scales, columns, WIDTH: tl.constexpr):
    """GELU (by tanh) of one row, and its e4m3 values with their scale: see `wan.gelu_rows`."""
    row = tl.program_id(0).to(tl.int64)
    at = tl.arange(0, WIDTH)
    wide = tl.load(x + row * columns + at, mask=at < columns, other=0.0).to(tl.float32)
    # 0.5 (1 + tanh u) = sigmoid(2 u), u = sqrt(2 / pi) (x + 0.044715 x^3)
    inner = 1.5957691216057308 * (wide + 0.044715 * wide * wide * wide)
    raised = wide / (1 + tl.exp(-inner))
    scale = tl.maximum(tl.max(tl.abs(raised), 0), 1e-12) / 448
    held = tl.minimum(tl.maximum(raised / scale, -448.0), 448.0)
    tl.store(values + row * columns + at, held.to(values.dtype.element_ty), mask=at < columns)
    tl.store(scales + row, scale)
