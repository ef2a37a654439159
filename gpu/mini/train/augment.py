"""Makes renders look less like renders, so that a user's own photo is no stranger to the models."""

import torch
from torch import Tensor


def worn(pictures: Tensor, share: float = 0.3) -> Tensor:
    """Colour, contrast and grain changes on a share of [B, 3, ..., H, W] in -1..1.

    One change for a whole clip: it stays a clip of one (odd) world.
    """
    b, device = len(pictures), pictures.device
    shape = [b, 3] + [1] * (pictures.dim() - 2)
    one = [b] + [1] * (pictures.dim() - 1)
    mixing = torch.eye(3, device=device) + 0.22 * torch.randn(b, 3, 3, device=device)
    mixing = mixing / mixing.sum(2, keepdim=True).clamp_min(0.4)
    odd = torch.einsum("bij,bj...->bi...", mixing, pictures)
    gain = 1 + 0.3 * (torch.rand(shape, device=device) - 0.5)
    shift = 0.3 * (torch.rand(shape, device=device) - 0.5)
    odd = odd * gain + shift
    grain = torch.randn_like(pictures) * 0.05 * torch.rand(one, device=device)
    return torch.where(torch.rand(one, device=device) < share, (odd + grain).clamp(-1, 1), pictures)
