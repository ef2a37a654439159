"""What decoders train on: rendered crops, and whole pictures and clips of held-out scenes."""

import random
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from gpu.mini import frames
from gpu.mini.camera import SIZES, Size
from gpu.mini.scenes import draw_scene
from gpu.mini.train.augment import worn
from gpu.mini.train.critic import labels
from gpu.mini.train.data import ASPECTS, FRAMES, Drawn, draw, rendered, to_unit
from gpu.mini.untyped import Untyped
from gpu.mini.vocabulary import vocabulary

Sets = dict[str, Tensor]
"""Whole held-out pictures or clips, uint8 [N, 3, T, H, W], by aspect and class."""


@dataclass(frozen=True)
class Pool:
    """Rendered uint8 clips [N, 3, T, H, W] (pictures: T = 1), their labels, and how to crop."""

    codes: Tensor
    labels: Tensor
    share: float
    """How often a step uses it, against the others."""
    crop: int
    batch: int

    def real(self) -> Tensor:
        """A random batch of crops in -1..1, some worn, half of the batches mirrored."""
        y, x = (random.randrange((n - self.crop) // 2 + 1) * 2 for n in self.codes.shape[3:])
        pick = torch.randint(0, len(self.codes), (self.batch,), device=self.codes.device)
        some = self.codes[pick, :, :, y : y + self.crop, x : x + self.crop]
        some = worn(to_unit(some), 0.2)
        return some.flip(4) if random.random() < 0.5 else some


def _unseen(aspect: str, count: int, seed: int, moving: bool) -> Untyped:
    """Vectors of scenes whose combination training never sees, still or as clips."""
    rng = random.Random(f"{seed} {aspect}")
    scenes = [draw_scene(rng, aspect, unseen=True) for _ in range(count)]
    if not moving:
        return np.stack([frames.picture(s) for s in scenes])
    motions = vocabulary().ids("motion")
    return np.stack([frames.clip(s, rng.choice(motions), FRAMES) for s in scenes])


def _pool(drawn: Drawn, size: Size, share: float, crop: int, batch: int) -> Pool:
    codes = rendered(drawn.vectors, size)
    return Pool(codes, labels(drawn.words).to(codes.device), share, crop, batch)


def pictures(count: int, held: int, crop: int, batch: int) -> tuple[list[Pool], Sets]:
    """``count`` pictures an aspect of the 384 and 512 classes; ``held`` held-out ones each."""
    # All scenes are drawn before the first rendering: worker processes fork without a GPU context.
    kinds = [(side, aspect) for side in (384, 512) for aspect in ASPECTS]
    drawn = [draw("picture", aspect, count, seed=31 + side) for side, aspect in kinds]
    unseen = [_unseen(aspect, held, 32 + side, moving=False) for side, aspect in kinds]
    sizes = [SIZES[side][aspect] for side, aspect in kinds]
    rows = list(zip(kinds, drawn, unseen, sizes, strict=True))
    # The smaller class has more detail a pixel and 2 dB less: it is shown twice as often.
    pools = [
        _pool(d, size, 2.0 if kind[0] == 384 else 1.0, crop, batch) for kind, d, _, size in rows
    ]
    return pools, {f"{aspect} {side}": rendered(v, size) for (side, aspect), _, v, size in rows}


def clips(count: int, stills: int, held: int, crop: int, batch: int) -> tuple[list[Pool], Sets]:
    """``count`` clips and ``stills`` pictures an aspect; ``held`` held-out clips each.

    Four steps in ten are single pictures (eight times the scenes): a clip's first frame is one.
    """
    moving = [draw("clip", aspect, count, seed=41) for aspect in ASPECTS]
    still = [draw("picture", aspect, stills, seed=42) for aspect in ASPECTS]
    unseen = {aspect: _unseen(aspect, held, 43, moving=True) for aspect in ASPECTS}
    pools = [_pool(d, SIZES[384][d.aspect], 0.6, crop, batch) for d in moving]
    pools += [_pool(d, SIZES[384][d.aspect], 0.4, crop, 8 * batch) for d in still]
    return pools, {f"{a} 384": rendered(v, SIZES[384][a]) for a, v in unseen.items()}
