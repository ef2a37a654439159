"""Trains one part of one model: ``python -m gpu.mini.train image --part vae --out DIR``."""

import argparse
from pathlib import Path

from gpu.mini.train.run import Part


def main() -> None:
    """Reads the command line and runs the part."""
    ask = argparse.ArgumentParser(prog="python -m gpu.mini.train", description=__doc__)
    ask.add_argument("model", choices=["image", "video"])
    ask.add_argument("--part", choices=["vae", "transformer"], required=True)
    ask.add_argument("--out", type=Path, required=True, help="folder for weights, log, sheets")
    ask.add_argument("--start", type=Path, help="folder of an earlier part to go on from")
    ask.add_argument(
        "--seconds", type=float, default=560, help="wall clock of the part, saving included"
    )
    ask.add_argument("--seed", type=int, default=0)
    given = ask.parse_args()
    part = Part(given.out, given.seconds, given.seed)
    if given.model == "image" and given.part == "vae":
        from gpu.mini.train.image_vae import train_vae as train_image_vae

        train_image_vae(part)
    elif given.part == "vae":
        from gpu.mini.train.video_vae import train_vae as train_video_vae

        train_video_vae(part, start=str(given.start / "video_vae") if given.start else "")
    elif given.model == "video":
        from gpu.mini.train.video_model import train_transformer as train_video

        train_video(part, given.start)
    else:
        from gpu.mini.train.image_model import train_transformer as train_image

        train_image(part, given.start)
    part.log("done")


if __name__ == "__main__":
    main()
