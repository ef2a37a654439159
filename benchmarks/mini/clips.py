"""Clips that the video model makes of first frames, how they are measured, and their figures."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import mean, median
from typing import Final

import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.figures import Figure, at_least, at_most
from benchmarks.mini import told
from benchmarks.mini.judges import CLIP_SIDE, EVERY, Judges, answers, squashed
from benchmarks.mini.pages import page
from benchmarks.mini.pictures import Asked
from benchmarks.mini.renders import shot, unseen_scenes
from benchmarks.mini.steady import LEAST, measured
from gpu.mini.camera import SIZES
from gpu.mini.scenes import Scene
from gpu.mini.train.data import ASPECTS, FRAMES, paint
from gpu.mini.train.sheets import psnr
from gpu.mini.train.text import VIDEO_TOKENS
from gpu.mini.untyped import Untyped
from gpu.mini.vocabulary import vocabulary

TURNS: Final = (
    "mug", "earbuds", "phone", "gift-box", "coffee-pouch", "handbag", "watch", "headphones"
)  # fmt: skip
"""Products that are not round: only on these does an eye see a turntable turn."""


@dataclass
class Case:
    """One clip to be made, and what was measured on it."""

    motion: str
    aspect: str
    source: str
    """``made`` by the image model, or ``rendered`` from a held-out scene."""
    first: Tensor
    """[3, H, W] in 0..1, at the 384 class."""
    scene: Scene | None = None
    seed: int = 0
    figures: dict[str, float] = field(default_factory=dict)
    seen: str = ""
    rendered: dict[str, float] = field(default_factory=dict)
    """The same figures of the rendered clip of this scene and motion, where there is one."""
    frames: Tensor = field(default_factory=lambda: torch.empty(0))
    """Six of the clip's frames [6, 3, H, W], for its page."""


def _rendered(motion: str, count: int, seed: int) -> Iterator[Case]:
    given = 0
    for aspect, scene in unseen_scenes(40 * count, seed):
        if given == count:
            return
        if aspect == ASPECTS[given % 3] and (motion != "turntable" or _turns(scene.words)):
            first = paint(shot(scene, motion)[:1], SIZES[384][aspect])[0, :3].cpu().float() / 255
            given += 1
            yield Case(motion, aspect, "rendered", first, scene)


def _turns(words: dict[str, str]) -> bool:
    return words["product"] in TURNS


def _made(motion: str, count: int, rows: Sequence[Asked], skip: int) -> list[Case]:
    able = [row for row in rows if motion != "turntable" or _turns(row.words)]
    some = [able[(skip * count + i) * 7 % len(able)] for i in range(count)] if able else []
    out = []
    for row in some:
        width, height = SIZES[384][row.aspect]
        first = F.interpolate(
            row.picture[None].float() / 255, (height, width), mode="bilinear", antialias=True
        )
        out.append(Case(motion, row.aspect, "made", first[0]))
    return out


def cases(count: int, rows: Sequence[Asked]) -> list[Case]:
    """``count`` clips, all motions alike, half from the image model's pictures ``rows``."""
    motions, out = vocabulary().ids("motion"), []
    for i, motion in enumerate(motions):
        many = count // len(motions) + (i < count % len(motions))
        out += _made(motion, many // 2, rows, i)
        out += _rendered(motion, many - many // 2, seed=820 + i)
    for i, case in enumerate(out):
        case.seed = 5000 + i
    return out


def one_by_one(pipe: Untyped) -> None:
    """Lets the pipeline take several first frames in one call: each is prepared by itself.

    The library repeats all given images for each prompt, so that two would make four.
    """
    single = pipe.prepare_latents

    def each(image: Tensor, batch: int, *rest: Untyped) -> Untyped:
        *sizes, generators, _latents, _last = rest
        parts = [
            single(image[i : i + 1], 1, *sizes, generators[i], None, None) for i in range(batch)
        ]
        latents, condition, mask = zip(*parts, strict=True)
        return torch.cat(latents), torch.cat(condition), mask[0]

    pipe.prepare_latents = each


def make(pipe: Untyped, group: Sequence[Case], steps: int = 4) -> Tensor:
    """Clips [N, 33, 3, H, W] in 0..1 of cases of one aspect; prompts by turns in both languages."""
    width, height = SIZES[384][group[0].aspect]
    prompts = [
        vocabulary().word("motion", case.motion).phrases(("en", "zh")[case.seed % 2])[0]
        for case in group
    ]
    return pipe(  # type: ignore[no-any-return]
        image=torch.stack([case.first for case in group]), prompt=prompts, height=height,
        width=width, num_frames=FRAMES, num_inference_steps=steps, guidance_scale=1.0,
        max_sequence_length=VIDEO_TOKENS, output_type="pt",
        generator=[torch.Generator("cpu").manual_seed(case.seed) for case in group],
    ).frames.float()  # fmt: skip


def named(judges: Judges, clips: Tensor) -> list[str]:
    """The motions that the judge sees in clips [N, 33, 3, H, W] in 0..1."""
    few = clips[:, ::EVERY]
    small = squashed(few.flatten(0, 1), CLIP_SIDE).view(*few.shape[:3], CLIP_SIDE, CLIP_SIDE)
    ids = answers("motion")
    return [ids[i] for i in judges.watch(small).argmax(1).tolist()]


def compare(judges: Judges, case: Case) -> bool:
    """Measures the rendered clip of a case's scene and motion; returns whether it is seen right."""
    if case.scene is None:
        return False
    codes = paint(shot(case.scene, case.motion, every=1), SIZES[384][case.aspect])[:, :3]
    clip = codes.float() / 255
    case.rendered = measured(judges, clip)
    return named(judges, clip[None])[0] == case.motion


def run(
    pipe: Untyped, judges: Judges, todo: Sequence[Case], batch: int, references: bool
) -> tuple[list[float], list[bool]]:
    """Makes and measures all clips; returns seconds a clip by call, and the judge on renders.

    ``references``: also render each rendered scene's own clip, to compare with.
    """
    one_by_one(pipe)
    taken, control = [], []
    for aspect in ASPECTS:
        some = [case for case in todo if case.aspect == aspect]
        for i in range(0, len(some), batch):
            group, start = some[i : i + batch], time.perf_counter()
            clips = make(pipe, group)
            if clips.is_cuda:
                torch.cuda.synchronize()
            taken.append((time.perf_counter() - start) / len(group))
            for case, clip, seen in zip(group, clips, named(judges, clips), strict=True):
                case.seen = seen
                case.figures = measured(judges, clip)
                case.figures["first_psnr"] = psnr(clip[0].cpu(), case.first, span=1)
                case.frames = (clip[[0, 6, 13, 19, 26, 32]].clamp(0, 1) * 255).byte().cpu()
                if references and case.scene is not None:
                    control.append(compare(judges, case))
    return taken, control


def figures(todo: Sequence[Case], control: Sequence[bool]) -> list[Figure]:
    """All figures of the clips, by motion and over all."""
    seen = {"as named": [case.seen == case.motion for case in todo]}
    for source in ("made", "rendered"):
        hits = [case.seen == case.motion for case in todo if case.source == source]
        seen[f"first frame {source}"] = hits
    for motion in vocabulary().ids("motion"):
        seen[motion] = [case.seen == motion for case in todo if case.motion == motion]
    seen["the rendered clips themselves"] = list(control)
    first = [case.figures["first_psnr"] for case in todo]
    found = ["drift" in case.figures for case in todo]
    return [
        *told.shares("motion seen", seen, {"as named": 90.0}),
        at_least("first frame to the picture given, least", min(first), "dB", 28),
        Figure("first frame to the picture given, median", median(first), "dB"),
        *_spread("jump over frames 1-4", "jump", todo, ("x", 2.0)),
        told.share("product found in the first frame", found),
        *_spread("product colour drift, first to last", "drift", todo, ("dE", 5.0)),
        *_spread("product colour drift, first to any", "drift_max", todo, ("dE", 5.0)),
        Figure("flicker", mean(case.figures["flicker"] for case in todo), "codes"),
        *_against_renders([case for case in todo if case.rendered]),
    ]


def _spread(name: str, key: str, todo: Sequence[Case], bar: tuple[str, float]) -> Iterator[Figure]:
    """Mean against the bar (unit, most), and how many clips pass it by themselves."""
    values = [case.figures[key] for case in todo if key in case.figures]
    if values:
        note = f"worst {max(values):.2f}"
        yield at_most(f"{name}, mean", mean(values), *bar, note)
        passed = [value <= bar[1] for value in values]
        yield told.share(f"{name}, clips of at most {bar[1]:g}", passed)


def _against_renders(both: Sequence[Case]) -> Iterator[Figure]:
    """Flicker as a ratio to rendered clips of the same scene and motion; their jump and drift."""
    motions = sorted({case.motion for case in both})
    for name, some in [("", both), *((m, [c for c in both if c.motion == m]) for m in motions)]:
        if some:
            made = mean(case.figures["flicker"] for case in some)
            true = mean(case.rendered["flicker"] for case in some)
            ratio = max(made, LEAST * 255) / max(true, LEAST * 255)
            note = f"{made:.2f} against {true:.2f} codes, n {len(some)}"
            metric = f"flicker against rendered clips{name and ': ' + name}"
            yield (
                Figure(metric, ratio, "x", "<= 1.3", ratio <= 1.3, note)
                if not name
                else (Figure(metric, ratio, "x", note=note))
            )
    for key, unit in (("jump", "x"), ("drift_max", "dE")):
        values = [case.rendered[key] for case in both if key in case.rendered]
        if values:
            note = "the same scenes: what light and turning alone do"
            yield Figure(f"{key} of rendered clips, mean", mean(values), unit, note=note)


def sheets(todo: Sequence[Case], folder: Path) -> list[dict[str, object]]:
    """A page a motion, six frames a row; returns each clip's figures as rows of the record."""
    for motion in vocabulary().ids("motion"):
        cells = []
        for case in (c for c in todo if c.motion == motion):
            words = f"{case.source}, seen: {case.seen}"
            cells += [(f, words if i == 0 else "") for i, f in enumerate(case.frames)]
        page(cells, 6, 168, folder / f"clip-{motion}.jpg", quality=80)
    return [
        {"motion": c.motion, "seen": c.seen, "source": c.source, "aspect": c.aspect, **c.figures}
        for c in todo
    ]
