"""TurboDiffusion's models here against its own code: same small random weights, same block map.

    KEYREEL_TURBODIFFUSION=CHECKOUT TRITON_INTERPRET=1 python -m benchmarks.turbo_parity

In float32 both must agree. In bfloat16 both are compared with float32: our error may be 1.1 times
the reference's. With a graphics card leave TRITON_INTERPRET out: it also checks and times the
kernels (`turbo_kernels`), with or without the checkout.
"""

from __future__ import annotations

import types
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cache
from unittest import mock

import torch
from diffusers import WanTransformer3DModel
from torch import Tensor, nn

from benchmarks import turbo_kernels
from benchmarks.figures import Figure, at_least, at_most, write
from benchmarks.turbo_kernels import error
from benchmarks.turbo_reference import (
    HEADS,
    LAYERS,
    SEED,
    SIGMA_MAX,
    TEXT,
    WIDTH,
    fixed_map,
    in_bfloat16,
    load,
    missing,
    new_ours,
    new_reference,
    running,
    sampled,
)
from gpu.turbo.rcm import RCMScheduler
from gpu.turbo.sla import Blocks, attend, choose_blocks, linear_state
from gpu.turbo.triton_sla import fused_attention

SAME, WORSE = 1e-5, 1.1
"""Most error in float32, and most times the reference's error in bfloat16."""

BLOCKS = Blocks(share=0.5)
LATENT = (1, 16, 7, 8, 16)
TOKENS = 7 * 4 * 8
"""224: blocks of 128 queries and of 64 keys are both ragged."""


def worst(ours: Tensor, right: Tensor) -> float:
    """Largest error, in units of the right answer's largest value."""
    return float((ours.double() - right.double()).abs().max() / right.double().abs().max())


def compared(what: str, ours: Tensor, theirs: Tensor, right: Tensor) -> Figure:
    """Return how our bfloat16 error compares with the reference's."""
    mine, its = error(ours, right), error(theirs, right)
    note = f"error against float32: {mine:.2e}, the reference's {its:.2e}"
    return at_most(f"{what}, bfloat16", mine / its, "x", WORSE, note)


@cache
def reference() -> types.SimpleNamespace:
    """Return the reference's modules."""
    return load()


def some_map() -> Tensor:
    """Return two of four blocks for each block of queries and head: int32."""
    torch.manual_seed(5)
    picked = [torch.randperm(4)[:2].sort().values for _ in range(HEADS * 2)]
    return torch.stack(picked).view(1, HEADS, 2, 2).int()


@dataclass(frozen=True)
class Inputs:
    """What a network is given: latents, picture, text; values that bfloat16 holds."""

    x: Tensor
    y: Tensor
    text: Tensor

    @classmethod
    def drawn(cls) -> Inputs:
        """Return random ones."""
        torch.manual_seed(2)
        shapes = LATENT, (1, 20, *LATENT[2:]), (1, 512, TEXT)
        return cls(*(torch.randn(shape).bfloat16().float() for shape in shapes))


def our_velocity(model: WanTransformer3DModel, x: Tensor, told: Tensor, given: Inputs) -> Tensor:
    """Return our network's answer, in the dtype of its weights."""
    seen = (torch.cat([x, given.y.to(x.dtype)], 1), given.text)
    latents, text = (one.to(model.proj_out.weight.dtype) for one in seen)
    out: Tensor = model(latents, told.expand(1), text, return_dict=False)[0]
    return out


def its_velocity(net: nn.Module, x: Tensor, told: Tensor, given: Inputs) -> Tensor:
    """Return the reference network's answer, from inputs in the dtype of its weights."""
    kind = net.head.head.weight.dtype
    out: Tensor = net(
        x_B_C_T_H_W=x.to(kind), timesteps_B_T=told.expand(1, 1).to(kind),
        crossattn_emb=given.text.to(kind), y_B_C_T_H_W=given.y.to(kind),
    )  # fmt: skip
    return out


@dataclass(frozen=True)
class Networks:
    """One set of weights: float32 and bfloat16, ours and the reference's."""

    exact: WanTransformer3DModel
    ours: WanTransformer3DModel
    theirs: nn.Module

    @classmethod
    def drawn(cls) -> Networks:
        """Return small ones with SLA."""
        nets = [new_reference(reference(), BLOCKS.share) for _ in range(2)]
        exact, ours = (new_ours(nets[0], BLOCKS) for _ in range(2))
        return cls(exact, in_bfloat16(ours), in_bfloat16(nets[1]))  # type: ignore[arg-type]

    def with_map(self) -> ExitStack:
        """Let all attend to the same blocks."""
        stack = ExitStack()
        for model in (self.exact, self.ours):
            stack.enter_context(fixed_map(reference(), model, some_map()))
        stack.enter_context(running())
        return stack


def attention() -> Iterator[Figure]:
    """Sparse-linear attention as an operator."""
    torch.manual_seed(1)
    q, k, v = torch.randn(3, 1, TOKENS, HEADS, WIDTH).bfloat16().float()
    theirs = reference().sla.SparseLinearAttention(WIDTH, BLOCKS.share, BLKQ=128, BLKK=64)
    proj, chosen = theirs.proj_l, some_map()
    nn.init.normal_(proj.weight, std=WIDTH**-0.5)
    nn.init.normal_(proj.bias, std=0.1)
    wide = nn.Linear(WIDTH, WIDTH, dtype=torch.float64)
    wide.load_state_dict(proj.state_dict())
    right = attend(q.double(), k.double(), v.double(), wide, BLOCKS, chosen)
    mapped = torch.zeros(1, HEADS, 2, 4, dtype=torch.int8).scatter_(-1, chosen.long(), 1)
    fixed = (mapped, chosen.long(), chosen.shape[-1])
    with running(), mock.patch.object(reference().sla, "get_block_map", return_value=fixed):
        if not q.is_cuda:  # where it multiplies in tf32
            theirs.dtype = torch.float32
            its = worst(theirs(q, k, v), right)
            yield at_most("attention, the reference's in float32", its, "", SAME)
        yield at_most(
            "attention, ours in float32", worst(attend(q, k, v, proj, BLOCKS, chosen), right),
            "", SAME,
        )  # fmt: skip
        theirs.dtype = torch.bfloat16
        q, k, v = q.bfloat16(), k.bfloat16(), v.bfloat16()
        its_out = theirs(q, k, v)
        ours = attend(q, k, v, proj, BLOCKS, chosen)
        state = linear_state(k, v, proj.weight)
        kernel = fused_attention(q, k, v, chosen, *state, proj.bias, BLOCKS)
    yield compared("attention", ours, its_out, right)
    yield compared("attention, Triton kernel", kernel, its_out, right)


def block_map() -> Iterator[Figure]:
    """The choice of blocks, which bfloat16 scores may turn where two are nearly equal."""
    q, k, _ = turbo_kernels.realistic(2048, HEADS)
    blocks = Blocks(share=0.25)
    for kind, least in ((torch.float32, 1.0), (torch.bfloat16, 0.95)):
        with running():
            heads = (x.to(kind).transpose(1, 2).contiguous() for x in (q, k))
            lut = reference().maps.get_block_map(*heads, blocks.share, 128, 64)[1]
        ours = choose_blocks(q.to(kind), k.to(kind), blocks).long()
        same = (lut[..., None] == ours[..., None, :]).any(-1).float().mean()
        name = str(kind).removeprefix("torch.")
        yield at_least(f"blocks chosen alike, {name}", float(same), "of 1", least)


def block() -> Iterator[Figure]:
    """One transformer block: norms, modulation, rotation, both attentions, feed-forward."""
    nets, given = Networks.drawn(), Inputs.drawn()
    torch.manual_seed(3)
    tokens, text = torch.randn(1, TOKENS, HEADS * WIDTH), torch.randn(1, 512, HEADS * WIDTH)
    times = torch.randn(1, 6, HEADS * WIDTH)
    table = nets.exact.rope(given.x)
    with nets.with_map():
        grid = torch.Size([1, LATENT[2], LATENT[3] // 2, LATENT[4] // 2, HEADS * WIDTH])
        angles = nets.theirs.rope_position_embedding.generate_embeddings(grid)
        tokens, text = tokens.bfloat16(), text.bfloat16()
        right = nets.exact.blocks[0](tokens.float(), text.float(), times, table)
        ours = nets.ours.blocks[0](tokens, text, times, table)
        theirs = nets.theirs.blocks[0](tokens, times, None, angles, text, None)
    yield compared("transformer block", ours, theirs, right)


def network() -> Iterator[Figure]:
    """The whole network, dense in float32 and with SLA in bfloat16."""
    given, told = Inputs.drawn(), torch.tensor(932.0)
    dense = new_reference(reference(), None)
    with running():
        theirs = its_velocity(dense, given.x, told, given)
        ours = our_velocity(new_ours(dense, None), given.x, told, given)
    yield at_most(f"network of {LAYERS} layers, dense, float32", worst(ours, theirs), "", SAME)
    nets = Networks.drawn()
    with nets.with_map():
        right = our_velocity(nets.exact, given.x, told, given)
        ours = our_velocity(nets.ours, given.x, told, given)
        theirs = its_velocity(nets.theirs, given.x, told, given)
    yield compared(f"network of {LAYERS} layers", ours, theirs, right)


def ours_sampled(model: WanTransformer3DModel, given: Inputs, ode: bool) -> Tensor:
    """Return the latents after four steps of our scheduler."""
    scheduler = RCMScheduler(sigma_max=SIGMA_MAX, ode=ode)
    x = scheduler.start(LATENT, SEED).to(given.x.device)
    scheduler.set_timesteps(4, x.device)
    for told in scheduler.timesteps:
        velocity = our_velocity(model, x, told, given)
        (x,) = scheduler.step(velocity, told, x, return_dict=False)
    return x


def sampler() -> Iterator[Figure]:
    """Four steps from noise to latents, each from what the last one gave."""
    given, nets = Inputs.drawn(), Networks.drawn()
    dense = new_reference(reference(), None)
    for ode, name in ((False, "SDE"), (True, "ODE")):
        with nets.with_map():
            exact = ours_sampled(new_ours(dense, None), given, ode)
            its = sampled(lambda x, t: its_velocity(dense, x, t, given), LATENT, ode)
            right, ours = (ours_sampled(one, given, ode) for one in (nets.exact, nets.ours))
            theirs = sampled(lambda x, t: its_velocity(nets.theirs, x, t, given), LATENT, ode)
        yield at_most(f"four steps, {name}, dense, float32", worst(exact, its), "", SAME)
        yield compared(f"four steps, {name}", ours, theirs, right)


COMPARISONS = (attention, block_map, block, network, sampler)


@torch.no_grad()
def main() -> None:
    """Compare, and write the results."""
    card = torch.cuda.is_available()
    if card:
        torch.set_default_device("cuda")
        torch.backends.cudnn.allow_tf32 = False  # else a convolution's float32 has 10 bits
    figures: list[Figure] = []
    if why := missing():
        print(f"not compared with the reference: {why}")
    else:
        figures += [figure for compare in COMPARISONS for figure in compare()]
    if card:
        figures += turbo_kernels.figures()
    device = torch.cuda.get_device_name() if card else "cpu"
    if figures:
        write("turbo_parity_card" if card else "turbo_parity", figures, device=device)


if __name__ == "__main__":
    main()
