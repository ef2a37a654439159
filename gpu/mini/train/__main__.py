"""Trains one part of one model: ``python -m gpu.mini.train image --part vae --out DIR``."""

import argparse
from pathlib import Path

import torch

from gpu.mini.camera import SIZES
from gpu.mini.train.run import Part


def _pair(text: str) -> tuple[float, float]:
    first, _, second = text.partition(":")
    return float(first), float(second or first)


def _asked() -> argparse.Namespace:
    ask = argparse.ArgumentParser(prog="python -m gpu.mini.train", description=__doc__)
    ask.add_argument("model", choices=["image", "video"])
    ask.add_argument("--part", choices=["vae", "decoder", "transformer"], required=True)
    ask.add_argument("--out", type=Path, required=True, help="folder for weights, log, sheets")
    ask.add_argument("--start", type=Path, help="folder of an earlier part to go on from")
    ask.add_argument("--side", type=int, choices=SIZES, default=384, help="class of the pictures")
    ask.add_argument("--rates", type=_pair, default=(1.0, 0.01), help="rate's factor, FROM:TO")
    ask.add_argument(
        "--guided", type=_pair, default=(1.0, 1.0), help="image: shares of the time, FROM:WHOLE"
    )
    ask.add_argument("--count", type=int, help="scenes an aspect")
    ask.add_argument(
        "--seconds", type=float, default=560, help="wall clock of the part, saving included"
    )
    ask.add_argument("--seed", type=int, default=0)
    given = ask.parse_args()
    if given.part != "vae" and given.start is None:
        ask.error(f"--part {given.part} needs --start: the folder that holds {given.model}_vae")
    if not torch.cuda.is_available():
        ask.error("torch sees no GPU here, and a training part needs one")
    return given


def _train_image(part: Part, given: argparse.Namespace) -> None:
    if given.part == "vae":
        from gpu.mini.train.image_vae import train_vae

        train_vae(part)
    elif given.part == "decoder":
        from gpu.mini.train.decoder import train_image_decoder

        train_image_decoder(part, given.start)
    else:
        from gpu.mini.train.image_model import train_transformer

        more = {"count": given.count} if given.count else {}
        train_transformer(
            part, given.start, side=given.side, rates=given.rates, guided=given.guided, **more
        )


def _train_video(part: Part, given: argparse.Namespace) -> None:
    if given.part == "vae":
        from gpu.mini.train.video_vae import train_vae

        train_vae(part, start=given.start)
    elif given.part == "decoder":
        from gpu.mini.train.decoder import train_video_decoder

        train_video_decoder(part, given.start)
    else:
        from gpu.mini.train.video_model import train_transformer

        more = {"count": given.count} if given.count else {}
        train_transformer(part, given.start, side=given.side, rates=given.rates, **more)


def main() -> None:
    """Reads the command line and runs the part."""
    given = _asked()
    part = Part(given.out, given.seconds, given.seed)
    (_train_image if given.model == "image" else _train_video)(part, given)
    part.log("done")


if __name__ == "__main__":
    main()
