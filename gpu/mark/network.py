"""Writes a chequerboard of signs into a picture and finds it again; knows nothing of payloads.

Both networks see the picture squashed to a square of `SIDE` pixels, so that no resizing is new to
them. The square has `CELLS` x `CELLS` cells of `CELL` pixels, and each cell carries one sign: a
small, local task that is learned in minutes, however long the message.
"""

from __future__ import annotations

from typing import Final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

CELL: Final = 20
CELLS: Final = 16
SIDE: Final = CELL * CELLS
STRIDE: Final = 4
"""Pixels of the square a side of the networks' own grid."""
WIDTH: Final = 40

STRENGTH: Final = 0.85
"""Visible RMS of the mark on a flat ground, in levels of 255: nearly all within one level."""
FLOOR: Final = 41.0
"""PSNR, dB, that the mark of no picture goes below."""

_YCC: Final = ((1.0, 1.0, 1.0), (0.0, -0.344, 1.772), (1.402, -0.714, 0.0))
"""RGB of a unit of luma, Cb and Cr (JFIF)."""
_SEEN: Final = (1.0, 0.25, 0.25)
"""How much of the energy of luma, Cb and Cr counts: eyes see fine colour several times less well
(Mullen 1985)."""


class Block(nn.Module):
    """Two convolutions beside a straight way."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.one = nn.Conv2d(width, width, 3, padding=1)
        self.two = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """[B, width, h, w] to the same."""
        more: Tensor = self.two(F.silu(self.one(F.silu(x))))
        return x + more


class Trunk(nn.Sequential):
    """From `given` to `wanted` channels on the networks' own grid."""

    def __init__(self, given: int, wanted: int) -> None:
        super().__init__(
            nn.Conv2d(given, WIDTH, 3, padding=1),
            Block(WIDTH),
            Block(WIDTH),
            nn.SiLU(),
            nn.Conv2d(WIDTH, wanted, 3, padding=1),
        )


class Encoder(nn.Module):
    """What to add to a picture so that its cells carry the given signs."""

    def __init__(self) -> None:
        super().__init__()
        self.trunk = Trunk(3 * STRIDE**2 + 1, 3 * STRIDE**2)
        self.register_buffer("ycc", torch.tensor(_YCC), persistent=False)

    def forward(self, square: Tensor, signs: Tensor) -> Tensor:
        """Return the mark [B, 3, S, S], red green blue, of a visible RMS of 1 on a flat ground.

        Args:
            square: the picture [B, 3, S, S], levels of 0..255.
            signs: -1 or 1 for each cell [B, 1, S / CELL, S / CELL].
        """
        seen = F.pixel_unshuffle(square / 127.5 - 1, STRIDE)
        plan = F.interpolate(signs, size=seen.shape[-2:], mode="nearest")
        drawn = F.pixel_shuffle(self.trunk(torch.cat([seen, plan], 1)), STRIDE).float()
        drawn = evened(fine(fine(drawn))).clamp(-2, 2)
        return torch.einsum("bchw,cd->bdhw", drawn, self.ycc) * envelope(square)


class Decoder(nn.Module):
    """Which sign each place of a picture carries."""

    def __init__(self) -> None:
        super().__init__()
        self.trunk = Trunk(3 * STRIDE**2, 1)

    def forward(self, square: Tensor) -> Tensor:
        """Levels [B, 3, S, S] to log-odds [B, S / STRIDE, S / STRIDE]; above 0 means 1."""
        odds: Tensor = self.trunk(F.pixel_unshuffle(square / 127.5 - 1, STRIDE)).squeeze(1)
        return odds


def strong(mark: Tensor, strength: float, floor: float = FLOOR) -> Tensor:
    """The encoder's mark at a visible RMS of `strength` levels, or less where PSNR would suffer."""
    size = (mark.square().mean((1, 2, 3), keepdim=True) + 1e-6).sqrt()
    return mark * (255 * 10 ** (-floor / 20) / size).clamp(max=strength)


def fine(x: Tensor) -> Tensor:
    """Without what is coarser than about 12 pixels: eyes see blotches, and fine grain less."""
    return x - F.avg_pool2d(F.pad(x, (3, 3, 3, 3), mode="replicate"), 7, 1)


def evened(drawn: Tensor) -> Tensor:
    """Luma, Cb and Cr with the same visible energy in every cell's worth of pixels.

    Otherwise half of the cells carry it all, and the eye finds them.
    """
    seen = (drawn.square() * drawn.new_tensor(_SEEN).view(1, 3, 1, 1)).sum(1, True)
    for size, pad in (((CELL + 1, 1), (CELL // 2, 0)), ((1, CELL + 1), (0, CELL // 2))):
        seen = F.avg_pool2d(seen, size, 1, pad, count_include_pad=False)
    return drawn / (seen + 1e-5).sqrt()


def envelope(square: Tensor) -> Tensor:
    """How much more than on a flat ground each place hides [B, 1, S, S], 1 to 3.5.

    The local deviation of luma over 7 x 7 pixels, taken where it is least nearby: a flat ground
    beside an edge stays flat, so that edges get no halo.
    """
    luma = (square * square.new_tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)).sum(1, True)
    luma = F.pad(luma, (3, 3, 3, 3), mode="replicate")
    mean = F.avg_pool2d(luma, 7, 1)
    spread = (F.avg_pool2d(luma.square(), 7, 1) - mean.square()).clamp(min=0).sqrt()
    calm = -F.max_pool2d(-spread, 7, 1, padding=3)
    return 1 + (calm / 6).clamp(max=2.5)


def squash(picture: Tensor, side: int = SIDE) -> Tensor:
    """[B, 3, H, W] of any size to the square [B, 3, side, side]."""
    return F.interpolate(picture, size=(side, side), mode="bilinear", antialias=True)


def reach(begin: Tensor, end: Tensor, cells: int, outputs: int) -> Tensor:
    """How much each output counts for each cell along one axis [..., cells, outputs].

    Args:
        begin: share of the original cut off before the picture, [...].
        end: the same behind it.
        cells: cells of the original.
        outputs: the decoder's outputs of what is left.
    """
    places = (torch.arange(outputs, device=begin.device) + 0.5) / outputs
    places = begin[..., None] + places * (1 - begin - end)[..., None]
    centres = torch.arange(cells, device=begin.device) + 0.5
    away = (places[..., None, :] * cells - centres[:, None]).abs()
    return (1 - 2 * away).clamp(min=0) * (2 * cells / outputs)
