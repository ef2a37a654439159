"""What must not happen in a clip: a jump at its start, a tremble, a product that changes colour."""

from typing import Final

import numpy as np
import torch.nn.functional as F
from torch import Tensor

from benchmarks.mini.colours import delta_e, lab
from benchmarks.mini.judges import EVERY, Judges, squashed

LEAST: Final = 0.5 / 255
"""Half a code: changes below it are the rounding of bytes."""


def jump(clip: Tensor) -> float:
    """The largest change between frames 0 to 4, against the mean change of the rest.

    1 is an even motion. A clip [T, 3, H, W] in 0..1; changes below `LEAST` count as `LEAST`.
    """
    change = (clip[1:] - clip[:-1]).abs().mean((1, 2, 3))
    return float(change[:4].max().clamp_min(LEAST) / change[4:].mean().clamp_min(LEAST))


def flicker(clip: Tensor, cell: int = 8) -> float:
    """How much the light of a clip [T, 3, H, W] in 0..1 trembles, in 8-bit codes.

    The root mean square of x[t+1] - 2 x[t] + x[t-1] of the means of cells of ``cell`` pixels. A
    steady motion of soft cells leaves little of it (one frame's move is a third of a cell), an
    edge's motion leaves some: so a clip is compared with rendered clips of the same motion.
    """
    cells = F.avg_pool2d(clip.float(), cell)
    return float((cells[2:] - 2 * cells[1:-1] + cells[:-2]).square().mean().sqrt() * 255)


def drift(judges: Judges, clip: Tensor) -> tuple[float, float] | None:
    """CIEDE2000 of the product's median colour, first to last frame and first to any, at most.

    Every fourth frame of a clip [T, 3, H, W] in 0..1; the judge marks the product in each. None
    where it finds none in the first frame; a frame in which it is lost is passed over.
    """
    few = clip[::EVERY]
    masks = judges.see(squashed(few))["mask"] > 1.0  # sure of it: three of four, no edges
    small = squashed(few, masks.shape[-1]).cpu()
    colours = []
    for frame, mask in zip(small, masks[:, 0], strict=True):
        if mask.sum() >= 4:
            colours.append(lab(frame[:, mask].median(1).values.numpy().astype(np.float64)))
        elif not colours:
            return None
    away = [delta_e(colours[0], colour) for colour in colours]
    return away[-1], max(away)


def measured(judges: Judges, clip: Tensor) -> dict[str, float]:
    """Jump, flicker and, where there is a product, drift of one clip [T, 3, H, W] in 0..1."""
    found = drift(judges, clip)
    drifts = dict(zip(("drift", "drift_max"), found, strict=True)) if found else {}
    return {"jump": jump(clip), "flicker": flicker(clip), **drifts}
