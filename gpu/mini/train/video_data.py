"""Clips as latents: rendered, sometimes worn, some not renders at all, then encoded and dropped."""

import copy
import random
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from gpu.mini.camera import SIZES, Size
from gpu.mini.train import wan_parallel
from gpu.mini.train.augment import worn
from gpu.mini.train.data import FRAMES, Drawn, paint, to_unit
from gpu.mini.train.layers import layered
from gpu.mini.train.run import Part
from gpu.mini.train.text import video_tokens
from gpu.mini.untyped import Untyped

GROUP = 8
"""Clips rendered at once; the first one that can be is a moved photo. An aspect's first group has
none, stays clean and out of training: the loss on it tells what was learnt from what was kept."""
KINDS = ("plain", "orbit", "turntable")
"""Groups of motions, by how much they must invent."""


@dataclass
class Clips:
    """Latents [N, Z, T, h, w] of one aspect, and tokens of `data.CLIP_CAPTIONS` captions each."""

    latents: Tensor
    product: Tensor
    """The product's share of every latent, [N, T, h, w]."""
    kinds: Tensor
    """Each clip's place in `KINDS`, [N]."""
    ids: Tensor
    lengths: Tensor


def kind(motion: str) -> int:
    """The place in `KINDS` of a motion."""
    return KINDS.index(name) if (name := motion.split("-")[0]) in KINDS else 0


def _stills(drawn: Drawn, places: list[int], size: Size) -> Tensor:
    """First frames as a user's photos: [N, 4, H, W], odd colours in -1..1 and mask in 0..1."""
    codes = paint(drawn.vectors[places, 0], size)
    return torch.cat([worn(to_unit(codes[:, :3]), 0.8), codes[:, 3:] / 255.0], 1)


def _photo(drawn: Drawn, places: list[int], size: Size) -> Tensor:
    """The clip [4, T, H, W] of the first place's picture, cut out and put on its or another's."""
    front, behind = places[0], random.choice([places[0], places[-1]])
    stills = _stills(drawn, sorted({front, behind}), size)
    ground = stills[0] if behind == front else stills[1]
    return layered(stills[0], drawn.vectors[front], ground, drawn.vectors[behind, 0])


def _fit(words: dict[str, str]) -> bool:
    """Whether two layers can stand for the scene: a podium is a third, from above there is more."""
    return words["surface"] != "podium" and words["camera"] != "top-down"


def render_clips(drawn: Drawn, first: int, size: Size) -> Tensor:
    """A group of clips from place ``first`` on, [n, 4, T, H, W]: colours in -1..1, mask in 0..1."""
    many = list(range(first, min(first + GROUP, len(drawn.vectors))))
    fit = [i for i in many if _fit(drawn.words[i])] if first else []
    whole = [i for i in many if i not in fit[:1]]
    out = []
    if whole:
        vectors = np.ascontiguousarray(drawn.vectors[whole]).reshape(len(whole) * FRAMES, -1)
        codes = paint(vectors, size).view(len(whole), FRAMES, 4, size[1], size[0])
        codes = codes.transpose(1, 2)
        colours = worn(to_unit(codes[:, :3]), 0.25 if first else 0.0)
        out = list(torch.cat([colours, codes[:, 3:] / 255.0], 1))
    if fit:
        out.insert(many.index(fit[0]), _photo(drawn, fit, size))
    return torch.stack(out)


def pooled(mask: Tensor) -> Tensor:
    """A mask [N, 1, 1 + 4k, H, W] as shares of latents [N, 1 + k, H/8, W/8]."""
    first = F.avg_pool3d(mask[:, :, :1], (1, 8, 8))
    return torch.cat([first, F.avg_pool3d(mask[:, :, 1:], (4, 8, 8))], 2)[:, 0]


@torch.no_grad()
def _encode(part: Part, vae: Untyped, drawn: Drawn, size: Size) -> tuple[Tensor, Tensor]:
    mean, std = (
        torch.tensor(v, device=part.device).view(1, -1, 1, 1, 1)
        for v in (vae.config.latents_mean, vae.config.latents_std)
    )
    latents, product = [], []
    for i in range(0, len(drawn.vectors), GROUP):
        clips = render_clips(drawn, i, size)
        colours = clips[:, :3].contiguous(memory_format=torch.channels_last_3d)
        with part.cast():
            mu = wan_parallel.encode(vae, colours).float().chunk(2, 1)[0]
        latents.append(((mu - mean) / std).half())
        product.append(pooled(clips[:, 3:]).half())
    return torch.cat(latents).contiguous(), torch.cat(product)


def encode_clips(
    part: Part, vae: Untyped, tok: Untyped, drawn: list[Drawn], side: int
) -> dict[str, Clips]:
    """Renders and encodes all clips of a class of sizes."""
    torch.backends.cudnn.benchmark = False
    vae = copy.deepcopy(vae)
    wan_parallel.channels_last(vae)
    out = {}
    for d in drawn:
        latents, product = _encode(part, vae, d, SIZES[side][d.aspect])
        kinds = torch.tensor([kind(words["motion"]) for words in d.words], device=part.device)
        ids, lengths = video_tokens(tok, [c for many in d.captions for c in many])
        ids, lengths = ids.to(part.device), lengths.to(part.device)
        out[d.aspect] = Clips(latents, product, kinds, ids, lengths)
        shares = (kinds.bincount(minlength=len(KINDS)) / len(kinds)).tolist()
        said = ", ".join(f"{name} {share:.2f}" for name, share in zip(KINDS, shares, strict=True))
        part.log(f"{d.aspect}: {len(latents)} clips, latents {list(latents.shape[1:])}: {said}")
    return out
