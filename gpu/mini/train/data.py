"""Rendered training data: pictures and clips of random scenes, with their words."""

import multiprocessing
import os
import random
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gpu.mini import frames
from gpu.mini.camera import Size, draw_motion
from gpu.mini.captions import vary, vary_motion
from gpu.mini.render.renderer import render, render_cuda
from gpu.mini.scenes import draw_scene
from gpu.mini.untyped import Untyped

FRAMES = 33
ASPECTS = ("portrait", "square", "landscape")
PICTURE_CAPTIONS = 4
CLIP_CAPTIONS = 3
PALE = ("marble", "snow-ground", "satin", "seamless")
"""Surfaces that the model took for one another most often."""


@dataclass(frozen=True)
class Drawn:
    """Scenes of one aspect: renderer vectors, words, captions."""

    aspect: str
    vectors: NDArray[np.float32]
    """[N, SIZE] for pictures, [N, FRAMES, SIZE] for clips."""
    words: list[dict[str, str]]
    captions: list[list[str]]


def _language(rng: random.Random) -> str:
    return "zh" if rng.random() < 0.45 else "en"


def _ground(rng: random.Random) -> dict[str, str]:
    """The words to fix in a picture's scene: pale grounds come twice as often as others."""
    return {"surface": rng.choice(PALE)} if rng.random() < 0.3 else {}


def _draw_pictures(job: tuple[int, int, str]) -> tuple[Untyped, Untyped, Untyped]:
    seed, count, aspect = job
    rng = random.Random(seed)
    scenes = [draw_scene(rng, aspect, _ground(rng)) for _ in range(count)]
    words = [s.words for s in scenes]
    texts = [[vary(rng, w, _language(rng)) for _ in range(PICTURE_CAPTIONS)] for w in words]
    return np.stack([frames.picture(s) for s in scenes]), words, texts


def _draw_clips(job: tuple[int, int, str]) -> tuple[Untyped, Untyped, Untyped]:
    seed, count, aspect = job
    rng = random.Random(seed)
    vectors, words, texts = [], [], []
    for _ in range(count):
        scene, motion = draw_scene(rng, aspect), draw_motion(rng)
        vectors.append(frames.clip(scene, motion, FRAMES))
        words.append(scene.words | {"motion": motion})
        many = range(CLIP_CAPTIONS)
        texts.append([vary_motion(rng, scene.words, motion, _language(rng)) for _ in many])
    return np.stack(vectors), words, texts


def draw(kind: str, aspect: str, count: int, seed: int) -> Drawn:
    """Draws ``count`` pictures or clips on all CPU cores; the seed decides every one of them."""
    workers = min(14, os.cpu_count() or 1)
    share = -(-count // (workers * 4))
    first = seed * 1_000_003 + ASPECTS.index(aspect) * 10_007
    jobs = [(first + i, share, aspect) for i in range(-(-count // share))]
    work = _draw_pictures if kind == "picture" else _draw_clips
    with multiprocessing.get_context("fork").Pool(workers) as pool:
        parts = pool.map(work, jobs)
    vectors = np.concatenate([p[0] for p in parts])[:count]
    words = [w for p in parts for w in p[1]][:count]
    captions = [c for p in parts for c in p[2]][:count]
    return Drawn(aspect, vectors, words, captions)


def paint(vectors: NDArray[np.float32], size: Size, samples: int = 2) -> Tensor:
    """Renders [N, SIZE] to uint8 [N, 4, H, W] at (width, height), on the best device."""
    width, height = size
    if torch.cuda.is_available():
        return render_cuda(vectors, width, height, samples)  # type: ignore[no-any-return]
    return torch.from_numpy(render(vectors, width, height, samples))


def rendered(vectors: NDArray[np.float32], size: Size) -> Tensor:
    """Renders [N, SIZE] or [N, T, SIZE] to uint8 [N, 3, T, H, W], a thousand frames at a time."""
    flat = vectors.reshape(-1, vectors.shape[-1])
    codes = torch.cat([paint(flat[i : i + 1024], size)[:, :3] for i in range(0, len(flat), 1024)])
    return codes.view(len(vectors), -1, *codes.shape[1:]).transpose(1, 2)


def to_unit(codes: Tensor) -> Tensor:
    """uint8 to floats in -1..1, as the pipelines use."""
    return codes.float() / 127.5 - 1
