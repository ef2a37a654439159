"""Trains the judges on renders by the clock, and tries them on renders that are held out."""

import random
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.mini.colours import palette
from benchmarks.mini.judges import FIELDS, MASK_SIDE, WARP, Judges, answers
from benchmarks.mini.renders import (
    HIDDEN,
    Labelled,
    clips,
    dissolves,
    draw,
    join,
    pictures,
    warps,
)
from gpu.mini.train.data import ASPECTS, Drawn
from gpu.mini.train.run import Clock, Part, cosine

RATE: Final = 3e-3
BATCH: Final = {"picture": 384, "motion": 192}
SHARE: Final = 0.82
"""Of the time to train, the picture judge's part."""
_LEFT, _RIGHT = (answers("light_side").index(side) for side in ("left", "right"))


def worn(x: Tensor) -> Tensor:
    """Pictures [N, C, H, W] in 0..1 as a generator makes them: softer, a little noisy.

    The colours stay: a judge of colour must not learn to look past them.
    """
    side = x.shape[-1]
    if random.random() < 0.6:
        small = random.randint(side // 2, side - 1)
        x = F.interpolate(x, small, mode="bilinear", antialias=True)
        x = F.interpolate(x, side, mode="bilinear")
    return x + torch.randn_like(x) * 0.02 * torch.rand(len(x), 1, 1, 1, device=x.device)


def moved(x: Tensor, mirror: Tensor) -> Tensor:
    """Moves and scales each picture [N, C, H, W] a little; mirrors those of ``mirror`` [N]."""
    n = len(x)
    scale = 1 + 0.07 * (2 * torch.rand(n, 2, device=x.device) - 1)
    theta = torch.zeros(n, 2, 3, device=x.device)
    theta[:, 0, 0] = scale[:, 0] * torch.where(mirror, -1.0, 1.0)
    theta[:, 1, 1] = scale[:, 1]
    theta[:, :, 2] = 0.06 * (2 * torch.rand(n, 2, device=x.device) - 1)
    grid = F.affine_grid(theta, list(x.shape), align_corners=False)
    return F.grid_sample(x, grid, padding_mode="reflection", align_corners=False)


def mirrored(labels: Tensor, mirror: Tensor) -> Tensor:
    """Labels [N, fields] of which those of ``mirror`` [N] have their light from the other side."""
    at = FIELDS.index("light_side")
    side = labels[:, at]
    other = torch.where(side == _LEFT, _RIGHT, torch.where(side == _RIGHT, _LEFT, side))
    labels = labels.clone()
    labels[:, at] = torch.where(mirror, other, side)
    return labels


def picture_loss(judge: nn.Module, codes: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy of every question an eye can answer, and of the product's mask."""
    mirror = torch.rand(len(codes), device=codes.device) < 0.5
    x, labels = moved(codes.float() / 255, mirror), mirrored(labels, mirror)
    out = judge(worn(x[:, :3]))
    loss = F.binary_cross_entropy_with_logits(
        out["mask"].float(), F.adaptive_avg_pool2d(x[:, 3:], MASK_SIDE).clamp(0, 1)
    )
    for i, name in enumerate(FIELDS):
        value = F.cross_entropy(out[name].float(), labels[:, i], ignore_index=HIDDEN)
        loss = loss + (1.5 if name == "colour" else 1.0) * value  # the hardest to tell
    return loss


def motion_loss(judge: nn.Module, codes: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy of the motion; a clip is moved and tinted as a whole, its noise is new a frame.

    Never mirrored: left would be right, and the renderer's turntable turns one way.
    """
    n, count = codes.shape[:2]
    stays = torch.zeros(n, dtype=torch.bool, device=codes.device)
    x = moved(codes.flatten(1, 2).float() / 255, stays).view(n, count, *codes.shape[2:])
    x = x * (0.7 + 0.5 * torch.rand(n, 1, 3, 1, 1, device=codes.device))
    x = worn(x.flatten(0, 1)).view(n, count, *codes.shape[2:])
    return F.cross_entropy(judge(x).float(), labels, ignore_index=HIDDEN)


def fit(
    part: Part,
    judge: nn.Module,
    data: Labelled,
    loss: Callable[[nn.Module, Tensor, Tensor], Tensor],
    seconds: float,
    batch: int,
) -> int:
    """Trains one judge for ``seconds``; returns the steps taken. AdamW, one cosine by the clock."""
    # Conv and batch-norm kernels are faster with channels last; every batch has one shape.
    judge.to(part.device, memory_format=torch.channels_last).train()  # type: ignore[call-overload]
    opt = torch.optim.AdamW(
        judge.parameters(), RATE, weight_decay=0.03, fused=part.device == "cuda"
    )
    codes, labels = data.codes.to(part.device), data.labels.to(part.device)
    batch, total, clock = min(batch, len(codes)), 0.0, Clock(seconds)
    while (done := clock.tick()) < 1:
        rows = torch.randint(0, len(codes), (batch,), device=part.device)
        with part.cast():
            value = loss(judge, codes[rows], labels[rows])
        opt.zero_grad(set_to_none=True)
        torch.autograd.backward(value)
        nn.utils.clip_grad_norm_(judge.parameters(), 2.0)
        for group in opt.param_groups:
            group["lr"] = RATE * cosine(done, clock.steps, floor=0.001)
        opt.step()
        total += value.item() if clock.steps % 20 == 0 else 0.0
        if clock.steps % 200 == 0:
            part.log(f"step {clock.steps} loss {total / 10:.4f} {clock.rate() * batch:.0f}/s")
            total = 0.0
    return clock.steps


def train(part: Part, stills: list[Drawn], shots: list[Drawn]) -> tuple[Judges, float]:
    """Judges after ``part.seconds`` in all, and the share of turntables that no eye could tell."""
    judges = Judges()
    seen = join([pictures(drawn) for drawn in stills])
    part.log(f"rendered pictures {list(seen.codes.shape)}")
    moving = join([clips(drawn) for drawn in shots])
    hidden, many = hidden_share(moving), len(moving.labels)
    bent = join([warps(max(4, many // 15), a, 603 + i) for i, a in enumerate(ASPECTS)])
    moving = join([moving, bent, dissolves(moving, max(4, many // 25))])
    part.log(f"rendered clips {list(moving.codes.shape)}, turns unseen {hidden:.3f}")
    torch.backends.cudnn.benchmark = True
    left = part.seconds - part.elapsed()
    fit(part, judges.picture, seen, picture_loss, SHARE * left, BATCH["picture"])
    left = part.seconds - part.elapsed()
    fit(part, judges.motion, moving, motion_loss, left, BATCH["motion"])
    return judges, hidden


def hidden_share(moving: Labelled) -> float:
    """The share of turntable clips whose turn no eye can tell."""
    turns = torch.tensor([w["motion"] == "turntable" for w in moving.words])
    return float((moving.labels[turns] == HIDDEN).float().mean()) if turns.any() else 0.0


Rights = dict[str, list[bool]]


def try_pictures(judges: Judges, stills: list[Drawn]) -> tuple[Rights, dict[str, object]]:
    """Rights by question on held-out pictures, and the mistakes most often made."""
    data = join([pictures(drawn) for drawn in stills])
    seen = judges.see(data.codes[:, :3].float() / 255)
    rights: Rights = {}
    missed: dict[str, object] = {}
    for i, name in enumerate(FIELDS):
        truth, said = data.labels[:, i], seen[name].argmax(1)
        key = "colour, first of all" if name == "colour" else name
        rights[key] = [bool(s == t) for s, t in zip(said, truth, strict=True) if t != HIDDEN]
        missed[name] = mistakes(name, truth, said)
    words = data.words
    rights |= colour_rights(seen["colour"], [w["colour"] for w in words])
    for kind in ("soft", "hard"):
        rows = [i for i, w in enumerate(words) if w["light_hardness"] == kind]
        rights[f"light_side, {kind} shadows"] = [rights["light_side"][i] for i in rows]
    for kind in answers("material"):
        rows = [i for i, w in enumerate(words) if w["material"] == kind]
        hits = colour_rights(seen["colour"][rows], [words[i]["colour"] for i in rows])
        rights[f"colour, first of the palette, {kind}"] = hits["colour, first of the palette"]
    truth = F.adaptive_avg_pool2d(data.codes[:, 3:].float() / 255, MASK_SIDE).cpu() > 0.5
    mask = seen["mask"] > 0
    hidden = (data.labels == HIDDEN).any(1)
    missed["pictures whose backdrop is left out, seen from above"] = float(hidden.float().mean())
    missed["mask, intersection over union"] = float((mask & truth).sum() / (mask | truth).sum())
    return rights, missed


def colour_rights(logits: Tensor, wanted: Sequence[str]) -> Rights:
    """Whether the best of the palette is the wanted name, and the first three of all hold it."""
    ids, names = answers("colour"), palette()
    columns = [ids.index(name) for name in names]
    best, top = logits[:, columns].argmax(1).tolist(), logits.topk(3, 1).indices.tolist()
    rows = list(zip(wanted, best, top, strict=True))
    return {
        "colour, first of the palette": [names[b] == w for w, b, _ in rows if w in names],
        "colour, first three of all": [ids.index(w) in t for w, _, t in rows],
    }


def try_clips(judges: Judges, shots: list[Drawn]) -> tuple[Rights, dict[str, object]]:
    """Rights on held-out clips, and the share of fresh warps that are told from moves."""
    data = join([clips(drawn) for drawn in shots])
    keep = data.labels != HIDDEN
    said = judges.watch(data.codes.float() / 255).argmax(1)
    rights: Rights = {"motion": (said == data.labels)[keep].tolist()}
    missed: dict[str, object] = {
        "motion": mistakes("motion", data.labels, said),
        "turntables left out, unseen": hidden_share(data),
    }
    bent = join([warps(max(4, len(keep) // 10), a, 710 + i) for i, a in enumerate(ASPECTS)])
    bent = join([bent, dissolves(data, max(4, len(keep) // 10))])
    told = judges.watch(bent.codes.float() / 255).argmax(1) == answers("motion").index(WARP)
    for kind in sorted({w["kind"] for w in bent.words}):
        rows = torch.tensor([w["kind"] == kind for w in bent.words])
        rights[f"{WARP} told: {kind}"] = told[rows].tolist()
    return rights, missed


def mistakes(name: str, truth: Tensor, said: Tensor, most: int = 6) -> list[tuple[str, int]]:
    """The commonest (wanted > said) pairs with their counts."""
    ids = answers(name)
    pairs = zip(truth.cpu().tolist(), said.tolist(), strict=True)
    wrong = Counter(f"{ids[t]} > {ids[s]}" for t, s in pairs if HIDDEN != t != s)
    return wrong.most_common(most)


def make(
    out: Path, seconds: float, count: int, shots: int, tries: tuple[int, int]
) -> tuple[Rights, dict[str, object]]:
    """Trains, saves, loads what was saved, and tries that on ``tries`` pictures and clips.

    Returns rights by question, and what else is to be told.
    """
    out.parent.mkdir(parents=True, exist_ok=True)
    part = Part(out.parent / f"{out.stem}-log", seconds, seed=600)
    learn = [draw("picture", count, 601, unseen=False), draw("clip", shots, 602, unseen=False)]
    test = [draw("picture", tries[0], 701, unseen=True), draw("clip", tries[1], 702, unseen=True)]
    part.log(f"drew {count} pictures and {shots} clips, {tries} held out")
    judges, hidden = train(part, *learn)
    judges.save(out)
    part.log(f"saved {out.stat().st_size} bytes")
    judges = Judges.load(out, part.device)
    seen, watched = try_pictures(judges, test[0]), try_clips(judges, test[1])
    return seen[0] | watched[0], {
        "missed": seen[1] | watched[1], "turntables left out of training": hidden,
        "bytes": out.stat().st_size, "seconds": round(part.elapsed(), 1),
    }  # fmt: skip
