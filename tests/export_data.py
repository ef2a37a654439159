"""Clips, logos, deliveries and nodes that the tests of watermark and export are made of."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from catalogs.node import Address, InputFile, Node
from catalogs.store import Store
from configs.base import Json
from configs.campaign import Brand, Campaign, Product
from configs.delivery import Delivery
from configs.home import Home
from configs.settings import Settings
from tasks import watermark
from tasks.ffmpeg import write_clip
from tasks.stage import Cell, Decision, Made, Photo, Stage, Studio

SOURCE = (144, 256)
"""Width and height of the pictures and clips that are exported: a 9:16 thumbnail."""

RED, CREAM = (179, 18, 43), (240, 232, 220)


def scene(size: tuple[int, int], phase: float = 0.0, ground: tuple[int, int, int] = CREAM):
    """Return a picture with a red disc on a shaded ground; `phase` moves the disc."""
    width, height = size
    shade = np.linspace(1.0, 0.8, height)[:, None, None] * np.array(ground)
    picture = Image.fromarray(np.repeat(shade.astype(np.uint8), width, axis=1))
    radius = min(size) * 0.25
    x, y = width * (0.5 + 0.15 * np.sin(phase)), height * (0.5 + 0.05 * np.cos(phase))
    draw = ImageDraw.Draw(picture)
    draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=RED)
    draw.rectangle((width * 0.1, height * 0.85, width * 0.9, height * 0.9), fill=(40, 90, 150))
    return picture


def clip(
    path: Path, size: tuple[int, int], *, frames: int = 9, fps: float = 8, ground=CREAM
) -> Path:
    """Write a master clip of the moving scene."""
    pictures = (np.asarray(scene(size, 0.2 * number, ground)).tobytes() for number in range(frames))
    write_clip(path, pictures, size=size, fps=fps)
    return path


def logo(path: Path, size: tuple[int, int] = (400, 160), colour=(120, 10, 30)) -> Path:
    """Write a ring and a bar on transparent ground, with a transparent rim."""
    width, height = size
    picture = Image.new("RGBA", size)
    draw = ImageDraw.Draw(picture)
    draw.ellipse((10, 10, height - 10, height - 10), outline=(*colour, 255), width=height // 8)
    draw.rectangle((height, height * 0.4, width - 10, height * 0.6), fill=(*colour, 255))
    picture.save(path)
    return path


def delivery(width: int, height: int, **changes) -> Delivery:
    """Return a delivery that takes nearly anything."""
    shape = "square" if width == height else "portrait" if width < height else "landscape"
    plain = {
        "name": "test",
        "width": width,
        "height": height,
        "aspect": shape,
        "source": "a test",
        "checked_on": dt.date(2026, 11, 21),
    }
    return Delivery.model_validate(plain | changes)


@dataclass
class Desk:
    """A home, and the way from what a cell says to finished files."""

    root: Path
    studio: Studio = field(init=False)

    def __post_init__(self) -> None:
        self.root.mkdir(exist_ok=True)
        self.studio = self.studio_with()

    def studio_with(self, **changes) -> Studio:
        home = Home(self.root)
        return Studio(home, Store(home.store), {}, **changes)

    def file(self, path: Path) -> InputFile:
        sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
        return InputFile(sha256, str(path.relative_to(self.root)))

    def node(
        self,
        stage: Stage,
        target: Delivery,
        inputs: Mapping[str, Path],
        pictures: Mapping[str, Photo],
        *,
        files: Mapping[str, Path] | None = None,
        settings: Mapping[str, Json] | None = None,
        name: str = "test",
    ) -> Node:
        wired = {port: self.file(path) for port, path in inputs.items()}
        cell = make_cell(
            target,
            pictures,
            settings,
            files={role: self.file(path) for role, path in (files or {}).items()},
            name=name,
        )
        decision: Decision = stage.decide(cell)
        return Node(
            address=Address(stage.id, cell.shot, target.aspect, name),
            kind=stage.id,
            version=stage.version,
            params=decision.params,
            inputs=wired | dict(decision.files),
            notes=decision.notes,
        )

    def make(self, stage: Stage, *nodes: Node, folder: str = "work", **studio) -> list[Made]:
        workspace = self.root / folder
        workspace.mkdir(exist_ok=True)
        return list(stage.run(nodes, self.studio_with(**studio), workspace))


def make_cell(
    target: Delivery,
    pictures: Mapping[str, Photo],
    settings: Mapping[str, Json] | None = None,
    *,
    files: Mapping[str, InputFile] | None = None,
    name: str = "test",
) -> Cell:
    """Return what a stage sees of one delivery of one shot."""
    product = Product(id="rouge-01", name="lipstick")
    campaign = Campaign(
        name="test", brand=Brand(name="Lumière"), products=(product,), deliveries=(name,)
    )
    return Cell(
        campaign=campaign,
        product=product,
        shot="rouge-01/2026-03-02",
        seed=1,
        settings=Settings.model_validate(settings or {}),
        texts={},
        pictures=pictures,
        inputs={},
        aspect=target.aspect,
        delivery=target,
        delivery_id=name,
        files=files or {},
    )


Maker = Callable[..., list[Made]]


def overlay_for(desk: Desk, target, name: str = "test", **settings) -> Path:
    """Return the overlay that watermark makes for a delivery."""
    picture = desk.root / "beneath.png"
    scene(SOURCE).save(picture)
    node = desk.node(
        watermark.STAGE,
        target,
        {"image": picture},
        {"image": Photo(*SOURCE)},
        files={"logo": logo(desk.root / "logo.png")},
        settings={"watermark": {"width": 0.4, "opacity": 1.0, **settings}},
        name=name,
    )
    (made,) = desk.make(watermark.STAGE, node)
    return made.drafts["overlay"].path
