"""Random weights, words and pictures that are alike trained and rendered ones, to a rounding's eye.

Numbers of one spread flatter 8 bits: trained norms have a few channels many times larger than the
rest, modulations open every block, and attention is far from even.
"""

from __future__ import annotations

import random
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from gpu.mini import frames
from gpu.mini.render.renderer import render
from gpu.mini.scenes import draw_scene

if TYPE_CHECKING:
    from numpy.typing import NDArray

LARGE, SHARE = 6.0, 0.01
"""How many times larger a few channels are, and how many of them."""

SHARP = 1.2
"""Of queries and keys after their norms: scores spread by 1.4. At 1.6 and with large channels here
too, attention jumps between tokens and even bfloat16 is off by 30 % after 30 layers."""

OPEN = 0.5
"""Of modulations: gates of about 0.2."""

PLACES = ("white marble", "a dark oak table", "wet slate", "linen", "a glass shelf", "warm sand")
LIGHT = (
    "morning light from a window on the left, three coffee beans, an out-of-focus kitchen in the "
    "background, shallow depth of field, 85 mm lens, natural colours, the brand's name in small "
    "white letters on the front"
)


def realistic(transformer: nn.Module) -> None:
    """Give a Z-Image transformer weights under which its activations neither fade nor explode."""
    chance = torch.Generator(next(transformer.parameters()).device).manual_seed(0)
    for name, part in transformer.named_modules():
        if isinstance(part, nn.Linear):
            gain = OPEN if "adaLN" in name else 1.0
            part.weight.data.normal_(0, gain * part.in_features**-0.5, generator=chance)
        elif name.endswith(("norm_q", "norm_k")):
            part.weight.data.fill_(SHARP)
        elif "norm" in name and getattr(part, "weight", None) is not None:
            part.weight.data.copy_(spread(part.weight, chance))


def spread(like: Tensor, chance: torch.Generator) -> Tensor:
    """Return scales about 1, a few of them LARGE, in the shape of `like`."""
    usual = torch.randn(like.shape, generator=chance, device=like.device).mul(0.3).exp()
    few = torch.rand(like.shape, generator=chance, device=like.device) < SHARE
    return usual * torch.where(few, LARGE, 1.0)


def words_of(number: int) -> str:
    """Return a prompt of about 100 tokens that no other number has."""
    return f"{number} red mugs on {PLACES[number % len(PLACES)]}, {LIGHT}"


@cache
def moving(width: int, height: int, count: int) -> NDArray[np.uint8]:
    """Return rendered frames (count, height, width, 3) round which a camera goes."""
    vectors = frames.clip(draw_scene(random.Random(4), "square"), "orbit-left", count)
    made: NDArray[np.uint8] = render(vectors, width, height)[:, :3].transpose(0, 2, 3, 1)
    return np.ascontiguousarray(made)


def rendered(width: int, height: int) -> Image.Image:
    """Return a rendered product picture: smooth grounds, sharp edges, small print."""
    vector = frames.picture(draw_scene(random.Random(4), "square"))
    made = render(vector[None], width, height)[0, :3]
    return Image.fromarray(made.transpose(1, 2, 0).copy())
