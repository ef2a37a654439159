"""How much the two autoencoders lose on whole held-out pictures and clips."""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from benchmarks.figures import Figure, at_least
from benchmarks.mini.renders import shot, unseen_scenes
from gpu.mini import frames
from gpu.mini.camera import SIZES
from gpu.mini.train.data import ASPECTS, paint, to_unit
from gpu.mini.train.sheets import psnr
from gpu.mini.untyped import Untyped
from gpu.mini.vocabulary import vocabulary


def _through(vae: Untyped, x: Tensor) -> Tensor:
    """Encodes and decodes in -1..1; returns 0..1."""
    x = x.to(device=vae.device, dtype=vae.dtype)
    back: Tensor = vae.decode(vae.encode(x).latent_dist.mode()).sample
    return (back.float().clamp(-1, 1) + 1) / 2


@torch.no_grad()
def pictures(vae: Untyped, each: int, classes: tuple[int, ...] = (512, 384)) -> Iterator[Figure]:
    """PSNR of ``each`` whole pictures an aspect, by class: the mean over pictures, in dB."""
    scenes = list(unseen_scenes(3 * each, seed=840))
    for size in classes:
        for aspect in ASPECTS:
            vectors = np.stack([frames.picture(s) for a, s in scenes if a == aspect])
            codes = paint(vectors, SIZES[size][aspect])[:, :3]
            values = [
                psnr(_through(vae, to_unit(one[None])), one[None].float() / 255, span=1)
                for one in codes
            ]
            note = f"n {len(values)}, worst {min(values):.1f}"
            name = f"image autoencoder, {size} {aspect}"
            yield at_least(name, float(np.mean(values)), "dB", 34, note)


@torch.no_grad()
def clips(vae: Untyped, each: int) -> Iterator[Figure]:
    """PSNR of ``each`` whole clips an aspect by frame; the worst frame is the figure, in dB."""
    motions = vocabulary().ids("motion")
    for aspect in ASPECTS:
        scenes = [s for a, s in unseen_scenes(3 * each, seed=841) if a == aspect]
        values = []
        for i, scene in enumerate(scenes):
            codes = paint(shot(scene, motions[i % len(motions)], every=1), SIZES[384][aspect])
            x = to_unit(codes[:, :3]).transpose(0, 1)[None]
            back, true = _through(vae, x)[0].transpose(0, 1), codes[:, :3].float() / 255
            values.append([psnr(b, t, span=1) for b, t in zip(back, true, strict=True)])
        by_frame = np.mean(values, 0)
        note = (
            f"n {len(values)}, mean {by_frame.mean():.1f}, frame 0 {by_frame[0]:.1f}, "
            f"last {by_frame[-1]:.1f}, best {by_frame.max():.1f}"
        )
        name = f"video autoencoder, {aspect}, worst frame"
        yield at_least(name, float(by_frame.min()), "dB", 31, note)
