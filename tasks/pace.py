"""How fast and how long a delivery plays: frames a second, passes of its clip, frames.

Known at plan time, and asked by every stage that writes over a clip or sounds with it.
"""

from __future__ import annotations

import math
from typing import Literal

from configs.base import Declaration
from configs.delivery import Rate
from configs.errors import BadPlan
from tasks.stage import Cell, Photo

Between = Literal["repeat", "blend", "motion"]

MOST_PASSES = 4
"""A clip is played forth and back at most twice; more is tiresome to watch."""

COMMON_RATES = (24.0, 25.0, 30.0, 50.0, 60.0)


class Pace(Declaration):
    """The time of one finished clip."""

    clip_fps: float
    clip_frames: int
    passes: int = 1
    """Times the clip is played, forth and back in turn, to last as long as the platform asks."""
    fps: float
    frames: int
    """Of the finished file."""
    between: Between = "repeat"
    """What stands between two frames of the clip where the file has more: the first again, a mix
    of both, or what ffmpeg's motion search draws."""

    @property
    def seconds(self) -> float:
        """How long the finished file plays."""
        return self.frames / self.fps


def pace(cell: Cell, clip: Photo) -> Pace:
    """Return the time of the delivery that is cut from `clip`.

    Raises:
        BadPlan: where the clip is too long or too short for the platform, or its rate cannot be
            met.
    """
    assert cell.delivery is not None, "a delivery has a pace, a shot has none"
    passes = _passes(cell, clip)
    played = passes * (clip.frames - 1) + 1 if passes > 1 else clip.frames
    fps, whole = _rate(cell, cell.delivery.fps, clip.fps)
    chosen = cell.settings.export.between
    return Pace(
        clip_fps=clip.fps,
        clip_frames=clip.frames,
        passes=passes,
        fps=fps,
        frames=round(played / clip.fps * fps),
        between=("repeat" if whole else "blend") if chosen == "auto" else chosen,
    )


def _passes(cell: Cell, clip: Photo) -> int:
    """Return how often the clip is played, forth and back in turn, to be long enough."""
    delivery = cell.delivery
    assert delivery is not None
    seconds = clip.frames / clip.fps
    if delivery.max_seconds is not None and seconds > delivery.max_seconds:
        raise BadPlan(
            f"{cell.shot}: the clip lasts {seconds:.1f} s, and {cell.delivery_id}.max_seconds is "
            f"{delivery.max_seconds:g}: lower animate.seconds"
        )
    if seconds >= delivery.min_seconds:
        return 1
    steps = clip.frames - 1  # a single frame has no way forth
    passes = math.ceil((delivery.min_seconds * clip.fps - 1) / steps) if steps else math.inf
    if passes > MOST_PASSES:
        raise BadPlan(
            f"{cell.shot}: the clip lasts {seconds:.1f} s, and {cell.delivery_id}.min_seconds is "
            f"{delivery.min_seconds:g}, too many even if it is played {MOST_PASSES} times: "
            f"raise animate.seconds"
        )
    return int(passes)


def _rate(cell: Cell, takes: Rate, own: float) -> tuple[float, bool]:
    """Return frames a second, and whether that is a multiple of the clip's own rate.

    The smallest multiple that the platform takes only repeats frames.
    """
    wanted = cell.settings.export.fps
    if wanted is not None:
        if not takes.min <= wanted <= takes.max:
            raise BadPlan(
                f"{cell.shot}: export.fps: {cell.delivery_id} takes {takes.min:g} to "
                f"{takes.max:g} frames a second, not {wanted}"
            )
        return float(wanted), wanted % own == 0
    times = max(1, math.ceil(takes.min / own))
    if times * own <= takes.max:
        return float(times * own), True
    common = [rate for rate in COMMON_RATES if takes.min <= rate <= takes.max] or [takes.max]
    return min(common, key=lambda rate: abs(rate - own)), False
