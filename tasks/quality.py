"""The quality gate: what a model made is looked at before it is committed.

Every check has one number and one threshold. They were set between the worst of 66 pictures of the
shipped model (a white mug on white, a black bottle in the dark) and made-up broken ones.
"""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from configs.errors import Rejected
from tasks.ffmpeg import binary
from tasks.stage import Draft, Made

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL.Image import Image

    Pixels = NDArray[np.float32]
    """Height, width, RGB in levels of 0-255, at an eighth of the real size."""

SHRINK = 8
"""Autoencoders pack 8x8 pixels into one: undenoised latents are noise at this scale, and at full
size already smooth (neighbours correlate at 0.92)."""

BLACK = 32.0
"""Levels that the brightest hundredth must reach; the darkest real picture has 71."""

FLAT = 4.0
"""Levels of standard deviation, in the liveliest channel; a white mug on white has 8.7."""

NOISE = 0.55
"""Correlation of neighbours; real pictures have 0.70 and more, decoded noise 0.46 and less."""

STILL = 3.0
"""Levels by which the liveliest hundredth of a clip must change; a frozen clip changes by 0.2."""

SAME_BITS = 3
"""Of 64 hash bits; a picture saved as JPEG differs by 2, one drawn with another seed by 10."""

SAME_LEVELS = 5
"""In any cell of a 4x4 colour grid; saved as JPEG 3, another colour of the same product 8."""


def gate(made: Made, seen: dict[str, str] | None = None) -> None:
    """Look at what a model made; files that no model made pass.

    Args:
        made: pictures and clips are opened and looked at.
        seen: fingerprint -> shot of the pictures before this one; this one is added. Clips are not
            compared: a product with its own photo opens all its clips with it.

    Raises:
        Rejected: with what was measured and what is the least.
    """
    node = made.node
    for draft in made.drafts.values() if node.model else ():
        try:
            if draft.kind == "image":
                _gate_picture(draft.path, node.address.shot, {} if seen is None else seen)
            elif draft.kind == "clip":
                check_clip(draft, moves=node.params.get("motion") != "static")
        except Rejected as error:
            computed = f" (computed in {node.pixels['dtype']})" if "dtype" in node.pixels else ""
            raise Rejected(
                f"{error}{computed}; try another {node.kind}.seed or other words"
            ) from None


def _gate_picture(path: Path, shot: str, seen: dict[str, str]) -> None:
    from PIL import Image

    with Image.open(path) as image:
        check_picture(image)
        mark = fingerprint(image)
    twin = duplicate_of(mark, {mark: other for mark, other in seen.items() if other != shot})
    if twin:
        raise Rejected(f"the picture looks the same as that of {twin}")
    seen[mark] = shot


def check_picture(image: Image) -> None:
    """Raise Rejected where a picture is black, flat or noise."""
    import numpy as np

    _check_frame(np.asarray(image.convert("RGB").reduce(SHRINK), dtype=np.float32), "the picture")


def check_clip(draft: Draft, *, moves: bool) -> None:
    """Raise Rejected where frames are missing, black, flat or noise, or where nothing moves.

    Args:
        draft: a clip whose width, height and number of frames are as they should be.
        moves: whether its motion is another than `static`.
    """
    frames = read_small(draft)
    if len(frames) != draft.frames:
        raise Rejected(f"the clip has {len(frames)} of {draft.frames} frames")
    for number, frame in enumerate(frames):
        _check_frame(frame, f"frame {number}")
    change = max(_change(frame, frames[0]) for frame in frames)
    if moves and change < STILL:
        raise Rejected(f"the clip does not move: it changes by {change:.1f} levels, under {STILL}")


def read_small(draft: Draft) -> Pixels:
    """Return all frames of a clip at an eighth of its size: (frames, height, width, 3)."""
    import numpy as np

    width, height = draft.width // SHRINK, draft.height // SHRINK
    done = subprocess.run(
        [
            *(binary(), "-v", "error", "-nostdin", "-i", str(draft.path)),
            *("-vf", f"scale={width}:{height}:flags=area", "-pix_fmt", "rgb24"),
            *("-f", "rawvideo", "pipe:1"),
        ],
        capture_output=True,
        check=False,
    )
    if done.returncode:
        raise Rejected(f"the clip cannot be played: {done.stderr.decode(errors='replace')[-200:]}")
    frames = np.frombuffer(done.stdout, dtype=np.uint8).reshape(-1, height, width, 3)
    return frames.astype(np.float32)


def _check_frame(pixels: Pixels, what: str) -> None:
    light = _luma(pixels)
    brightest = _percentile(light)
    if brightest < BLACK:
        raise Rejected(
            f"{what} is black: its brightest part has {brightest:.0f} levels, under {BLACK:.0f}"
        )
    spread = float(pixels.std(axis=(0, 1)).max())
    if spread < FLAT:
        raise Rejected(f"{what} is flat: its levels spread by {spread:.1f}, under {FLAT}")
    order = neighbour_correlation(pixels)
    if order < NOISE:
        raise Rejected(f"{what} is noise: neighbours correlate at {order:.2f}, under {NOISE}")


def neighbour_correlation(pixels: Pixels) -> float:
    """Return the lag-1 autocorrelation of levels, along rows or columns, whichever is less."""
    deviation = pixels - pixels.mean(axis=(0, 1))
    across = (deviation[:, 1:] * deviation[:, :-1]).mean()
    down = (deviation[1:] * deviation[:-1]).mean()
    return float(min(across, down) / (deviation * deviation).mean())


def _change(frame: Pixels, first: Pixels) -> float:
    """Levels by which the liveliest hundredth differs, a change of all light alike left out."""
    difference = _luma(frame) - _luma(first)
    return _percentile(abs(difference - difference.mean()))


def fingerprint(image: Image) -> str:
    """Return 16 hex digits of a perceptual hash, then 96 of a 4x4 grid of mean colours.

    The hash is the usual DCT one: 32x32 luma, the lowest 8x8 frequencies, each above or below
    their median. The grid tells colours apart, to which the hash is blind.
    """
    import numpy as np
    from PIL import Image as images

    side = np.arange(32)
    cosines = np.cos(np.pi / 32 * (side + 0.5) * side[:8, None])
    light = np.asarray(image.convert("L").resize((32, 32), images.Resampling.LANCZOS), dtype=float)
    waves = (cosines @ light @ cosines.T).ravel()
    bits = waves > np.median(waves[1:])  # the first is the mean brightness
    grid = image.convert("RGB").resize((4, 4), images.Resampling.BOX)
    return np.packbits(bits).tobytes().hex() + grid.tobytes().hex()


def duplicate_of(mark: str, others: Mapping[str, str]) -> str | None:
    """Return the shot among `others` (fingerprint -> shot) whose picture looks the same."""
    bits, grid = int(mark[:16], 16), bytes.fromhex(mark[16:])
    for other, shot in others.items():
        cells = zip(grid, bytes.fromhex(other[16:]), strict=True)
        if (bits ^ int(other[:16], 16)).bit_count() <= SAME_BITS and all(
            abs(a - b) <= SAME_LEVELS for a, b in cells
        ):
            return shot
    return None


def _luma(pixels: Pixels) -> Pixels:
    """BT.709 luma of the last axis."""
    import numpy as np

    return pixels @ np.array([0.2126, 0.7152, 0.0722], dtype=np.float32)


def _percentile(values: Pixels) -> float:
    """Return what the highest hundredth reaches."""
    import numpy as np

    return float(np.percentile(values, 99))
