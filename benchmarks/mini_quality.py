"""How well the embedded models obey: product, colour, motion, first frame, seconds on this CPU.

Judges: a small classifier trained here on rendered pictures only; CIEDE2000 to named colours;
scale and shift between frames by phase correlation. It knows nothing of campaigns.
Run: ``python -m benchmarks.mini_quality --out benchmarks/results/mini.json``
"""

import argparse
import itertools
import json
import math
import random
import time
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from gpu.device import dtype_for, processor
from gpu.mini.captions import caption
from gpu.mini.frames import picture
from gpu.mini.render import render
from gpu.mini.scenes import FINISHES, draw_scene
from gpu.mini.untyped import Untyped
from gpu.mini.vocabulary import vocabulary

WEIGHTS = Path(__file__).parents[1] / "gpu" / "mini" / "weights"
SIDE = 96
Floats = NDArray[np.float64]


def rendered(count: int, seed: int) -> tuple[Tensor, Tensor]:
    """Square renders [N, 3, SIDE, SIDE] in 0..1 and their products' indices."""
    rng, ids = random.Random(seed), vocabulary().ids("product")
    scenes = [draw_scene(rng, "square", {"product": ids[i % len(ids)]}) for i in range(count)]
    codes = render(np.stack([picture(s) for s in scenes]), SIDE, SIDE, 2)[:, :3]
    return torch.from_numpy(codes).float() / 255, torch.arange(count) % len(ids)


class Judge(nn.Module):
    """Names the product of a picture; trained on renders, blurred and recoloured at random."""

    def __init__(self) -> None:
        super().__init__()
        widths, layers = (3, 32, 64, 128, 128), []
        for a, b in itertools.pairwise(widths):
            layers += [nn.Conv2d(a, b, 3, padding=1), nn.BatchNorm2d(b), nn.ReLU(), nn.MaxPool2d(2)]
        self.body = nn.Sequential(*layers)
        self.head = nn.Linear(128 * 36, len(vocabulary().ids("product")))

    def forward(self, x: Tensor) -> Tensor:
        """Logits [N, products] of pictures [N, 3, SIDE, SIDE]."""
        return self.head(self.body(x * 2 - 1).flatten(1))  # type: ignore[no-any-return]


def train_judge(count: int, epochs: int) -> tuple[Judge, float]:
    """A judge, and its accuracy on renders that it has not seen."""
    torch.manual_seed(0)
    x, y = rendered(count, seed=501)
    judge, batch = Judge(), 64
    opt = torch.optim.AdamW(judge.parameters(), 2e-3, weight_decay=0.02)
    plan = torch.optim.lr_scheduler.OneCycleLR(opt, 3e-3, total_steps=epochs * (count // batch))
    for _ in range(epochs):
        for rows in torch.randperm(count)[: count // batch * batch].split(batch):
            some = x[rows] * (0.8 + 0.4 * torch.rand(len(rows), 3, 1, 1))
            if random.random() < 0.5:
                some = nn.functional.avg_pool2d(some, 3, 1, 1)
            some = torch.roll(some, (random.randrange(-6, 7), random.randrange(-6, 7)), (2, 3))
            loss = nn.functional.cross_entropy(judge(some), y[rows], label_smoothing=0.05)
            opt.zero_grad()
            loss.backward()
            opt.step()
            plan.step()
    judge.eval()
    unseen, truth = rendered(480, seed=502)
    with torch.no_grad():
        right = (judge(unseen).argmax(1) == truth).float().mean().item()
    return judge, right


def lab(rgb: Floats) -> Floats:
    """Colours from sRGB in 0..1 to CIE L*a*b* (D65)."""
    light = np.where(rgb > 0.04045, ((rgb + 0.055) / 1.055) ** 2.4, rgb / 12.92)
    to_xyz = np.array(
        [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
    )
    x = light @ to_xyz.T / np.array([0.95047, 1.0, 1.08883])
    f = np.where(x > 216 / 24389, np.cbrt(x), (24389 / 27 * x + 16) / 116)
    return np.stack(
        [116 * f[..., 1] - 16, 500 * (f[..., 0] - f[..., 1]), 200 * (f[..., 1] - f[..., 2])], -1
    )


def delta_e(a: Floats, b: Floats) -> float:
    """CIEDE2000 of two L*a*b* colours (Sharma, Wu, Dalal 2005)."""
    c = (math.hypot(a[1], a[2]) + math.hypot(b[1], b[2])) / 2
    g = 0.5 * (1 - math.sqrt(c**7 / (c**7 + 25**7)))
    a1, a2 = a[1] * (1 + g), b[1] * (1 + g)
    c1, c2 = math.hypot(a1, a[2]), math.hypot(a2, b[2])
    h1, h2 = math.degrees(math.atan2(a[2], a1)) % 360, math.degrees(math.atan2(b[2], a2)) % 360
    dh = (h2 - h1 + 180) % 360 - 180 if c1 * c2 else 0.0
    mean_h = (h1 + dh / 2) % 360
    big_h = 2 * math.sqrt(c1 * c2) * math.sin(math.radians(dh / 2))
    mean_l, mean_c = (a[0] + b[0]) / 2, (c1 + c2) / 2
    cos = [
        math.cos(math.radians(d))
        for d in (mean_h - 30, 2 * mean_h, 3 * mean_h + 6, 4 * mean_h - 63)
    ]
    t = 1 - 0.17 * cos[0] + 0.24 * cos[1] + 0.32 * cos[2] - 0.20 * cos[3]
    sl = 1 + 0.015 * (mean_l - 50) ** 2 / math.sqrt(20 + (mean_l - 50) ** 2)
    sc, sh = 1 + 0.045 * mean_c, 1 + 0.015 * mean_c * t
    turn = 60 * math.exp(-(((mean_h - 275) / 25) ** 2))
    rt = -2 * math.sqrt(mean_c**7 / (mean_c**7 + 25**7)) * math.sin(math.radians(turn))
    dl, dc, dh = (b[0] - a[0]) / sl, (c2 - c1) / sc, big_h / sh
    return math.sqrt(dl * dl + dc * dc + dh * dh + rt * dc * dh)


def colour_rank(picture: Floats, wanted: str) -> int:
    """Place (0 is first) of the wanted name among all, by the best match in the picture's middle.

    Every name is scored by its share of the middle's pixels within 20 of it, weighted by nearness.
    """
    h, w, _ = picture.shape
    middle = lab(picture[h // 4 : 3 * h // 4 : 8, w // 3 : 2 * w // 3 : 8]).reshape(-1, 3)
    wall = lab(picture[: h // 12, : w // 6].reshape(-1, 3).mean(0))
    own = [p for p in middle if delta_e(p, wall) > 12] or list(middle)
    scores = []
    for word in vocabulary().words["colour"]:
        code = np.array([int((word.hex or "")[i : i + 2], 16) / 255 for i in (1, 3, 5)])
        name = lab(code)
        scores.append((-sum(max(0.0, 20 - delta_e(p, name)) for p in own), word.id))
    return [id for _, id in sorted(scores)].index(wanted)


def pictures(pipe: Untyped, count: int) -> list[dict[str, Untyped]]:
    """``count`` prompts, products in turn, other words at random, languages by turns."""
    rng, ids, rows = random.Random(7001), vocabulary().ids("product"), []
    for i in range(count):
        product = ids[i % len(ids)]
        words = {"product": product, "colour": rng.choice(vocabulary().ids("colour")),
                 "material": rng.choice([m for m in FINISHES[product].split() if m != "metal"]),
                 "surface": "seamless", "backdrop": rng.choice(["white", "gray", "black", "beige"]),
                 "camera": rng.choice(["front", "three-quarter"])}  # fmt: skip
        language = ("en", "zh")[i // len(ids) % 2]
        start = time.perf_counter()
        out = pipe(
            prompt=caption(words, language), height=384, width=384, num_inference_steps=8,
            guidance_scale=0.0, max_sequence_length=128, output_type="np",
            generator=torch.Generator().manual_seed(i),
        ).images[0]  # fmt: skip
        seconds = time.perf_counter() - start
        rows.append({"words": words, "language": language, "picture": out, "seconds": seconds})
    return rows


def shift_and_scale(first: Floats, last: Floats) -> tuple[float, float, float]:
    """Scale, and shift right and down as shares of the frame, that carry ``first`` to ``last``."""
    best = (-1.0, 1.0, 0.0, 0.0)
    a = torch.from_numpy(first).float().mean(-1)[None, None]
    b = np.fft.fft2(_edges(torch.from_numpy(last).float().mean(-1)[None, None]))
    h, w = a.shape[2:]
    for scale in np.arange(0.66, 1.55, 0.04):
        theta = torch.tensor([[[1 / scale, 0, 0], [0, 1 / scale, 0]]], dtype=torch.float32)
        grid = nn.functional.affine_grid(theta, [1, 1, h, w], align_corners=False)
        warped = nn.functional.grid_sample(a, grid, padding_mode="border", align_corners=False)
        cross = b * np.conj(np.fft.fft2(_edges(warped)))
        peak = np.fft.ifft2(cross / (np.abs(cross) ** 0.7 + 1e-6)).real
        y, x = np.unravel_index(int(peak.argmax()), peak.shape)
        dy, dx = (y + h / 2) % h - h / 2, (x + w / 2) % w - w / 2
        if peak.max() > best[0]:
            best = (float(peak.max()), float(scale), float(dx) / w, float(dy) / h)
    return best[1], best[2], best[3]


def _edges(grey: Tensor) -> Floats:
    blurred = nn.functional.avg_pool2d(grey, 3, 1, 1)
    return (grey - nn.functional.avg_pool2d(blurred, 15, 1, 7))[0, 0].double().numpy()


def seen_motion(first: Floats, last: Floats) -> str:
    """The plain camera move between two frames, or ``other`` (a turn shows as little of each)."""
    scale, right, down = shift_and_scale(first, last)
    if scale > 1.1 or scale < 0.9:
        return "push-in" if scale > 1 else "pull-out"
    if max(abs(right), abs(down)) > 0.06:
        if abs(right) > abs(down):
            return "pan-left" if right > 0 else "pan-right"
        return "tilt-up" if down > 0 else "tilt-down"
    return "static" if np.abs(first - last).mean() < 0.02 else "other"


def clips(pipe: Untyped, rows: list[dict[str, Untyped]], count: int) -> list[dict[str, Untyped]]:
    """``count`` clips over every motion, from the made pictures."""
    from PIL import Image

    out, motions = [], vocabulary().ids("motion")
    for i in range(count):
        first, motion = rows[i % len(rows)]["picture"], motions[i % len(motions)]
        start = time.perf_counter()
        clip = pipe(
            image=Image.fromarray((first * 255).round().astype(np.uint8)),
            prompt=vocabulary().word("motion", motion).en[0], height=384, width=384, num_frames=33,
            num_inference_steps=4, guidance_scale=1.0, max_sequence_length=64, output_type="np",
            generator=torch.Generator().manual_seed(1),
        ).frames[0].astype(np.float64)  # fmt: skip
        seconds = time.perf_counter() - start
        small = [clip[t][::3, ::3] for t in (0, 20)]
        jumps = [float(np.abs(clip[t + 1] - clip[t]).mean()) for t in range(32)]
        out.append({
            "motion": motion, "seen": seen_motion(*small), "seconds": seconds,
            "first_psnr": 10 * math.log10(1 / max(1e-9, float(np.square(clip[0] - first).mean()))),
            "jump": max(jumps[:4]) / (float(np.mean(jumps[4:])) + 1e-4),
        })  # fmt: skip
    return out


def measure(prompts: int, moves: int, judge_pictures: int, epochs: int) -> dict[str, Untyped]:
    """All figures as one record."""
    from diffusers import WanImageToVideoPipeline, ZImagePipeline

    dtype = getattr(torch, dtype_for(processor()))
    judge, accuracy = train_judge(judge_pictures, epochs)
    pipe = ZImagePipeline.from_pretrained(WEIGHTS / "image", dtype=dtype)
    pipe.set_progress_bar_config(disable=True)
    rows = pictures(pipe, prompts)
    stack = torch.from_numpy(np.stack([r["picture"] for r in rows])).permute(0, 3, 1, 2).float()
    with torch.no_grad():
        named = judge(nn.functional.interpolate(stack, SIDE, mode="area")).argmax(1).tolist()
    ids = vocabulary().ids("product")
    kind = [ids[n] == r["words"]["product"] for n, r in zip(named, rows, strict=True)]
    rank = [colour_rank(r["picture"].astype(np.float64), r["words"]["colour"]) for r in rows]
    video = WanImageToVideoPipeline.from_pretrained(WEIGHTS / "video", dtype=dtype)
    video.set_progress_bar_config(disable=True)
    made = clips(video, rows, moves)
    plain = [c for c in made if c["motion"] not in ("orbit-left", "orbit-right", "turntable")]
    chinese = [r["language"] == "zh" for r in rows]
    return {
        "dtype": str(dtype), "prompts": prompts, "judge_on_renders": accuracy,
        "product": float(np.mean(kind)), "colour_first": float(np.mean([r == 0 for r in rank])),
        "product_zh": float(np.mean([k for k, z in zip(kind, chinese, strict=True) if z] or [0])),
        "colour_first_three": float(np.mean([r < 3 for r in rank])),
        "picture_seconds": float(np.median([r["seconds"] for r in rows])),
        "clips": moves, "clip_seconds": float(np.median([c["seconds"] for c in made])),
        "first_frame_psnr": float(np.min([c["first_psnr"] for c in made])),
        "jump": float(np.max([c["jump"] for c in made])),
        "plain_motion": float(np.mean([c["seen"] == c["motion"] for c in plain])),
        "motions": [(c["motion"], c["seen"]) for c in made],
        "taken_for": [
            (r["words"]["product"], ids[n])
            for n, r, k in zip(named, rows, kind, strict=True)
            if not k
        ],
    }  # fmt: skip


def main() -> None:
    """Reads the command line, prints and saves the record."""
    ask = argparse.ArgumentParser(prog="python -m benchmarks.mini_quality", description=__doc__)
    ask.add_argument("--prompts", type=int, default=40)
    ask.add_argument("--clips", type=int, default=14)
    ask.add_argument("--judge-pictures", type=int, default=4000)
    ask.add_argument("--epochs", type=int, default=12)
    ask.add_argument("--out", type=Path)
    given = ask.parse_args()
    record = measure(given.prompts, given.clips, given.judge_pictures, given.epochs)
    text = json.dumps(record, indent=2, ensure_ascii=False)
    print(text)
    if given.out:
        given.out.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
