"""Trains the mark's two networks from nothing: ``python -m gpu.mark.train --out DIR``.

The strength starts high and falls to what nobody sees while the attacks grow: from the first step
there is something to read, so no loss needs balancing. Go on from a stop by the same command.
"""

from __future__ import annotations

import argparse
import math
import random
import time
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor

from gpu.mark import network, pictures
from gpu.mark.attacks import attack, rounded
from gpu.mini.train.optim import Optimizer, parameters
from gpu.mini.train.run import Part
from gpu.mini.untyped import Untyped

SEED = 6
RATE = 1.5
"""Of the optimizer's own 1e-3."""


def _schedule(done: float, step: int) -> tuple[float, float, float]:
    """Rate, strength over the final one, and attacks, at a share of the time."""
    fall = min(1.0, max(0.0, (done - 0.04) / 0.5))
    rate = RATE * min(1.0, (step + 1) / 100, (1.02 - min(done, 1.0)) / 0.6)
    easy = random.random() < 0.25  # now and then, or what was learned is lost where steps get hard
    strength = 7 ** (1 - fall) * random.uniform(0.7, 2.5 if easy else 1.4)
    return rate, strength, min(1.0, max(0.0, (done - 0.04) / 0.3)) * (0.3 if easy else 1.0)


class Pair:
    """Both networks, their optimizer, and one step."""

    def __init__(self, part: Part, side: int) -> None:
        self.part, self.side = part, side
        self.encoder: Untyped = network.Encoder().to(part.device)
        self.decoder: Untyped = network.Decoder().to(part.device)
        self.opt = Optimizer(parameters(encoder=self.encoder, decoder=self.decoder))

    def marked(self, x: Tensor, signs: Tensor, strength: float) -> Tensor:
        """The pictures with their signs, in whole levels."""
        square = network.squash(x, self.side)
        with self.part.cast():
            mark = self.encoder(square, signs)
        floor = network.FLOOR - max(0.0, 20 * math.log10(strength))
        mark = network.strong(mark, strength * network.STRENGTH, floor)
        mark = F.interpolate(mark, size=x.shape[-2:], mode="bilinear")
        return rounded((x + mark).clamp(0, 255))

    def read(self, x: Tensor, cuts: Tensor) -> Tensor:
        """The cells' log-odds [B, cells, cells], the cut-off shares known."""
        with self.part.cast():
            seen = self.decoder(network.squash(x, self.side)).float()
        cuts = cuts.to(x.device)
        cells = self.side // network.CELL
        across, down = (network.reach(cuts[i], cuts[i + 1], cells, seen.shape[-1]) for i in (0, 2))
        return torch.einsum("yh,bhw,xw->byx", down, seen, across)

    def step(self, x: Tensor, rate: float, strength: float, much: float) -> tuple[Tensor, Tensor]:
        """One update; returns the loss and the share of wrong cells of each picture."""
        cells = self.side // network.CELL
        signs = torch.randint(0, 2, (len(x), 1, cells, cells), device=x.device) * 2.0 - 1
        attacked, cuts = attack(self.marked(x, signs, strength), much)
        jitter = (torch.rand(4) - 0.5) * 0.02
        odds = self.read(attacked, cuts + jitter)
        agree = odds * signs[:, 0]
        loss = F.softplus(-agree).mean()
        torch.autograd.backward(loss)
        self.opt.step(rate)
        return loss.detach(), (agree.detach() <= 0).float().mean((1, 2))

    def save(self, path: Path) -> None:
        """Write the moving average of both networks in bf16."""
        self.opt.swap()
        named = {
            f"{name}.{key}": value.to("cpu", torch.bfloat16).contiguous()
            for name, net in (("encoder", self.encoder), ("decoder", self.decoder))
            for key, value in net.state_dict().items()
        }
        self.opt.swap()
        save_file(named, path)

    def state(self) -> dict[str, Untyped]:
        """All that a stopped training needs to go on."""
        nets = {"encoder": self.encoder.state_dict(), "decoder": self.decoder.state_dict()}
        adam, average = self.opt.adam.state_dict(), self.opt.average
        return {**nets, "adam": adam, "average": average, "count": self.opt.count}

    def resume(self, told: dict[str, Untyped]) -> None:
        """Take up what `state` gave."""
        self.encoder.load_state_dict(told["encoder"])
        self.decoder.load_state_dict(told["decoder"])
        self.opt.adam.load_state_dict(told["adam"])
        self.opt.average, self.opt.count = told["average"], told["count"]


def train(part: Part, pool: Tensor, *, size: int, side: int = network.SIDE) -> Pair:
    """Train until the part's time is over; returns the networks.

    Args:
        part: its clock, log and folder.
        pool: pictures, uint8 [N, 3, H, H].
        size: pictures a step.
        side: of the square that the networks see.
    """
    pair, state = Pair(part, side), part.out / "state.pt"
    before, step = 0.0, 0
    if state.exists():
        told = torch.load(state, map_location=part.device, weights_only=True)
        pair.resume(told)
        before, step = told["done"], told["step"]
        part.log(f"goes on from {before:.0%}")
    start, kept = time.monotonic(), time.monotonic()
    left = max(0.01, part.seconds - part.elapsed())
    while (done := before + (1 - before) * (time.monotonic() - start) / left) < 1:
        rate, strength, much = _schedule(done, step)
        x = pictures.batch(pool, size)
        loss, wrong = pair.step(x, rate, strength, much)
        if step % 100 == 0:
            worst = wrong.max().item()
            part.log(
                f"step {step} {done:.0%} loss {loss.item():.4f} wrong {wrong.mean().item():.4f} "
                f"worst {worst:.3f} strength {strength:.2f} attacks {much:.2f}"
            )
        step += 1
        if time.monotonic() - kept > 60:
            kept = time.monotonic()
            pair.save(part.out / "mark.safetensors")
            torch.save({**pair.state(), "done": done, "step": step}, state)
    pair.save(part.out / "mark.safetensors")
    state.unlink(missing_ok=True)
    part.log(f"{step} steps")
    return pair


def main() -> None:
    """Reads the command line and trains."""
    ask = argparse.ArgumentParser(prog="python -m gpu.mark.train", description=__doc__)
    ask.add_argument("--out", type=Path, required=True, help="folder for weights and log")
    ask.add_argument("--seconds", type=float, default=420, help="wall clock, rendering included")
    ask.add_argument("--count", type=int, default=12_000, help="renders to learn on")
    ask.add_argument("--size", type=int, default=32, help="pictures a step")
    ask.add_argument("--canvas", type=int, default=512, help="side of the pictures")
    ask.add_argument("--side", type=int, default=network.SIDE, help="side the networks see")
    given = ask.parse_args()
    part = Part(given.out, given.seconds, SEED)
    torch.backends.cuda.matmul.allow_tf32 = False  # its 10 bits blur whole levels of 0..255
    pool = pictures.renders(given.count, given.canvas, SEED)
    part.log(f"{len(pool)} pictures on {pool.device}")
    train(part, pool, size=given.size, side=given.side)


if __name__ == "__main__":
    main()
