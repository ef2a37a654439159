"""What the mark is learned on: the project's own renders, and grounds that hide nothing."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from gpu.mini.camera import Size
from gpu.mini.train.data import ASPECTS, draw, paint

_SHAPES: dict[str, Size] = {"portrait": (384, 640), "square": (512, 512), "landscape": (640, 384)}


def renders(count: int, side: int, seed: int) -> Tensor:
    """Return product scenes of all aspects, squashed to squares: uint8 [count, 3, side, side]."""
    share = -(-count // len(ASPECTS))
    parts = []
    for aspect in ASPECTS:
        vectors = draw("picture", aspect, share, seed).vectors
        width, height = _SHAPES[aspect]
        shape = max(32, width * side // 512), max(32, height * side // 512)
        for i in range(0, share, 256):
            codes = paint(vectors[i : i + 256], shape)[:, :3].float()
            flat = F.interpolate(codes, size=(side, side), mode="bilinear", antialias=True)
            parts.append(flat.round().clamp(0, 255).byte())
    pool = torch.cat(parts)
    return pool[torch.randperm(len(pool), device=pool.device)[:count]]


def graphics(count: int, side: int, device: str) -> Tensor:
    """Return made-up pictures [count, 3, side, side] of levels: ramps, noise, flats and strokes."""

    def one(*shape: int) -> Tensor:
        return torch.rand(count, *shape, device=device)

    ground = F.interpolate(one(3, 2, 2), size=(side, side), mode="bilinear", align_corners=True)
    plain = one(3, 1, 1).expand(-1, -1, side, side)
    x = torch.where(one(1, 1, 1) < 0.5, ground, plain)
    white = one(1, 1, 1) < 0.2
    x = torch.where(white, (one(1, 1, 1) < 0.7).float().expand_as(x), x)
    for size in (8, 32, 128, side):
        grain = F.interpolate(one(3, size, size), size=(side, side), mode="bilinear")
        x = x + (grain - 0.5) * one(1, 1, 1) ** 2 * (one(1, 1, 1) < 0.4)
    for rows, columns, share in ((5, 4, 0.2), (24, 60, 0.15), (60, 90, 0.1)):
        drawn = (one(1, rows, columns) < share).float() * (one(1, 1, 1) < 0.35)
        drawn = F.interpolate(drawn, size=(side, side), mode="nearest")
        x = x.lerp(one(3, 1, 1).expand_as(x), drawn)
    return (x * 255).clamp(0, 255).round()


def batch(pool: Tensor, count: int) -> Tensor:
    """Return a random batch of levels [count, 3, H, W]: a quarter graphics, cut-outs, mirrored."""
    made = count // 4
    side = pool.shape[-1]
    pick = torch.randint(0, len(pool), (count - made,), device=pool.device)
    x = pool[pick].float()
    if torch.rand(()) < 0.5:
        part = int(side * (0.4 + 0.6 * torch.rand(())))
        top, left = (int(torch.randint(0, side - part + 1, ())) for _ in range(2))
        x = F.interpolate(
            x[..., top : top + part, left : left + part], size=(side, side), mode="bilinear"
        )
    x = torch.cat([x, graphics(made, side, str(pool.device))])
    return x.flip(-1) if torch.rand(()) < 0.5 else x
