"""Contact sheets: what a person looks at after a training part."""

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


def psnr(a: Tensor, b: Tensor) -> float:
    """Peak signal-to-noise ratio in dB of pictures in -1..1 (peak to peak 2)."""
    return float(10 * torch.log10(4 / (a.float() - b.float()).square().mean().clamp_min(1e-9)))
