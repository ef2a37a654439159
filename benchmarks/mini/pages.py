"""Pages of pictures with a line of words under each: what a person looks at."""

from collections.abc import Sequence
from pathlib import Path

import torch
from PIL import Image, ImageDraw
from torch import Tensor

LINE = 13  # pixels: Pillow's own bitmap font, which knows ids and English but no Chinese


def image(picture: Tensor) -> Image.Image:
    """A picture [3, H, W], uint8 or 0..1, as Pillow has it."""
    if picture.dtype != torch.uint8:
        picture = (picture.float().clamp(0, 1) * 255).round().to(torch.uint8)
    return Image.fromarray(picture.permute(1, 2, 0).cpu().numpy())


def page(
    cells: Sequence[tuple[Tensor, str]], columns: int, side: int, path: Path, quality: int = 88
) -> None:
    """Saves pictures, each fitted into a square of ``side`` above its lines of words, as a JPEG."""
    if not cells:
        return
    lines = max(words.count("\n") + 1 if words else 0 for _, words in cells)
    high, rows = side + lines * LINE, -(-len(cells) // columns)
    sheet = Image.new("RGB", (columns * side, rows * high), "white")
    pen = ImageDraw.Draw(sheet)
    for i, (picture, words) in enumerate(cells):
        x, y = i % columns * side, i // columns * high
        small = image(picture)
        small.thumbnail((side - 2, side - 2), Image.Resampling.LANCZOS)
        sheet.paste(small, (x + (side - small.width) // 2, y + (side - small.height) // 2))
        for n, line in enumerate(words.split("\n") if words else []):
            pen.text((x + 2, y + side + n * LINE), line[: side // 6], fill="black")
    path.parent.mkdir(parents=True, exist_ok=True)
    sheet.save(path, quality=quality)
