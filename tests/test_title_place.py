"""Where titles stand: in the safe box, off logo, label and product, on calm ground."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from configs.delivery import Box
from configs.title import LEAST
from tasks import title
from tasks.font import bundled
from tasks.spot import apart
from tasks.stage import Photo
from tests.export_data import Desk, delivery
from tests.title_data import CLIP, PLAIN, blocks, cell_for, draw, flat, noise, placed, still

pytestmark = pytest.mark.slow


@pytest.fixture
def desk(tmp_path) -> Desk:
    return Desk(tmp_path / "home")


@pytest.mark.parametrize("shape", [(1080, 1920), (1080, 1080), (1920, 1080)])
@pytest.mark.parametrize(
    "position", ["auto", "top", "top-left", "right", "center", "bottom", "bottom-right"]
)
def test_words_keep_inside_the_safe_box_and_off_logo_and_label(shape, position):
    """In each shape and place, with captions besides, nothing lies over anything."""
    width, height = shape
    target = delivery(width, height, safe=Box(top=90, right=120, bottom=200, left=40))
    logo, label = (width - 320, 90, width - 120, 170), (40, 90, 300, 200)
    pictures = {"clip": CLIP, "overlay": Photo(1, 1, box=logo), "label": Photo(1, 1, box=label)}
    cues = [{"start": 0, "end": 1, "text": "第一支半价，限周五，每人限购两支"}]
    settings = {**PLAIN, "price": "¥129", "language": "both", "position": position, "cues": cues}
    decision = title.decide(cell_for(target, settings, pictures))
    words = (placed(decision, noise()), *blocks(decision).captions)
    inks = [*(block.plate for block in words), logo, label]
    for number, one in enumerate(inks):
        assert all(apart(one, other, 4) for other in inks[:number])
    for block in words:
        left, top, right, bottom = block.plate
        assert left >= 40
        assert top >= 90
        assert right <= width - 120
        assert bottom <= height - 200


@pytest.mark.parametrize("calm", ["top", "bottom"])
def test_words_stand_where_the_picture_is_calm(desk, calm):
    """A pattern above sends them below, and the other way round."""
    picture, half = flat(30), noise().crop((0, 0, 540, 480))
    picture.paste(half, (0, 480 if calm == "top" else 0))
    drawn, *_ = draw(desk, still(), {"text": "口红"}, picture)
    changed = np.abs(drawn.astype(int) - np.asarray(picture)).max(axis=2) > 40
    middle = np.nonzero(changed)[0].mean()
    assert (middle < 480) == (calm == "top")


def test_words_stand_beside_what_a_wide_picture_shows(desk):
    """A product in the middle of a plain ground is not covered, smooth as it is."""
    picture = flat(30, (960, 540))
    picture.paste((90, 20, 20), (340, 120, 620, 500))
    drawn, *_ = draw(desk, still(960, 540), {"text": "哑光口红", "price": "¥129"}, picture)
    changed = np.abs(drawn.astype(int) - np.asarray(picture)).max(axis=2) > 10
    assert changed.any()
    assert not changed[:, 340:620].any()


def product(size: tuple[int, int], at: tuple[float, float, float, float], ground=(206, 186, 236)):
    """Return a red product on a lilac ground; `at` is its left, top, right and bottom."""
    picture = Image.new("RGB", size, ground)
    wide, high = size
    left, top, right, bottom = at
    box = tuple(map(round, (left * wide, top * high, right * wide, bottom * high)))
    picture.paste((179, 18, 43), box)
    return picture, box


@pytest.mark.parametrize("shape", [(540, 960), (540, 720), (540, 676), (540, 540), (960, 540)])
@pytest.mark.parametrize(
    "at",
    [
        (0.36, 0.06, 0.6, 0.8),  # from edge to edge: neither above nor below is free
        (0.1, 0.3, 0.9, 0.95),
        (0.1, 0.05, 0.9, 0.55),
        (0.45, 0.2, 0.97, 0.9),
    ],
)
def test_words_keep_off_the_product(desk, shape, at):
    """Beside it, above or below, as large as there is room: not a pixel of it changes."""
    picture, box = product(shape, at)
    settings = {"text": "哑光口红", "price": "¥129", "ground": "plate"}
    drawn, *_ = draw(desk, still(*shape), settings, picture)
    changed = np.abs(drawn.astype(int) - np.asarray(picture)).max(axis=2) > 10
    assert changed.any()
    assert not changed[box[1] : box[3], box[0] : box[2]].any()


def test_words_keep_off_where_the_product_goes():
    """A product that moves from the middle upwards sends words down, though its start is free."""
    frames = [product((540, 720), (0.1, top, 0.9, top + 0.4))[0] for top in (0.3, 0.15, 0.02)]
    file = blocks(title.decide(cell_for(still(540, 720), {"text": "哑光口红", "price": "¥129"})))
    zone, font = file.title.zone((540, 720)), bundled("Noto Sans SC")
    moving, standing = (file.title.settle(font, zone, some) for some in (frames, frames[:1]))
    assert standing.plate[3] <= 0.3 * 720
    assert moving.plate[1] >= 0.7 * 720


def test_words_are_small_only_where_that_spares_the_product():
    """On a free ground they have the size that was asked for, in one line."""
    decision = title.decide(cell_for(still(540, 720), {"text": "哑光口红", "price": "¥129"}))
    free = placed(decision, flat(200))
    assert (free.sizes["title"], len(free.lines)) == (round(0.085 * 540), 2)
    beside = placed(decision, product((540, 720), (0.36, 0.06, 0.6, 0.95))[0])
    assert LEAST * 540 <= beside.sizes["title"] < free.sizes["title"]
