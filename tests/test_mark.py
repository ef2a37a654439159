"""The invisible mark: seen by nobody, read after what publishing does, found nowhere else."""

from __future__ import annotations

import io
import random
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image, ImageDraw

from configs.errors import BadInput
from gpu import weights
from gpu.mark import mark
from gpu.mini import frames
from gpu.mini.render.renderer import render
from gpu.mini.scenes import draw_scene

KEY = "5aa5c3f00f" + 54 * "0"
PAYLOAD = mark.payload_of(KEY)


@pytest.fixture(scope="module")
def picture() -> np.ndarray:
    """A rendered scene of 1024x1024."""
    scene = draw_scene(random.Random(5), "square", unseen=True)
    codes = render(frames.picture(scene)[None], 192, 192)[0, :3].transpose(1, 2, 0)
    return np.asarray(Image.fromarray(codes).resize((1024, 1024), Image.Resampling.LANCZOS))


@pytest.fixture(scope="module")
def marked(picture) -> np.ndarray:
    return mark.embed(picture, PAYLOAD)


def as_jpeg(picture: Image.Image, quality: int = 75) -> Image.Image:
    file = io.BytesIO()
    picture.save(file, "jpeg", quality=quality)
    return Image.open(file).convert("RGB")


def barred(picture: Image.Image) -> Image.Image:
    out = picture.copy()
    ImageDraw.Draw(out).rectangle((0, 950, 1024, 1024), fill="white")
    return out


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    return float(10 * np.log10(255**2 / np.square(a.astype(np.float64) - b).mean()))


def test_the_payload_is_the_beginning_of_a_key(marked):
    """What is read back names the keys that it may stand for."""
    found = mark.read(marked)
    assert found is not None
    assert KEY.startswith(mark.prefix_of(found.payload))
    assert found.confidence > 0.95
    assert mark.prefix_of(7) == "0000000007"


def test_nobody_sees_it(picture, marked):
    """At least 40 dB, nowhere more than 16 levels, and no shift of colour."""
    assert psnr(picture, marked) >= 40
    off = marked.astype(int) - picture
    assert abs(off).max() <= 16
    assert abs(off.mean((0, 1))).max() < 0.5


ATTACKS = {
    "JPEG 75": as_jpeg,
    "half size": lambda p: p.resize((512, 512), Image.Resampling.LANCZOS),
    "5 % crop": lambda p: p.crop((51, 0, 1024, 973)),
    "all three": lambda p: as_jpeg(p.crop((20, 30, 993, 1003)).resize((486, 486))),
    "squashed": lambda p: p.resize((700, 1100)),
    "a white bar": barred,
}


@pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS)
def test_it_outlives(attack, marked):
    """The very payload is read after each attack."""
    found = mark.read(np.asarray(attack(Image.fromarray(marked))))
    assert found is not None
    assert found.payload == PAYLOAD


def test_an_unmarked_picture_has_none(picture):
    """Neither the picture itself, nor flat or noisy ones."""
    noise = np.random.RandomState(1).randint(0, 256, (300, 400, 3)).astype(np.uint8)
    flats = [np.full((256, 256, 3), level, np.uint8) for level in (0, 128, 255)]
    assert [mark.read(one) for one in (picture, noise, *flats)] == [None] * 5


@pytest.mark.parametrize("size", [(193, 640), (511, 333), (1001, 777)])
def test_odd_sizes(size, picture):
    """Any shape from the least side on is marked and read."""
    odd = np.asarray(Image.fromarray(picture).resize(size))
    after = mark.embed(odd, 12345)
    assert after.shape == odd.shape
    found = mark.read(after)
    assert found is not None
    assert found.payload == 12345


def test_equal_work_gives_equal_bytes(picture, marked):
    """A redone still has the same bytes."""
    assert np.array_equal(mark.embed(picture, PAYLOAD), marked)


def test_the_picture_itself_is_left_alone(picture):
    """Embedding returns another array."""
    before = picture.copy()
    mark.embed(picture, 1)
    assert np.array_equal(before, picture)


@pytest.mark.parametrize(
    ("shape", "dtype", "words"),
    [
        ((100, 300, 3), np.uint8, "300x100: a mark needs at least 192 pixels a side"),
        ((300, 300, 4), np.uint8, r"uint8 \[height, width, 3\]"),
        ((300, 300), np.uint8, r"uint8 \[height, width, 3\]"),
        ((300, 300, 3), np.float32, "a picture of float32"),
    ],
)
def test_another_picture_is_refused(shape, dtype, words):
    """Too small, with alpha, grey or of floats: one sentence says what is needed."""
    for work in (mark.read, lambda p: mark.embed(p, 1)):
        with pytest.raises(BadInput, match=words):
            work(np.zeros(shape, dtype))


@pytest.mark.parametrize("payload", [-1, 1 << 40])
def test_another_payload_is_refused(payload, picture):
    """A payload has forty bits."""
    with pytest.raises(BadInput, match=r"0 to 2\*\*40 - 1"):
        mark.embed(picture, payload)


@pytest.mark.slow
def test_weights_that_load_meanwhile_change_nothing(picture, mini_picture):
    """Libraries change torch for the whole process while they load; a mark made beside is whole."""
    small = picture[:256, :320]
    alone = mark.embed(small, PAYLOAD)
    done = threading.Event()

    def load() -> None:
        while not done.is_set():
            weights.load(mini_picture)

    with ThreadPoolExecutor(1) as pool:
        loading = pool.submit(load)
        try:
            for _ in range(8):
                mark._networks.cache_clear()
                assert np.array_equal(mark.embed(small, PAYLOAD), alone)
        finally:
            done.set()
        loading.result()
