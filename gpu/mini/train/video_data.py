"""Clips as latents: rendered, sometimes worn, some not renders at all, then encoded and dropped."""

import random
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from gpu.mini.camera import SIZES
from gpu.mini.train import wan_parallel
from gpu.mini.train.augment import worn
from gpu.mini.train.data import ASPECTS, CLIP_CAPTIONS, FRAMES, Drawn, draw, paint, to_unit
from gpu.mini.train.run import Part
from gpu.mini.train.text import video_tokens
from gpu.mini.untyped import Untyped

_FLAT_MOVES = ("push-in", "pull-out", "pan-left", "pan-right", "tilt-up", "tilt-down", "static")


@dataclass
class Clips:
    """Latents [N, Z, T, h, w] of one aspect, with the tokens of `CLIP_CAPTIONS` captions each."""

    latents: Tensor
    ids: Tensor
    lengths: Tensor


def flat_clip(pictures: Tensor, motion: str, frames: int = FRAMES) -> Tensor:
    """A camera move over a flat collage: stands in for a user's photo, whose depth none knows.

    ``pictures`` [2, 3, H, W] in -1..1; the second is pasted into the first, both recoloured.
    """
    a, b = worn(pictures, 1.0)
    _, height, width = a.shape
    y, x = random.randrange(height // 3), random.randrange(width // 3)
    a = a.clone()
    a[:, y : y + height // 2, x : x + width // 2] = b.flip(2)[
        :, y : y + height // 2, x : x + width // 2
    ]
    t = torch.linspace(0, 1, frames, device=a.device)
    zoom, dx, dy = torch.ones_like(t), torch.zeros_like(t), torch.zeros_like(t)
    half_w, half_h = (width / height) ** 0.5, (height / width) ** 0.5
    if motion == "push-in":
        zoom = 1 - 0.30 * t
    elif motion == "pull-out":
        zoom = 1 + 0.42 * t
    elif motion.startswith("pan"):
        dx = 0.40 / half_w * t * (1 if motion == "pan-right" else -1)
    elif motion.startswith("tilt"):
        dy = 0.40 / half_h * t * (-1 if motion == "tilt-up" else 1)
    zero = torch.zeros_like(t)
    theta = torch.stack([torch.stack([zoom, zero, dx], 1), torch.stack([zero, zoom, dy], 1)], 1)
    grid = F.affine_grid(theta, [frames, 3, height, width], align_corners=False)
    clip = F.grid_sample(
        a.expand(frames, -1, -1, -1), grid, padding_mode="reflection", align_corners=False
    )
    return clip.transpose(0, 1)


@torch.no_grad()
def _encode(part: Part, vae: Untyped, drawn: Drawn, mean: Tensor, std: Tensor) -> Tensor:
    latents = []
    group = 6
    for i in range(0, len(drawn.vectors), group):
        vectors = drawn.vectors[i : i + group]
        n = len(vectors)
        codes = paint(vectors.reshape(n * FRAMES, -1), SIZES[384][drawn.aspect])[:, :3]
        clips = to_unit(codes).view(n, FRAMES, 3, *codes.shape[2:]).transpose(1, 2)
        clips = worn(clips.contiguous(), 0.25)
        motion = drawn.words[i]["motion"]
        if motion in _FLAT_MOVES and n > 1 and random.random() < 0.6:  # about a tenth of all clips
            clips[0] = flat_clip(clips[:2, :, 0], motion)
        with part.cast():
            mu = wan_parallel.encode(vae, clips).float().chunk(2, 1)[0]
        latents.append(((mu - mean) / std).half())
    return torch.cat(latents)


def draw_clips(count: int, seed: int) -> list[Drawn]:
    """Scenes of every aspect, drawn before the GPU is touched."""
    return [draw("clip", aspect, count, seed) for aspect in ASPECTS]


def encode_clips(part: Part, vae: Untyped, tok: Untyped, drawn: list[Drawn]) -> dict[str, Clips]:
    """Renders and encodes all clips; an aspect's first six stay clean and out of training."""
    torch.backends.cudnn.benchmark = False
    mean, std = (
        torch.tensor(v, device=part.device).view(1, -1, 1, 1, 1)
        for v in (vae.config.latents_mean, vae.config.latents_std)
    )
    out = {}
    for d in drawn:
        latents = _encode(part, vae, d, mean, std)
        ids, lengths = video_tokens(tok, [c for many in d.captions for c in many[:CLIP_CAPTIONS]])
        out[d.aspect] = Clips(latents, ids.to(part.device), lengths.to(part.device))
        part.log(f"{d.aspect}: {len(latents)} clips, latents {list(latents.shape[1:])}")
    return out
