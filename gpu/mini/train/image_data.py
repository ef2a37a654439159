"""Pictures as latents, with caption tokens and the product's share of each token."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from gpu.mini.camera import SIZES, Size
from gpu.mini.train.data import Drawn, paint, to_unit
from gpu.mini.train.run import Part
from gpu.mini.train.text import image_tokens
from gpu.mini.untyped import Untyped

WIDTHS = (32, 64, 96)
"""Caption widths in tokens. The library pads captions to multiples of 32, and a picture token's
place follows from it: train at the widths of use."""


@dataclass
class Pictures:
    """Latents [N, C, h, w] of one aspect, product share [N, 1, h, w], and caption tokens."""

    latents: Tensor
    product: Tensor
    ids: Tensor
    lengths: Tensor
    rows: list[Tensor]
    """Caption rows by the narrowest of `WIDTHS` that holds them."""
    per: int
    """Captions a picture."""


@torch.no_grad()
def _encode(part: Part, vae: Untyped, drawn: Drawn, size: Size) -> tuple[Tensor, Tensor]:
    latents, masks, group = [], [], 96
    scale, shift = vae.config.scaling_factor, vae.config.shift_factor
    for i in range(0, len(drawn.vectors), group):
        codes = paint(drawn.vectors[i : i + group], size)
        with part.cast():
            mu = vae.encoder(to_unit(codes[:, :3])).float().chunk(2, 1)[0]
        latents.append(((mu - shift) * scale).half())
        masks.append(F.avg_pool2d(codes[:, 3:].float() / 255, 8).half())
    return torch.cat(latents), torch.cat(masks)


def encode_pictures(
    part: Part, vae: Untyped, tok: Untyped, drawn: list[Drawn], side: int
) -> dict[str, Pictures]:
    """Renders and encodes all pictures at the class of ``side``."""
    torch.backends.cudnn.benchmark = False
    out = {}
    for d in drawn:
        ids, lengths = image_tokens(tok, [c for many in d.captions for c in many], WIDTHS[-1])
        part.log(f"{d.aspect}: tokenised, {lengths.float().mean():.1f} tokens")
        latents, product = _encode(part, vae, d, SIZES[side][d.aspect])
        ids, lengths = ids.to(part.device), lengths.to(part.device)
        need = torch.bucketize(lengths, torch.tensor(WIDTHS, device=lengths.device))
        rows = [(need == i).nonzero()[:, 0] for i in range(len(WIDTHS))]
        out[d.aspect] = Pictures(latents, product, ids, lengths, rows, len(d.captions[0]))
        part.log(f"{d.aspect}: {len(latents)} pictures, by width {[len(r) for r in rows]}")
    return out
