"""Rendered pictures and clips with their words: what judges learn from and are tried on."""

import multiprocessing
import os
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from benchmarks.mini.judges import CLIP_SIDE, EVERY, FIELDS, WARP, answers, squashed
from benchmarks.mini.warps import FAR, KINDS, TEXTURED, dissolved, warped
from gpu.mini import frames
from gpu.mini.camera import SIZES, Size, moved
from gpu.mini.render.params import AT
from gpu.mini.scenes import Scene, draw_scene
from gpu.mini.train.data import ASPECTS, FRAMES, Drawn, paint
from gpu.mini.vocabulary import vocabulary

Vectors = NDArray[np.float32]
HIDDEN = -1
"""A label that no eye can tell: left out of training and of the count."""
UNSEEN_TURN = 2.0 / 255
"""A turntable that changes the product's pixels by less on average turns a round, plain thing."""


@dataclass
class Labelled:
    """uint8 pictures [N, 4, SIDE, SIDE] (RGB, mask) or clips [N, 9, 3, ...], and their answers."""

    codes: Tensor
    labels: Tensor
    """[N, fields] of pictures, [N] of clips; `HIDDEN` where no eye can tell."""
    words: list[dict[str, str]]


def label(words: dict[str, str]) -> list[int]:
    """Indices of a picture's answers; a top-down camera hides the backdrop.

    All else can be seen: a lipstick in a metal, black or white case has the named colour on its
    bullet, and every stage shows its surface and its shadows.
    """
    found = [answers(name).index(words[name]) for name in FIELDS]
    if words["camera"] == "top-down":
        found[FIELDS.index("backdrop")] = HIDDEN
    return found


def _bytes(pictures: Tensor) -> Tensor:
    return pictures.clamp(0, 255).round().to(torch.uint8)


def pictures(drawn: Drawn, group: int = 512) -> Labelled:
    """Renders drawn pictures at the 256 class and squashes them for the judge."""
    size = SIZES[256][drawn.aspect]
    parts = [
        _bytes(squashed(paint(drawn.vectors[i : i + group], size)))
        for i in range(0, len(drawn.vectors), group)
    ]
    return Labelled(torch.cat(parts), torch.tensor([label(w) for w in drawn.words]), drawn.words)


def half(size: Size) -> Size:
    """A quarter of the pixels: enough for a clip's judge."""
    return size[0] // 2, size[1] // 2


def _paint_clips(vectors: Vectors, aspect: str, group: int = 128) -> Tensor:
    """Vectors [N, T, params] -> uint8 [N, T, 4, CLIP_SIDE, CLIP_SIDE]."""
    n, count = vectors.shape[:2]
    flat, parts = vectors.reshape(n * count, -1), []
    for i in range(0, len(flat), group * count):
        codes = paint(flat[i : i + group * count], half(SIZES[256][aspect]))
        parts.append(_bytes(squashed(codes, CLIP_SIDE)))
    return torch.cat(parts).view(n, count, 4, CLIP_SIDE, CLIP_SIDE)


def _turns_unseen(vectors: Vectors, aspect: str, last: Tensor) -> Tensor:
    """Whether the last frame looks the same without the product's turn [N]."""
    still = vectors[:, -1:].copy()
    for name in ("yaw_cos", "yaw_sin"):
        still[:, -1, AT[name]] = vectors[:, 0, AT[name]]
    other = _paint_clips(still, aspect)[:, 0].float() / 255
    there = torch.maximum(other[:, 3:], last[:, 3:].float() / 255)
    change = (other[:, :3] - last[:, :3].float() / 255).abs() * there
    return change.sum((1, 2, 3)) / (3 * there.sum((1, 2, 3)) + 1) < UNSEEN_TURN


def clips(drawn: Drawn) -> Labelled:
    """Renders drawn clips; a turntable whose turn no eye sees is labelled `HIDDEN`."""
    codes = _paint_clips(drawn.vectors, drawn.aspect)
    labels = torch.tensor([answers("motion").index(w["motion"]) for w in drawn.words])
    turning = [i for i, w in enumerate(drawn.words) if w["motion"] == "turntable"]
    if turning:
        unseen = _turns_unseen(drawn.vectors[turning], drawn.aspect, codes[turning, -1]).cpu()
        labels[torch.tensor(turning)[unseen]] = HIDDEN
    return Labelled(codes[:, :, :3].contiguous(), labels, drawn.words)


def _still(rng: random.Random, aspect: str, kind: str) -> Scene:
    fixed = {"surface": rng.choice(TEXTURED)} if kind.startswith("zoom") else {}
    scene = draw_scene(rng, aspect, fixed, unseen=None)
    if kind in ("zoom-out", "card"):
        scene = replace(scene, camera=replace(scene.camera, distance=scene.camera.distance * FAR))
    return scene


def warps(count: int, aspect: str, seed: int, group: int = 256) -> Labelled:
    """Clips made of rendered stills by each kind of warp in turn."""
    rng, parts = random.Random(seed), []
    kinds = [KINDS[i % len(KINDS)] for i in range(count)]
    vectors = np.stack([frames.picture(_still(rng, aspect, kind)) for kind in kinds])
    for i in range(0, count, group):
        stills = paint(vectors[i : i + group], SIZES[256][aspect]).float() / 255
        made = [warped(s, k, rng) for s, k in zip(stills, kinds[i : i + group], strict=True)]
        parts.append(_bytes(torch.stack(made) * 255))
    words = [{"motion": WARP, "kind": kind} for kind in kinds]
    return Labelled(torch.cat(parts), torch.full((count,), answers("motion").index(WARP)), words)


def dissolves(rendered: Labelled, count: int) -> Labelled:
    """Fades between the ends of clips that turn."""
    turns = ("orbit-left", "orbit-right", "turntable")
    rows = [i for i, w in enumerate(rendered.words) if w["motion"] in turns][:count]
    rows = [i for i in rows if rendered.labels[i] != HIDDEN]
    codes = _bytes(dissolved(rendered.codes[rows].float()))
    labels = torch.full((len(rows),), answers("motion").index(WARP))
    return Labelled(codes, labels, [{"motion": WARP, "kind": "dissolve"} for _ in rows])


def shot(scene: Scene, motion: str, strength: float = 1.0, every: int = EVERY) -> Vectors:
    """Every ``every``-th of a clip's 33 frames [T, params], without drawing those between.

    ``strength`` 1 is the motion as trained on; others go less far, or farther, in the same time.
    """
    out = []
    for i in range(0, FRAMES, every):
        camera = moved(scene.camera, motion, strength * i / (FRAMES - 1))
        out.append(frames.vector(scene, camera, i / frames.FPS))
    return np.stack(out)


def unseen_scenes(count: int, seed: int) -> Iterator[tuple[str, Scene]]:
    """Aspects by turns, each with a scene whose combination training never draws."""
    rng = random.Random(seed)
    for i in range(count):
        aspect = ASPECTS[i % len(ASPECTS)]
        yield aspect, draw_scene(rng, aspect, unseen=True)


@dataclass(frozen=True)
class Job:
    """Scenes to draw: ``kind`` is ``picture`` or ``clip``; ``unseen`` as `draw_scene` has it."""

    kind: str
    aspect: str
    count: int
    seed: int
    unseen: bool


def _draw(job: Job) -> tuple[Vectors, list[dict[str, str]]]:
    rng, motions, vectors, words = random.Random(job.seed), vocabulary().ids("motion"), [], []
    for i in range(job.count):
        scene = draw_scene(rng, job.aspect, unseen=job.unseen)
        motion = motions[i % len(motions)]
        if job.kind == "clip":
            vectors.append(shot(scene, motion, rng.uniform(0.85, 1.15)))
        else:
            vectors.append(frames.picture(scene))
        words.append(scene.words | {"motion": motion})
    return np.stack(vectors), words


def draw(kind: str, count: int, seed: int, unseen: bool) -> list[Drawn]:
    """``count`` pictures or clips over all aspects, drawn on all cores; motions are all alike.

    As the training's own draw, less the captions, and with motions 15 % weaker or stronger: a
    model's push-in is one too where it goes a little less far. Forks: call it before the GPU.
    """
    share = 10 * max(1, count // (len(ASPECTS) * 480))  # motions come in turns of ten
    each = -(-count // (len(ASPECTS) * share))
    jobs = [
        Job(kind, aspect, share, seed * 100_003 + n * 1009 + k, unseen)
        for n, aspect in enumerate(ASPECTS)
        for k in range(each)
    ]
    with multiprocessing.get_context("fork").Pool(min(16, os.cpu_count() or 1)) as pool:
        parts = pool.map(_draw, jobs)
    out = []
    for n, aspect in enumerate(ASPECTS):
        mine = parts[n * each : (n + 1) * each]
        vectors = np.concatenate([vectors for vectors, _ in mine])
        out.append(Drawn(aspect, vectors, [w for _, words in mine for w in words], []))
    return out


def join(parts: Sequence[Labelled]) -> Labelled:
    """All parts, one after another."""
    return Labelled(
        torch.cat([p.codes for p in parts]),
        torch.cat([p.labels for p in parts]),
        [w for p in parts for w in p.words],
    )
