"""Scenes to the renderer's vectors: one a picture, or one a frame of a clip."""

import math

import numpy as np
from numpy.typing import NDArray

from gpu.mini.camera import FOCAL, Camera, moved
from gpu.mini.render.params import AT, SIZE
from gpu.mini.scenes import Scene

FPS = 16


def vector(scene: Scene, camera: Camera, seconds: float = 0.0) -> NDArray[np.float32]:
    """The scene vector [params.SIZE] as ``camera`` sees it, ``seconds`` after its start."""
    out = np.zeros(SIZE, np.float32)
    for name, value in scene.numbers.items():
        out[AT[name]] = value
    start = AT["shape"].start
    out[start : start + len(scene.shape)] = scene.shape
    out[AT["eye"]] = camera.eye()
    out[AT["target"]] = (0.0, camera.target_y, 0.0)
    out[AT["focal"]] = FOCAL
    out[AT["shift"]] = (camera.shift_x, camera.shift_y)
    out[AT["lens"]] = 0.10
    out[AT["focus"]] = camera.distance - 0.3
    out[AT["base_yaw"]] = scene.camera.yaw
    out[AT["base_tilt"]] = scene.camera.lift * FOCAL * 0.9
    out[AT["time"]] += seconds
    out[AT["yaw_cos"]] = math.cos(camera.product_yaw)
    out[AT["yaw_sin"]] = math.sin(camera.product_yaw)
    return out


def picture(scene: Scene) -> NDArray[np.float32]:
    """The scene's still picture."""
    return vector(scene, scene.camera)


def clip(scene: Scene, motion: str, count: int) -> NDArray[np.float32]:
    """``count`` frames [count, params.SIZE] of a motion at `FPS`.

    A motion is always equally strong: were it drawn, the end of a clip could not be foretold from
    its words, and a model of few steps blurs what it cannot foretell.
    """
    steps = [i / max(count - 1, 1) for i in range(count)]
    shots = [(moved(scene.camera, motion, t), t) for t in steps]
    return np.stack([vector(scene, c, t * (count - 1) / FPS) for c, t in shots])
