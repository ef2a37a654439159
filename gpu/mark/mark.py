"""Embeds a payload in a still so that nobody sees it, and reads it back after what publishing does.

    marked = embed(picture, payload_of(node.key))
    found = read(marked)          # Reading(payload=..., confidence=1.0), or None
    prefix_of(found.payload)      # the first ten hex digits of the node's key

Knows nothing of files or catalogs. The payload is the beginning of a node's content key, not of the
file's hash: the mark changes the file, so its hash is not known yet when it is made.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

from configs.errors import BadInput
from gpu.device import LOADING, use_allowed_cores
from gpu.mark import LEAST, code

if TYPE_CHECKING:
    import numpy as np
    import torch
    from numpy.typing import NDArray

    from gpu.mark.network import Decoder, Encoder

    Picture = NDArray[np.uint8]

WEIGHTS: Final = Path(__file__).parent / "weights" / "mark.safetensors"
MOST: Final = 100_000_000
"""Pixels in all, so that a hostile size ends in words and not without memory."""
_CUTS: Final = (0.0, 0.02, 0.04, 0.06, 0.08)
"""Shares of a side that may be cut off at each end; cells are found at half a step's miss."""
_STRENGTHS: Final = (0.45, 0.65, 0.95, 1.4)
"""Visible RMS on a flat ground in levels of 255, tried in turn until a worn copy could be read."""
_SPARE: Final = 4
"""Coded bits of 127 that such a copy may lose; a tenth of all is corrected."""
_ROOM: Final = 0.9
"""Levels that black and white leave free for the mark's waves."""
_TRIES: Final = 2
"""The likeliest croppings that are decoded; each more is a chance for noise to pass the check."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What a picture's mark says."""

    payload: int
    """40 bits. Noise passes the 24 check bits once in 2**24 tries, two tries a picture."""
    confidence: float
    """The share of the 127 coded bits that came through, 0..1."""


def payload_of(key: str) -> int:
    """Return the payload of a content key: its first ten hex digits."""
    return int(key[: code.BITS // 4], 16)


def prefix_of(payload: int) -> str:
    """Return the ten hex digits that the content key of a read payload begins with."""
    return f"{payload:0{code.BITS // 4}x}"


def embed(picture: Picture, payload: int) -> Picture:
    """Return the picture [H, W, 3] with the payload in it, of the same size.

    Equal arguments give equal bytes on one machine with one number of threads. The mark is as
    strong as a copy of half the size in JPEG 65 needs, and never stronger than 40 dB.

    Args:
        picture: uint8, red green blue, both sides at least `LEAST`.
        payload: below 2**40, see `payload_of`.

    Raises:
        BadInput: where the picture is of another kind or too small, or the payload too large.
    """
    import torch

    from gpu.mark.network import CELLS, squash, strong

    _check(picture)
    if not 0 <= payload < 1 << code.BITS:
        raise BadInput(f"payload {payload}: a mark holds 0 to 2**{code.BITS} - 1")
    cells = code.write(payload)
    with LOADING, torch.inference_mode():
        levels = _levels(picture)
        signs = torch.from_numpy(cells).view(1, 1, CELLS, CELLS)
        mark = _networks()[0](squash(levels), signs)
        for strength in _STRENGTHS:
            made = _added(levels, strong(mark, strength))
            if _lost(made, code.gathered(cells)) <= _SPARE:
                break
    return made


def read(picture: Picture) -> Reading | None:
    """Return what the mark of a picture [H, W, 3] says, or None where none is readable.

    Raises:
        BadInput: where the picture is of another kind or too small.
    """
    _check(picture)
    return chosen(likely(picture))


def chosen(likely: NDArray[np.float32]) -> Reading | None:
    """Return what the likeliest croppings [N, 127] say, or None where the check bits object."""
    for odds in likely[:_TRIES]:
        found = code.read(odds)
        if found is not None:
            return Reading(*found)
    return None


def likely(picture: Picture) -> NDArray[np.float32]:
    """Return the log-odds of the word's bits [N, 127] for every cropping, the likeliest first.

    Where the cells are found, the two copies of a bit agree, and their sum is large.
    """
    odds = _odds(picture, _CUTS)
    ordered: NDArray[np.float32] = odds[(-abs(odds).sum(-1)).argsort(kind="stable")]
    return ordered


def _odds(picture: Picture, cuts: Sequence[float]) -> NDArray[np.float32]:
    """The log-odds of the word's bits [N, 127], with each of `cuts` off each of the four sides."""
    import torch

    from gpu.mark.network import CELLS, reach, squash

    with LOADING, torch.inference_mode():
        seen = _networks()[1](squash(_levels(picture)))[0]
        begin, end = torch.cartesian_prod(torch.tensor(cuts), torch.tensor(cuts)).T
        weights = reach(begin, end, CELLS, seen.shape[-1])
        cells = torch.einsum("ayh,hw,bxw->abyx", weights, seen, weights)
    return code.gathered(cells.reshape(-1, code.CELLS).numpy())


def _added(levels: torch.Tensor, mark: torch.Tensor) -> Picture:
    """The picture's levels with a mark of the square's size laid over them.

    Black and white grounds give way by a level: a wave cut in half is hardly there.
    """
    import torch.nn.functional as F

    whole = levels.clamp(_ROOM, 255 - _ROOM)
    whole += F.interpolate(mark, size=levels.shape[-2:], mode="bilinear")
    whole += _grain(*levels.shape[-2:])
    made: Picture = whole.round_().clamp_(0, 255).byte()[0].permute(1, 2, 0).contiguous().numpy()
    return made


def _grain(height: int, width: int) -> torch.Tensor:
    """What is added before rounding [H, W], -0.5 to 0.5: a wave of half a level becomes fine grain.

    Interleaved gradient noise (Jimenez 2014); without it, rounding draws the wave's outlines.
    """
    import torch

    down, across = torch.arange(height)[:, None], torch.arange(width)
    return (52.9829189 * (0.06711056 * across + 0.00583715 * down).frac()).frac() - 0.5


def _lost(picture: Picture, truth: NDArray[np.float32]) -> int:
    """How many coded bits half the size and JPEG of quality 65 turn over; nothing is cut off."""
    import numpy as np
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(picture).reduce(2).save(file, "jpeg", quality=65)
    odds = _odds(np.asarray(Image.open(file)), (0.0,))[0]
    return int(((odds < 0) != (truth < 0)).sum())


@cache
def _networks() -> tuple[Encoder, Decoder]:
    from safetensors.torch import load_file

    from gpu.mark.network import Decoder, Encoder

    use_allowed_cores()
    weights = load_file(WEIGHTS)
    encoder, decoder = Encoder(), Decoder()
    for name, network in (("encoder.", encoder), ("decoder.", decoder)):
        own = {k.removeprefix(name): v.float() for k, v in weights.items() if k.startswith(name)}
        network.load_state_dict(own)
        network.eval()
    return encoder, decoder


def _levels(picture: Picture) -> torch.Tensor:
    """[H, W, 3] to levels [1, 3, H, W]."""
    import numpy as np
    import torch

    return torch.from_numpy(np.array(picture)).permute(2, 0, 1)[None].float()


def _check(picture: Picture) -> None:
    if str(picture.dtype) != "uint8" or picture.ndim != 3 or picture.shape[2] != 3:
        raise BadInput(
            f"a picture of {picture.dtype} {picture.shape}: a mark needs uint8 [height, width, 3]"
        )
    height, width = picture.shape[:2]
    if min(height, width) < LEAST or height * width > MOST:
        raise BadInput(
            f"a picture of {width}x{height}: a mark needs at least {LEAST} pixels a side "
            f"and at most {MOST // 1_000_000} million in all"
        )
