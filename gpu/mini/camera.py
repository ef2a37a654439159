"""Cameras and how they move. Distances in scene units, angles in radians."""

import math
from dataclasses import dataclass, replace

FOCAL = 2.6
"""Focal length in half-picture units: a 42-degree square view, a short portrait lens."""


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


def fit(width: float, height: float, size: tuple[int, int], share: float) -> float:
    """The distance at which a product (half width, height) fills ``share`` of the frame's height.

    A wide product is held to 0.72 of the frame's width instead.
    """
    half_w, half_h = math.sqrt(size[0] / size[1]), math.sqrt(size[1] / size[0])
    return max(FOCAL * height / (2 * half_h * share), FOCAL * width / (half_w * 0.72))


def moved(start: Camera, motion: str, t: float, strength: float = 1.0) -> Camera:
    """The camera at time ``t`` in 0..1 of a named motion."""
    k = strength * t
    match motion:
        case "push-in":
            return replace(start, distance=start.distance * (1 - 0.30 * k))
        case "pull-out":
            return replace(start, distance=start.distance * (1 + 0.42 * k))
        case "orbit-left":
            return replace(start, yaw=start.yaw - 0.65 * k)
        case "orbit-right":
            return replace(start, yaw=start.yaw + 0.65 * k)
        case "pan-left":
            return replace(start, shift_x=start.shift_x - 0.40 * k)
        case "pan-right":
            return replace(start, shift_x=start.shift_x + 0.40 * k)
        case "tilt-up":
            return replace(start, shift_y=start.shift_y + 0.40 * k)
        case "tilt-down":
            return replace(start, shift_y=start.shift_y - 0.40 * k)
        case "turntable":
            return replace(start, product_yaw=start.product_yaw + 1.25 * k)
        case "static":
            return start
    raise ValueError(f"motion {motion!r} is none of the vocabulary's")
