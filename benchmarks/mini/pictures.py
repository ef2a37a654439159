"""Held-out prompts, the pictures that the image model makes of them, and what the judge sees."""

import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Final

import torch
from torch import Tensor

from benchmarks.figures import Figure, at_most
from benchmarks.mini import told
from benchmarks.mini.colours import palette
from benchmarks.mini.judges import FIELDS, Judges, answers, squashed
from benchmarks.mini.pages import page
from benchmarks.mini.training import Rights, colour_rights
from gpu.mini.camera import SIZES
from gpu.mini.captions import caption
from gpu.mini.scenes import draw_scene, held_out
from gpu.mini.train.data import ASPECTS
from gpu.mini.untyped import Untyped
from gpu.mini.vocabulary import vocabulary

CAMERAS: Final = ("close-up", "three-quarter", "low-angle", "front")
"""A top-down view hides the backdrop."""
LANGUAGES: Final = ("en", "zh")
BARS: Final = {
    "product": 95.0, "colour, first of the palette": 95.0, "colour, first three of all": 99.0,
    "surface": 90.0, "backdrop": 90.0, "light_side": 85.0,
}  # fmt: skip


@dataclass
class Asked:
    """One prompt, and the picture made of it."""

    prompt: str
    language: str
    words: dict[str, str]
    aspect: str
    seed: int
    picture: Tensor = field(default_factory=lambda: torch.empty(0))
    """uint8 [3, H, W]."""
    seen: dict[str, str] = field(default_factory=dict)
    """The judge's first answer by field."""


def held_out_words(count: int, seed: int = 801) -> list[dict[str, str]]:
    """``count`` scenes' words of combinations that training never sees, evenly over products."""
    rng, products = random.Random(seed), vocabulary().ids("product")
    colours: list[str] = []
    out: list[dict[str, str]] = []
    while len(out) < count:
        if not colours:
            colours = rng.sample(answers("colour"), len(answers("colour")))
        fixed = {
            "product": products[len(out) % len(products)], "colour": colours[-1],
            "camera": rng.choice(CAMERAS),
        }  # fmt: skip
        words = draw_scene(rng, "square", fixed, unseen=True).words
        if held_out(words):  # a draw gives up after 99 tries
            out.append(words)
            colours.pop()
    return out


def asked(count: int) -> list[Asked]:
    """``count`` prompts: each scene in both languages, from the same noise; aspects by turns."""
    out = []
    for i, words in enumerate(held_out_words(-(-count // 2))):
        for language in LANGUAGES:
            text = caption(words, language)
            out.append(Asked(text, language, words, ASPECTS[i % len(ASPECTS)], 9000 + i))
    return out[:count]


def draw(pipe: Untyped, rows: Sequence[Asked], steps: int, size: int, batch: int) -> list[float]:
    """Draws each row's picture, rows of one aspect together; returns seconds a picture by call."""
    seconds = []
    for aspect in ASPECTS:
        some = [row for row in rows if row.aspect == aspect]
        width, height = SIZES[size][aspect]
        for i in range(0, len(some), batch):
            group, start = some[i : i + batch], time.perf_counter()
            made = pipe(
                prompt=[row.prompt for row in group], height=height, width=width,
                num_inference_steps=steps, guidance_scale=0.0, max_sequence_length=128,
                # A generator on the CPU gives the same noise on every kind of device.
                generator=[torch.Generator("cpu").manual_seed(row.seed) for row in group],
                output_type="pt",
            ).images  # fmt: skip
            codes = (made.float().clamp(0, 1) * 255).round().to(torch.uint8).cpu()
            seconds.append((time.perf_counter() - start) / len(group))
            for row, picture in zip(group, codes, strict=True):
                row.picture = picture
    return seconds


def judged(judges: Judges, rows: Sequence[Asked]) -> dict[str, Tensor]:
    """The judge's logits by field [N, answers]; writes the first answers into the rows."""
    small = [squashed(row.picture[None].float() / 255) for row in rows]
    seen = judges.see(torch.cat(small))
    for name in FIELDS:
        for row, best in zip(rows, seen[name].argmax(1).tolist(), strict=True):
            row.seen[name] = answers(name)[best]
    names = palette()
    columns = [answers("colour").index(name) for name in names]
    for row, best in zip(rows, seen["colour"][:, columns].argmax(1).tolist(), strict=True):
        row.seen["palette"] = names[best]
    return seen


def rights(rows: Sequence[Asked], seen: dict[str, Tensor]) -> Rights:
    """What is right, by question, in rows whose words name everything."""
    out: Rights = {}
    for name in ("product", "surface", "backdrop", "light_side"):
        out[name] = [row.seen[name] == row.words[name] for row in rows]
    return out | colour_rights(seen["colour"], [row.words["colour"] for row in rows])


def figures(judges: Judges, rows: Sequence[Asked], steps: int, parts: bool) -> list[Figure]:
    """Shares by question; with ``parts`` also by language and aspect, and the languages' gap."""
    seen = judged(judges, rows)
    out = told.shares(f"{steps} steps", rights(rows, seen), BARS)
    if not parts:
        return out
    means: dict[str, dict[str, float]] = {}
    for kind, values in (("language", LANGUAGES), ("aspect", ASPECTS)):
        for value in values:
            which = [i for i, row in enumerate(rows) if getattr(row, kind) == value]
            part = rights([rows[i] for i in which], {k: v[which] for k, v in seen.items()})
            out += told.shares(value, part, {})
            means[value] = {name: sum(hits) / len(hits) for name, hits in part.items() if hits}
    for name in BARS:
        if name in means["en"] and name in means["zh"]:
            gap = 100 * abs(means["en"][name] - means["zh"][name])
            out.append(at_most(f"languages apart: {name}", gap, "points", 2.0))
    return out


def wrong(row: Asked) -> list[str]:
    """``field: wanted > seen`` for each failure; near shades of the palette are none."""
    names = [name for name in FIELDS if name != "colour"]
    found = [f"{n}: {row.words[n]} > {row.seen[n]}" for n in names if row.seen[n] != row.words[n]]
    if row.words["colour"] in palette() and row.seen["palette"] != row.words["colour"]:
        found.append(f"colour: {row.words['colour']} > {row.seen['palette']}")
    return found


def sheets(rows: Sequence[Asked], folder: Path) -> list[dict[str, object]]:
    """A page of all failures and one of 48 at random; returns the failures as rows of the record.

    The random page is drawn by a fixed seed: nobody chose its pictures.
    """
    failed = [row for row in rows if wrong(row)]
    page(
        [(r.picture, "\n".join([r.words["product"], *wrong(r)][:4])) for r in failed],
        12, 168, folder / "failures.jpg",
    )  # fmt: skip
    some = random.Random(48).sample(list(rows), min(48, len(rows)))
    page(
        [(r.picture, f"{r.words['colour']} {r.words['product']}, {r.language}") for r in some],
        8, 240, folder / "random.jpg",
    )  # fmt: skip
    return [
        {"prompt": r.prompt, "aspect": r.aspect, "seed": r.seed, "wrong": wrong(r)} for r in failed
    ]


def blind(rows: Sequence[dict[str, str | None]], language: str, first: int) -> list[Asked]:
    """Prompts that someone wrote without knowing the templates, in their file's order."""
    return [
        Asked(
            str(row["prompt"]), language,
            {name: str(row[name]) for name in ("product", "colour") if row.get(name)},
            "square", first + i,
        )
        for i, row in enumerate(rows)
    ]  # fmt: skip


def blind_figures(judges: Judges, rows: Sequence[Asked], folder: Path) -> list[Figure]:
    """Product and colour where a row names them, by language; and the page of all in order."""
    seen, out, ids = judged(judges, rows), [], answers("colour")
    for language in LANGUAGES:
        some = [i for i, row in enumerate(rows) if row.language == language]
        product = [i for i in some if "product" in rows[i].words]
        colour = [i for i in some if rows[i].words.get("colour") in ids]
        hits = {"product": [rows[i].seen["product"] == rows[i].words["product"] for i in product]}
        hits |= colour_rights(seen["colour"][colour], [rows[i].words["colour"] for i in colour])
        out += told.shares(f"blind, {language}", hits, {})
    cells = []
    for i, row in enumerate(rows):
        wanted = f"{row.words.get('colour', '-')} {row.words.get('product', '-')}"
        seen_as = f"{row.seen['colour']} {row.seen['product']}"
        cells.append((row.picture, f"{row.language} {i}: {wanted}\nseen: {seen_as}"))
    page(cells, 10, 200, folder / "blind.jpg")
    return out


def seconds(taken: Sequence[float], batch: int, steps: int) -> Figure:
    """The median time of a picture, and how many were drawn at once."""
    return Figure(
        f"{steps} steps: seconds a picture", median(taken), "s", note=f"batches of {batch}"
    )
