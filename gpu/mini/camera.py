"""Cameras and how they move. Distances in scene units, angles in radians."""

import math
import random
from dataclasses import dataclass

Size = tuple[int, int]
"""Width and height in pixels."""

SIZES: dict[int, dict[str, Size]] = {
    256: {"portrait": (192, 336), "square": (256, 256), "landscape": (336, 192)},
    384: {"portrait": (288, 512), "square": (384, 384), "landscape": (512, 288)},
    512: {"portrait": (384, 672), "square": (512, 512), "landscape": (672, 384)},
}
"""By class (the side of its square) and aspect; all divide by 16, the areas of a class are alike
within 2 %. Pictures are native at 512 and clips at 384; training begins smaller."""

FOCAL = 2.6
"""Focal length in half-picture units: a 42-degree square view, a short portrait lens."""


# Over a whole clip: distance's share, camera's yaw, shift right and up, product's yaw. Two seconds
# are short: a turn of 70 degrees showed more new sides than five layers can invent, and smeared.
_MOVES = {
    "push-in": (-0.30, 0.0, 0.0, 0.0, 0.0),
    "pull-out": (0.42, 0.0, 0.0, 0.0, 0.0),
    "orbit-left": (0.0, -0.50, 0.0, 0.0, 0.0),
    "orbit-right": (0.0, 0.50, 0.0, 0.0, 0.0),
    "pan-left": (0.0, 0.0, -0.40, 0.0, 0.0),
    "pan-right": (0.0, 0.0, 0.40, 0.0, 0.0),
    "tilt-up": (0.0, 0.0, 0.0, 0.40, 0.0),
    "tilt-down": (0.0, 0.0, 0.0, -0.40, 0.0),
    "turntable": (0.0, 0.0, 0.0, 0.0, 0.75),
    "static": (0.0, 0.0, 0.0, 0.0, 0.0),
}
_DEEP = ("orbit-left", "orbit-right", "turntable")


def draw_motion(rng: random.Random) -> str:
    """A motion at random; those that show what the first frame hides come 2.5 times as often."""
    return rng.choices(list(_MOVES), [2.5 if name in _DEEP else 1.0 for name in _MOVES])[0]


@dataclass(frozen=True)
class Camera:
    """A camera on a sphere round the product, and the product's own turn."""

    yaw: float
    lift: float
    distance: float
    target_y: float
    product_yaw: float
    shift_x: float = 0.0
    shift_y: float = 0.0

    def eye(self) -> tuple[float, float, float]:
        """Where the camera stands; never under the surface."""
        flat = self.distance * math.cos(self.lift)
        high = max(0.1, self.target_y + self.distance * math.sin(self.lift))
        return flat * math.sin(self.yaw), high, flat * math.cos(self.yaw)


def fit(width: float, height: float, size: Size, share: float) -> float:
    """The distance at which a product (half width, height) fills ``share`` of the frame's height.

    A wide product is held to 0.72 of the frame's width instead.
    """
    half_w, half_h = math.sqrt(size[0] / size[1]), math.sqrt(size[1] / size[0])
    return max(FOCAL * height / (2 * half_h * share), FOCAL * width / (half_w * 0.72))


def moved(start: Camera, motion: str, t: float) -> Camera:
    """The camera at time ``t`` in 0..1 of a named motion."""
    if motion not in _MOVES:
        raise ValueError(f"motion {motion!r} is none of {', '.join(_MOVES)}")
    zoom, yaw, right, up, turn = (part * t for part in _MOVES[motion])
    return Camera(
        yaw=start.yaw + yaw,
        lift=start.lift,
        distance=start.distance * (1 + zoom),
        target_y=start.target_y,
        product_yaw=start.product_yaw + turn,
        shift_x=start.shift_x + right,
        shift_y=start.shift_y + up,
    )
