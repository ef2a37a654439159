"""Does the invisible mark of a still outlive what publishing does, and is it invisible?

Renders of scenes that no training sees, pictures that the embedded model makes of held-out prompts,
and graphics with flat grounds, each marked, attacked by Pillow and read. The crop takes 5 % off
each axis, shared at random between its two ends. Bit accuracy counts the 127 coded bits before
correction.

    python -m benchmarks.mark [--renders 90] [--made 45] [--unmarked 2000] [--sheet SHEET.png]
"""

from __future__ import annotations

import argparse
import io
import random
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import mean, median

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter

from benchmarks.figures import Figure, at_least, at_most, write
from benchmarks.mini import pictures
from benchmarks.mini.told import share
from benchmarks.mini_quality import WEIGHTS, loaded
from gpu.mark import code, mark
from gpu.mini import frames
from gpu.mini.camera import SIZES
from gpu.mini.scenes import draw_scene
from gpu.mini.train.data import ASPECTS, paint

Attack = Callable[[Image.Image, random.Random], Image.Image]
Pixels = NDArray[np.uint8]
REQUIRED = ("JPEG 75", "half size", "5 % crop", "crop, half, JPEG 75")


def saved(picture: Image.Image, form: str, quality: int) -> Image.Image:
    """Return the picture as a file of this format and quality holds it."""
    file = io.BytesIO()
    picture.save(file, form, quality=quality)
    return Image.open(file).convert("RGB")


def scaled(picture: Image.Image, share: float) -> Image.Image:
    """Return the picture at another size."""
    size = round(picture.width * share), round(picture.height * share)
    return picture.resize(size, Image.Resampling.LANCZOS)


def cropped(picture: Image.Image, rng: random.Random, share: float = 0.05) -> Image.Image:
    """Return the picture with `share` of each axis cut off, at random ends."""
    left, top = rng.uniform(0, share * picture.width), rng.uniform(0, share * picture.height)
    width, height = ((1 - share) * side for side in picture.size)
    return picture.crop((round(left), round(top), round(left + width), round(top + height)))


def labelled(picture: Image.Image, rng: random.Random) -> Image.Image:
    """Return the picture with a white bar, an inscription and a logo drawn over it."""
    out = picture.copy()
    pen, (width, height) = ImageDraw.Draw(out), out.size
    top = rng.choice([0, round(0.93 * height)])
    pen.rectangle((0, top, width, top + round(0.07 * height)), fill=(245, 245, 245))
    pen.text((width // 10, height // 3), "NEW 199", fill=(20, 20, 20), font_size=height // 12)
    pen.ellipse((0.8 * width, 0.8 * height, 0.92 * width, 0.87 * height), fill=(179, 18, 43))
    return out


ATTACKS: dict[str, Attack] = {
    "none": lambda p, _: p,
    "JPEG 75": lambda p, _: saved(p, "jpeg", 75),
    "half size": lambda p, _: scaled(p, 0.5),
    "5 % crop": lambda p, r: cropped(p, r),
    "crop, half, JPEG 75": lambda p, r: saved(scaled(cropped(p, r), 0.5), "jpeg", 75),
    "JPEG 50": lambda p, _: saved(p, "jpeg", 50),
    "WebP 75": lambda p, _: saved(p, "webp", 75),
    "quarter size": lambda p, _: scaled(p, 0.25),
    "1.5 times the size": lambda p, _: scaled(p, 1.5),
    "10 % crop": lambda p, r: cropped(p, r, 0.1),
    "blur, radius 1.5": lambda p, _: p.filter(ImageFilter.GaussianBlur(1.5)),
    "brightness 1.2": lambda p, _: ImageEnhance.Brightness(p).enhance(1.2),
    "contrast 0.8": lambda p, _: ImageEnhance.Contrast(p).enhance(0.8),
    "grey": lambda p, _: p.convert("L").convert("RGB"),
    "bar, title and logo, JPEG 75": lambda p, r: saved(labelled(p, r), "jpeg", 75),
}


def renders(count: int, seed: int = 77) -> Iterator[Pixels]:
    """Yield held-out scenes of about a megapixel, aspects by turns; drawn at half the size."""
    rng = random.Random(seed)
    for i in range(count):
        aspect = ASPECTS[i % len(ASPECTS)]
        vector = frames.picture(draw_scene(rng, aspect, unseen=True))
        codes = paint(vector[None], SIZES[512][aspect])[0, :3]
        drawn = Image.fromarray(codes.permute(1, 2, 0).cpu().numpy())
        yield np.asarray(scaled(drawn, 2))


def made(count: int) -> list[Pixels]:
    """Return what the embedded model draws of held-out prompts, at twice its size as delivered."""
    rows = pictures.asked(count)
    pictures.draw(loaded(WEIGHTS, "image"), rows, 8, 512, 1)
    drawn = (Image.fromarray(row.picture.permute(1, 2, 0).numpy()) for row in rows)
    return [np.asarray(scaled(picture, 2)) for picture in drawn]


def graphics(side: int = 1024) -> list[Pixels]:
    """Return flats, ramps and posters: grounds that hide least."""
    out = [np.full((side, side, 3), colour, np.uint8) for colour in (255, 245, 128, 30, 0)]
    ramp = np.linspace(30, 225, side)[:, None, None].repeat(side, 1).repeat(3, 2)
    out += [ramp.astype(np.uint8), (ramp * (0.9, 0.5, 0.6)).astype(np.uint8)]
    for ground, ink in (("white", "black"), ("#7a1020", "#f5d9a0"), ("#e8e0d4", "#303848")):
        page = Image.new("RGB", (side, side), ground)
        pen = ImageDraw.Draw(page)
        pen.text((side // 10, side // 10), "LUMIÈRE\n50 %", fill=ink, font_size=side // 6)
        for line in range(8):
            pen.text((side // 10, side // 2 + 40 * line), "one week only " * 3, ink, font_size=28)
        pen.rectangle((0, 0.94 * side, side, side), fill=ink)
        out.append(np.asarray(page))
    return out


@dataclass
class Tried:
    """What became of one group's pictures."""

    name: str
    psnr: list[float] = field(default_factory=list)
    rights: dict[str, list[bool]] = field(default_factory=dict)
    accuracy: dict[str, list[float]] = field(default_factory=dict)
    wrong: int = 0
    """Readings of another payload than was written."""

    def add(self, picture: Pixels, rng: random.Random) -> None:
        """Mark one picture, and read it after each attack."""
        payload = rng.getrandbits(code.BITS)
        after = mark.embed(picture, payload)
        off = np.square(after.astype(np.float32) - picture).mean()
        self.psnr.append(float(10 * np.log10(255**2 / max(off, 1e-9))))
        truth = code.gathered(code.write(payload)) < 0
        for name, attack in ATTACKS.items():
            attacked = np.asarray(attack(Image.fromarray(after), rng))
            odds = mark.likely(attacked)
            found = mark.chosen(odds)
            self.rights.setdefault(name, []).append(bool(found and found.payload == payload))
            self.wrong += bool(found and found.payload != payload)
            bits = float(((odds[0] < 0) == truth).mean())
            self.accuracy.setdefault(name, []).append(bits)

    def figures(self, bars: bool) -> Iterator[Figure]:
        """Yield recovery with bit accuracy by attack, and the PSNR."""
        least = min(self.psnr)
        yield at_least(
            f"{self.name}: least PSNR", least, "dB", 40, f"median {median(self.psnr):.1f}"
        )
        for name, hits in self.rights.items():
            one = share(f"{self.name}: {name}", hits, 99 if bars and name in REQUIRED else None)
            bits = 100 * mean(self.accuracy[name])
            note = f"bit accuracy {bits:.2f} %; {one.note}"
            yield Figure(one.metric, one.value, one.unit, one.bar, one.met, note)
        yield at_most(f"{self.name}: other payloads read", self.wrong, "", 0)


def tried(name: str, given: Sequence[Pixels]) -> Tried:
    """Return a group's outcome; each picture has a payload of its own."""
    out, rng = Tried(name), random.Random(name)
    for picture in given:
        out.add(picture, rng)
    return out


def false_alarms(given: Sequence[Pixels], count: int) -> Figure:
    """Return how many of `count` attacked, unmarked pictures seem to carry a payload."""
    rng, ways = random.Random(1), list(ATTACKS.values())
    found = 0
    for number in range(count):
        picture = Image.fromarray(given[number % len(given)])
        attacked = rng.choice(ways)(cropped(scaled(picture, 0.5), rng, 0.3), rng)
        found += mark.read(np.asarray(attacked.resize((512, 512)))) is not None
    return at_most("unmarked pictures read as marked", found, f"of {count}", 0)


def seconds(work: Callable[[], object], times: int = 15) -> float:
    """Return the least clock of a call, as other work takes turns with it."""
    taken = []
    for _ in range(times + 1):
        start = time.perf_counter()
        work()
        taken.append(time.perf_counter() - start)
    return min(taken)


def sheet(given: Sequence[Pixels], path: Path) -> None:
    """Write rows of plain, marked, and sixteenfold difference, at full size."""
    rows = []
    for picture in given:
        after = mark.embed(picture, 0x5AA5C3F00F)
        off = 128 + 16 * (after.astype(np.int16) - picture)
        part = [np.asarray(p)[:512, :512] for p in (picture, after, off.clip(0, 255))]
        rows.append(np.concatenate(part, 1))
    Image.fromarray(np.concatenate(rows).astype(np.uint8)).save(path)


def main() -> None:
    """Measure and write the results."""
    ask = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    ask.add_argument("--renders", type=int, default=90)
    ask.add_argument("--made", type=int, default=45)
    ask.add_argument("--unmarked", type=int, default=2000)
    ask.add_argument("--sheet", type=Path, help="a PNG to look at")
    given = ask.parse_args()
    groups = {
        "renders": list(renders(given.renders)),
        "made by the embedded model": made(given.made) if given.made else [],
        "flats and graphics": graphics(),
    }
    every = [picture for group in groups.values() for picture in group]
    if given.sheet:
        sheet([group[i] for group in groups.values() if group for i in (0, -1)], given.sheet)
    figures: list[Figure] = []
    for name, some in groups.items():
        if some:
            figures += tried(name, some).figures(bars=name != "flats and graphics")
    figures.append(false_alarms(every, given.unmarked))
    square = np.asarray(Image.fromarray(every[0]).resize((1024, 1024)))
    figures.append(at_most("embed, 1024x1024", seconds(lambda: mark.embed(square, 7)), "s", 0.15))
    figures.append(
        at_most("read, 1024x1024", seconds(lambda: mark.read(square)), "s", 0.1, "unmarked")
    )
    figures.append(at_most("weights", mark.WEIGHTS.stat().st_size / 1000, "kB", 350))
    write("mark", figures)


if __name__ == "__main__":
    main()
