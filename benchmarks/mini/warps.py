"""Stills made to move by bending them: what a motion judge must not take for a camera's move.

Told apart by an eye, and so made here: a zoom of a still (near and far grow alike; a push-in's do
not), a still turned like a card (an orbit shows the product's sides), a product squeezed and slid
within its outline (a turntable shows new sides), a dissolve from a first to a last view (no move).
Not made, since none could tell: a slid still is just what this world's pan and tilt are (a lens
shift, without parallax), and a still that stays is `static`. A zoom on a plain stage, where nothing
but the product shows depth, is not made either: those stills come from `TEXTURED` surfaces.
"""

import math
import random
from typing import Final

import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.mini.judges import CLIP_SIDE

KINDS: Final = ("zoom-in", "zoom-out", "card", "squeeze")
TEXTURED: Final = ("marble", "black-marble", "wood", "concrete", "sand", "snow-ground", "satin")
FAR: Final = 1.42
"""Stills that a warp crops are taken from so much farther, so that the crop frames as usual."""


def _square(side: int, count: int, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """Times [T, 1, 1] in 0..1 and places x, y [1, side, side] in -1..1."""
    line = torch.linspace(-1, 1, side, device=device)
    y, x = torch.meshgrid(line, line, indexing="ij")
    return torch.linspace(0, 1, count, device=device).view(-1, 1, 1), x[None], y[None]


def _card(x: Tensor, y: Tensor, t: Tensor, turn: float) -> tuple[Tensor, Tensor]:
    """Where a flat card turned by ``turn`` radians about the upright axis is looked up."""
    angle = turn * t
    depth = 1 - 0.3 * x * torch.sin(angle)
    return x / torch.cos(angle).clamp_min(0.3) / depth * 0.85, y / depth * 0.85


def _squeeze(
    x: Tensor, y: Tensor, t: Tensor, near: Tensor, amount: tuple[float, float]
) -> tuple[Tensor, Tensor]:
    """Squeezes and slides only where ``near`` [1, H, W] is: the product's soft outline."""
    scale, slide = amount
    return x + near * t * (scale * x + slide), y.expand_as(x + t)


def warped(
    still: Tensor, kind: str, rng: random.Random, count: int = 9, side: int = CLIP_SIDE
) -> Tensor:
    """A clip [count, 3, side, side] in 0..1 made of one still [4, H, W] (RGB, mask) in 0..1.

    Raises:
        ValueError: where ``kind`` is none of `KINDS`.
    """
    t, x, y = _square(2 * side, count, still.device)
    strength = rng.uniform(0.85, 1.15)
    if kind == "zoom-in":
        scale = 1 - 0.30 * strength * t
        u, v = x * scale, y * scale
    elif kind == "zoom-out":
        scale = (1 + 0.42 * strength * t) / (1 + 0.42 * strength)
        u, v = x * scale, y * scale
    elif kind == "card":
        u, v = _card(x / FAR, y / FAR, t, rng.choice([-1, 1]) * 0.65 * strength)
    elif kind == "squeeze":
        near = F.avg_pool2d(F.interpolate(still[None, 3:], 2 * side), 25, 1, 12)[0]
        amount = rng.choice([-0.45, 0.6]) * strength, rng.uniform(-0.2, 0.2)
        u, v = _squeeze(x, y, t, near, amount)
    else:
        raise ValueError(f"warp {kind!r} is none of {', '.join(KINDS)}")
    grid = torch.stack([u.expand(count, -1, -1), v.expand(count, -1, -1)], -1)
    frames = still[None, :3].expand(count, -1, -1, -1)
    moved = F.grid_sample(frames, grid, padding_mode="reflection", align_corners=False)
    return F.avg_pool2d(moved, 2)


def dissolved(clips: Tensor) -> Tensor:
    """Clips [N, T, 3, H, W] that only fade from their first frame to their last."""
    share = torch.linspace(0, 1, clips.shape[1], device=clips.device).view(1, -1, 1, 1, 1)
    share = 0.5 - 0.5 * torch.cos(math.pi * share)
    return clips[:, :1] * (1 - share) + clips[:, -1:] * share
