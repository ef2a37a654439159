"""Renders the demo's own-product photo: a stoneware mug on a wooden table, three to four."""

import argparse
import random
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter

from gpu.mini.camera import fit
from gpu.mini.frames import vector
from gpu.mini.render import render
from gpu.mini.scenes import EXTENT, Scene, draw_scene

WORDS = {
    "product": "mug", "colour": "teal", "material": "ceramic", "surface": "wood",
    "backdrop": "beige", "light_side": "left", "light_warmth": "warm", "light_hardness": "soft",
    "camera": "three-quarter", "props": "steam",
}  # fmt: skip


def mug_scene(width: int, height: int, seed: int) -> Scene:
    """A mug as a shop owner would place it: on the table, a little turned, window to the left."""
    scene = draw_scene(random.Random(seed), "portrait", WORDS, plain=True)
    distance = fit(*EXTENT["mug"], (width, height), 0.46) + 0.2
    camera = replace(
        scene.camera, yaw=0.42, lift=0.30, distance=distance, product_yaw=-0.12, shift_x=0.03,
        shift_y=0.05, target_y=0.55,
    )  # fmt: skip
    numbers = scene.numbers | {"labelled": 1.0, "emblem": 1.0, "contrast": (0.86, 0.80, 0.70)}
    numbers |= {"exposure": 1.04, "hardness": 5.0, "surface_a": (0.42, 0.22, 0.10),
                "surface_b": (0.20, 0.09, 0.04), "prop_kind": 7.0}  # fmt: skip
    shape = [0.52, 0.52, 0.86, 0.0, 1.0]
    return replace(scene, camera=camera, numbers=numbers, shape=shape)


def photo(width: int, height: int, samples: int, seed: int) -> Image.Image:
    """The rendered photo with a camera's softness and grain."""
    scene = mug_scene(width, height, seed)
    codes = render(vector(scene, scene.camera)[None], width, height, samples)[0, :3]
    picture = Image.fromarray(codes.transpose(1, 2, 0)).filter(ImageFilter.GaussianBlur(0.5))
    grain = np.random.default_rng(seed).normal(0, 0.6, (height, width, 1))
    return Image.fromarray(np.clip(np.asarray(picture) + grain, 0, 255).astype(np.uint8))


def main() -> None:
    """Reads the command line and saves the photo."""
    ask = argparse.ArgumentParser(prog="python -m gpu.mini.mug", description=__doc__)
    ask.add_argument("out", type=Path)
    ask.add_argument("--height", type=int, default=1200, help="pixels; three quarters of it wide")
    ask.add_argument("--samples", type=int, default=4, help="side of the sample grid in a pixel")
    ask.add_argument("--seed", type=int, default=4)
    given = ask.parse_args()
    picture = photo(given.height * 3 // 4, given.height, given.samples, given.seed)
    # 128 colours would band the wall: full colour, and still under the 1 MiB a brand file may have.
    picture.save(given.out, optimize=True)


if __name__ == "__main__":
    main()
