"""What the tests of titles share: cells to decide on, and pictures to write over."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

import numpy as np
from PIL import Image

from catalogs.node import Address, Node
from configs.base import Words
from configs.campaign import Prompt
from configs.festivals import day_facts
from tasks import title
from tasks.font import bundled
from tasks.layers import Titles
from tasks.layout import Block
from tasks.stage import Photo
from tasks.title import TitleFile
from tasks.views import view
from tests.export_data import Desk, delivery, make_cell

CLIP = Photo(144, 256, fps=8, frames=25)
"""3.1 seconds."""
PLAIN = {"text": {"zh": "{{ product.name }}", "en": "{{ product.name }}"}}


def cell_for(target, settings, pictures=None, attached=None, language="zh", text=""):
    """Return what the stage sees of one shot."""
    pictures = pictures or {"image" if target.kind == "still" else "clip": CLIP}
    cell = make_cell(target, pictures, {"title": settings})
    product = cell.product.model_copy(
        update={"name": Words(zh="哑光口红", en="Matte lipstick"), "facts": {"price": "129"}}
    )
    campaign = cell.campaign.model_copy(
        update={"prompt": Prompt(language=language), "products": (product,)}
    )

    def names(language):
        day = day_facts(dt.date(2026, 3, 2), "zh_CN")
        return view(campaign=campaign, product=product, day=day, axes={}, seed=1, language=language)

    return replace(
        cell,
        campaign=campaign,
        product=product,
        names=names,
        attached=attached or {},
        texts={"text": text},
    )


def still(width=540, height=960, **changes):
    return delivery(width, height, kind="still", format="png", **changes)


def blocks(decision) -> TitleFile:
    assert decision is not None
    return TitleFile.model_validate(decision.params)


def placed(decision, beneath: Image.Image | None = None) -> Block:
    """Return title and price where they stand on a picture; without one, on a plain ground."""
    file = blocks(decision)
    zone = file.title.zone(file.framing.size, [block.plate for block in file.captions])
    frame = (beneath or flat(30)).resize(file.framing.size)
    return file.title.settle(bundled("Noto Sans SC"), zone, [frame])


def said(decision) -> list[str]:
    """Return the lines of title and price."""
    return [line.text for line in placed(decision).lines]


def draw(desk: Desk, target, settings, beneath: Image.Image, at=0.0, **options):
    """Return the picture with its titles, as numbers, the file's text and what was measured."""
    decision = title.decide(cell_for(target, settings, {"image": Photo(*beneath.size)}, **options))
    path = desk.root / "beneath.png"
    beneath.save(path)
    node = Node(
        address=Address("title", "shot", target.aspect, "test"),
        kind="title",
        version=title.STAGE.version,
        params=decision.params,
        inputs={"image": desk.file(path), **decision.files},
    )
    (made,) = desk.make(title.STAGE, node)
    drawn = Titles(made.drafts["titles"].path, beneath.size).lay(beneath, at)
    return np.asarray(drawn), made.drafts["titles"].path.read_text("utf-8"), made.facts


def flat(level, size=(540, 960)):
    return Image.new("RGB", size, (level,) * 3)


def noise(size=(540, 960)):
    random = np.random.default_rng(7)
    small = random.integers(0, 256, (size[1] // 9, size[0] // 9, 3), dtype=np.uint8)
    return Image.fromarray(small).resize(size, Image.Resampling.BICUBIC)
