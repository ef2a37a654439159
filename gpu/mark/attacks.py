"""What happens to a published picture, as differentiable steps on levels of 0..255.

A whole batch gets the same geometry; qualities, colours and places differ.
"""

from __future__ import annotations

import math
import random
from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor

# ITU-T T.81, Annex K: the tables that quality 50 stands for.
_LUMA = (
    16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55,
    14, 13, 16, 24, 40, 57, 69, 56, 14, 17, 22, 29, 51, 87, 80, 62,
    18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92,
    49, 64, 78, 87, 103, 121, 120, 101, 72, 92, 95, 98, 112, 100, 103, 99,
)  # fmt: skip
_CHROMA = (
    17, 18, 24, 47, 99, 99, 99, 99, 18, 21, 26, 66, 99, 99, 99, 99,
    24, 26, 56, 99, 99, 99, 99, 99, 47, 66, *(99,) * 38,
)  # fmt: skip


def rounded(x: Tensor) -> Tensor:
    """Whole numbers, with the gradient of the number itself."""
    return x + (x.round() - x).detach()


@cache
def _cosines(device: torch.device) -> Tensor:
    k, n = torch.meshgrid(torch.arange(8.0), torch.arange(8.0), indexing="ij")
    basis = torch.cos(math.pi * (2 * n + 1) * k / 16) / 2
    basis[0] /= math.sqrt(2)
    return basis.to(device)


def _through_blocks(plane: Tensor, steps: Tensor) -> Tensor:
    """Quantise [B, C, H, W] (multiples of 8) by blocks with `steps` [B, 8, 8]."""
    b, c, h, w = plane.shape
    basis = _cosines(plane.device)
    blocks = plane.view(b, c, h // 8, 8, w // 8, 8).permute(0, 1, 2, 4, 3, 5)
    steps = steps.view(b, 1, 1, 1, 8, 8)
    levels = rounded(basis @ blocks @ basis.T / steps) * steps
    back = basis.T @ levels @ basis
    return back.permute(0, 1, 2, 4, 3, 5).reshape(b, c, h, w)


def _steps(table: tuple[int, ...], quality: Tensor) -> Tensor:
    """The table at each picture's quality, as libjpeg scales it: [B, 8, 8]."""
    scale = torch.where(quality < 50, 5000 / quality, 200 - 2 * quality).view(-1, 1, 1)
    base = torch.tensor(table, device=quality.device).view(1, 8, 8)
    return ((base * scale + 50) / 100).floor().clamp(1, 255)


def jpeg(x: Tensor, quality: Tensor) -> Tensor:
    """JPEG with halved colour (4:2:0) at each picture's quality [B]; sides in multiples of 16."""
    red, green, blue = x.unbind(1)
    luma = 0.299 * red + 0.587 * green + 0.114 * blue
    colour = torch.stack([(blue - luma) / 1.772, (red - luma) / 1.402], 1)
    luma = _through_blocks(luma[:, None] - 128, _steps(_LUMA, quality))[:, 0] + 128
    colour = _through_blocks(F.avg_pool2d(colour, 2), _steps(_CHROMA, quality))
    cb, cr = F.interpolate(colour, scale_factor=2, mode="bilinear").unbind(1)
    out = torch.stack([luma + 1.402 * cr, luma - 0.344 * cb - 0.714 * cr, luma + 1.772 * cb], 1)
    return rounded(out.clamp(0, 255))


def _box(x: Tensor, wide: tuple[float, float], high: tuple[float, float]) -> Tensor:
    """A random rectangle of each picture [B, 1, H, W], 1 inside; sizes as shares of the sides."""
    b, _, h, w = x.shape
    drawn = torch.rand(4, b, 1, 1, 1, device=x.device)
    width = wide[0] + drawn[0] * (wide[1] - wide[0])
    height = high[0] + drawn[1] * (high[1] - high[0])
    left, top = drawn[2] * (1 - width), (drawn[3] * 1.3 * (1 - height)).clamp(max=1 - height)
    across = (torch.arange(w, device=x.device).view(1, 1, 1, w) + 0.5) / w
    down = (torch.arange(h, device=x.device).view(1, 1, h, 1) + 0.5) / h
    inside = (across > left) & (across < left + width) & (down > top) & (down < top + height)
    return inside.float()


def covered(x: Tensor) -> Tensor:
    """A logo of any colour, a text-like row of strokes, and a white bar, over half the pictures."""
    b = len(x)
    colour = torch.rand(b, 3, 1, 1, device=x.device) * 255
    ink = _box(x, (0.05, 0.25), (0.03, 0.12)) * torch.rand(b, 1, 1, 1, device=x.device)
    strokes = torch.rand(b, 1, 8, 24, device=x.device).gt(0.5).float()
    strokes = F.interpolate(strokes, size=x.shape[-2:], mode="nearest")
    text = _box(x, (0.2, 0.6), (0.03, 0.08)) * strokes
    bar = _box(x, (0.5, 1.0), (0.04, 0.1)) * (torch.rand(b, 1, 1, 1, device=x.device) < 0.5)
    on = (torch.rand(b, 1, 1, 1, device=x.device) < 0.5).float()
    for mask, paint in ((ink, colour), (text, 255 - colour), (bar, torch.full_like(colour, 245))):
        x = x.lerp(paint.expand_as(x), mask * on)
    return x


def toned(x: Tensor, much: float) -> Tensor:
    """Brightness, contrast and saturation up to a quarter off; some pictures grey."""
    b = len(x)
    drawn = (torch.rand(3, b, 1, 1, 1, device=x.device) * 2 - 1) * much
    grey = (x * x.new_tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)).sum(1, True)
    saturation = 1 + 0.4 * drawn[0]
    saturation = torch.where(
        torch.rand_like(saturation) < 0.2 * much, torch.zeros_like(saturation), saturation
    )
    x = grey + (x - grey) * saturation
    return ((x - 128) * (1 + 0.25 * drawn[1]) + 128 + 25 * drawn[2]).clamp(0, 255)


def blurred(x: Tensor, much: float) -> Tensor:
    """A Gaussian of up to 1.2 pixels."""
    sigma = 0.2 + 1.0 * much * random.random()
    taps = torch.exp(-(torch.arange(-3, 4, device=x.device) ** 2) / (2 * sigma**2))
    taps = (taps / taps.sum()).expand(3, 1, 1, 7)
    x = F.conv2d(F.pad(x, (3, 3, 0, 0), mode="replicate"), taps, groups=3)
    return F.conv2d(F.pad(x, (0, 0, 3, 3), mode="replicate"), taps.mT, groups=3)


def _cut(most: float) -> tuple[float, float]:
    """Shares cut off at the beginning and the end of an axis, together at most `most`."""
    whole = most * random.random()
    share = random.choice([0.0, 1.0, 0.5, random.random()])
    return whole * share, whole * (1 - share)


def attack(x: Tensor, much: float) -> tuple[Tensor, Tensor]:
    """Return the attacked pictures and what was cut off: shares (left, right, top, bottom).

    Args:
        x: pictures [B, 3, H, W], levels.
        much: 0 crops alone, 1 all that is to be borne.
    """
    if random.random() < 0.4 * much:
        x = covered(x)
    if random.random() < 0.4 * much:
        x = toned(x, much)
    h, w = x.shape[-2:]
    cuts = torch.zeros(4)
    if random.random() < 0.7:  # from the first step, or signs are learned that hang on the grid
        cuts = torch.tensor([*_cut(0.1), *_cut(0.1)])
        left, right, top, bottom = (cuts * torch.tensor([w, w, h, h])).round().int().tolist()
        x = x[..., top : h - bottom, left : w - right]
        cuts = torch.tensor([left / w, right / w, top / h, bottom / h])
    scale = math.exp(random.uniform(math.log(0.4), math.log(1.5)) * much)
    sides = [max(8, round(side * scale / 16)) * 16 for side in x.shape[-2:]]
    mode = random.choice(["bilinear", "bicubic"])
    x = F.interpolate(x, size=sides, mode=mode, antialias=True).clamp(0, 255)
    if random.random() < 0.25 * much:
        x = blurred(x, much)
    if random.random() < 0.25 * much:
        x = x + torch.randn_like(x) * 5 * much * random.random()
    if random.random() < 0.8 * much:
        quality = torch.rand(len(x), device=x.device) * 35 + 60
        x = jpeg(x.clamp(0, 255), quality)
    return rounded(x.clamp(0, 255)), cuts
