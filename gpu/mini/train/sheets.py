"""What a person looks at after a training part: contact sheets, and errors in decibels."""

from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor


def sheet(pictures: Tensor, columns: int, path: Path, quality: int = 88) -> None:
    """Saves pictures [N, 3, H, W] in -1..1 as one JPEG or PNG, row by row."""
    codes = ((pictures.float().clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8).cpu().numpy()
    n, _, height, width = codes.shape
    rows = -(-n // columns)
    page = np.zeros((rows * height, columns * width, 3), np.uint8)
    for i, picture in enumerate(codes):
        y, x = i // columns * height, i % columns * width
        page[y : y + height, x : x + width] = picture.transpose(1, 2, 0)
    Image.fromarray(page).save(path, quality=quality)


def decibels(error: Tensor, span: float = 2.0) -> float:
    """Squared errors as peak signal-to-noise ratio in dB; 96 at most where ``span`` is 2.

    ``span``: from black to white, 2 for pictures in -1..1, 1 for pictures in 0..1.
    """
    return float(10 * torch.log10(span**2 / error.mean().clamp_min(1e-9)))


def psnr(a: Tensor, b: Tensor, span: float = 2.0) -> float:
    """Peak signal-to-noise ratio in dB of two pictures; ``span`` as `decibels` has it."""
    return decibels((a.float() - b.float()).square(), span)
