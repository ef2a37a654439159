"""A finished run of drawn products in a real store, for looking at pages without drawing models."""

from __future__ import annotations

import colorsys
import datetime as dt
import itertools
import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import imageio_ffmpeg
from PIL import Image, ImageDraw

from catalogs.node import Address, InputFile, Node
from catalogs.record import Entry, Place, Run
from catalogs.store import Store
from configs.base import Words
from configs.home import Home
from tasks.stage import Draft

PRODUCTS = {
    "rouge-01": ({"zh": "哑光口红", "en": "matte lipstick"}, 0.97),
    "mug-01": ({"zh": "陶瓷咖啡杯", "en": "ceramic coffee mug"}, 0.58),
}
DAYS = (dt.date(2026, 3, 2), dt.date(2026, 3, 6))
ASPECTS = {"portrait": (288, 512), "landscape": (512, 288)}
NAMES = {
    "douyin": Words(zh="抖音", en="Douyin"),
    "xiaohongshu": Words(zh="小红书", en="Xiaohongshu"),
    "bilibili": Words(zh="哔哩哔哩", en="Bilibili"),
}
SHAPES = {
    "douyin": ("portrait", 9, 16),
    "xiaohongshu": ("portrait", 9, 12),
    "bilibili": ("landscape", 16, 9),
}
PROMPTS = {
    "picture": "一支哑光口红立在米色亚麻布上，旁边散落着几片玫瑰花瓣，清晨的柔和侧光"
    "从左边窗户照进来，投下长长的影子，浅景深，商业产品摄影，干净的背景。",
    "motion": "The camera pushes in slowly while the light moves across the product.",
}
STARTED = "2026-03-01T10:00:00+00:00"


@dataclass
class Week:
    """A home with a finished run, and what `write_gallery` takes besides."""

    home: Home
    scale: int = 20
    """Pixels of a delivery are its shape times this: 120 gives 1080x1920."""
    run: Run = field(init=False)
    files: dict[str, Path] = field(default_factory=dict)

    @property
    def store(self) -> Store:
        return Store(self.home.store)

    def fill(
        self,
        products: Mapping[str, tuple[dict[str, str], float]] = PRODUCTS,
        days: Sequence[dt.date] = DAYS,
        failing: Mapping[str, str] | None = None,
    ) -> Week:
        """Make every shot; `failing` says by shot id why its landscape clip was not made."""
        shots, entries = {}, []
        for number, ((product, (name, hue)), day) in enumerate(
            itertools.product(products.items(), days)
        ):
            shot = f"{product}/{day}"
            shots[shot] = {
                "product": {"id": product, "name": name},
                "day": day.isoformat(),
                "weekday": f"{day:%a}".lower(),
                "festival": {"zh": "妇女节", "en": "Women's Day"} if day.day == 8 else None,
                "seed": 187_263_526_001 + number,
                "motion": ("push-in", "orbit-left", "static")[number % 3],
                "template": "product-closeup",
                "texts": PROMPTS,
            }
            entries += self._shot(shot, hue + 0.02 * number, (failing or {}).get(shot, ""))
        self.run = Run(
            id="20260301-100000-ab12cd",
            campaign="spring-lipstick",
            title={"zh": "春日限定", "en": "Spring edition"},
            state="failed" if failing else "done",
            started=STARTED,
            finished="2026-03-01T10:02:14+00:00",
            parameters={"brand": "Lumière", "profile": "mini", "seed": 20260302},
            shots=shots,
            entries=tuple(entries),
        )
        return self

    def told(self, **shots) -> Week:
        """Return this week with other words about its shots."""
        return replace_run(self, shots={**self.run.shots, **shots})

    def _shot(self, shot: str, hue: float, failure: str):
        for aspect, size in ASPECTS.items():
            picture = draw(size, hue)
            params = {"prompt": PROMPTS["picture"], "steps": 8, "aspect": aspect, "shot": shot}
            yield self.keep("keyframe", shot, "image", picture, params, aspect=aspect)
            place = Place(stage="animate", shot=shot, aspect=aspect)
            if failure and aspect == "landscape":
                yield Entry(place=place, key="f" * 64, state="failed", error=failure)
        for delivery, (aspect, *shape) in SHAPES.items():
            if failure and aspect == "landscape":
                place = Place(stage="export", shot=shot, delivery=delivery)
                yield Entry(place=place, key="e" * 64, state="skipped", error="needs it")
                continue
            size = (shape[0] * self.scale, shape[1] * self.scale)
            clip = draw(size, hue)
            yield self.keep("export", shot, "clip", clip, {"shot": shot}, delivery=delivery)

    def keep(
        self, stage: str, shot: str, kind: str, picture: Image.Image, params, **where: str
    ) -> Entry:
        """Commit one drawn picture, or a short clip of it, as a real node."""
        node = Node(
            Address(stage, shot, **where),
            kind=stage,
            version=1,
            params={**params, **where},
            model="" if stage == "export" else "0" * 64,
            notes={"model": f"mini-{stage}"},
        )
        with self.store.workspace() as desk:
            path = desk / ("picture.png" if kind == "image" else "clip.mp4")
            picture.save(path) if kind == "image" else encode(picture, path)
            draft = Draft(path, kind, "image/png", picture.width, picture.height)
            if kind == "clip":
                draft = replace(draft, mime="video/mp4", frames=24, fps=24.0, seconds=1.0)
            self.store.commit(node, {kind: draft}, run="r", started=STARTED, seconds=1.25)
        if "delivery" in where:
            self.files[node.key] = self._deliver(node, kind)
        place = Place(stage=stage, shot=shot, **where)
        return Entry(place=place, key=node.key, state="made", seconds=1.25)

    def _deliver(self, node: Node, kind: str) -> Path:
        product, day = node.address.shot.split("/")[:2]
        named = self.home.deliveries / "spring-lipstick" / day / product
        named.mkdir(parents=True, exist_ok=True)
        path = named / f"{node.address.delivery}.mp4"
        os.link(self.store.output(node.key, kind), path)
        return path


def replace_run(week: Week, **changes) -> Week:
    """Return `week` with some of its run's values changed."""
    other = Week(week.home, week.scale, week.files)
    other.run = week.run.model_copy(update=changes)
    return other


def own_photo(shot: str, path: str) -> Node:
    """Return the node of a clip made from the user's own photo."""
    photo = InputFile("5" * 64, path)
    return Node(Address("animate", shot), "animate", 1, {"steps": 4}, {"image": photo})


def draw(size: tuple[int, int], hue: float) -> Image.Image:
    """Return a lipstick on a table, of `hue` from 0 to 1."""

    def tone(shift: float, saturation: float, value: float) -> tuple[int, ...]:
        colour = colorsys.hsv_to_rgb((hue + shift) % 1, saturation, value)
        return tuple(round(255 * part) for part in colour)

    wide, high = size
    side, x, y = min(size), wide / 2, high * 0.54
    picture = Image.new("RGB", size, tone(0.06, 0.16, 0.95))
    pen = ImageDraw.Draw(picture)
    pen.rectangle((0, y + 0.16 * side, wide, high), tone(0.05, 0.22, 0.84))
    pen.ellipse(
        (x - 0.3 * side, y + 0.2 * side, x + 0.3 * side, y + 0.33 * side), tone(0, 0.3, 0.6)
    )
    pen.rectangle((x - 0.09 * side, y, x + 0.09 * side, y + 0.28 * side), (32, 29, 29))
    pen.rectangle((x - 0.07 * side, y - 0.09 * side, x + 0.07 * side, y), (206, 172, 104))
    left, right, foot = x - 0.055 * side, x + 0.055 * side, y - 0.09 * side
    slope = [(left, foot), (right, foot), (right, y - 0.34 * side), (left, y - 0.26 * side)]
    pen.polygon(slope, tone(0, 0.85, 0.66))
    return picture


def encode(picture: Image.Image, path: Path) -> None:
    """Write one second of a slow zoom over `picture`."""
    zoom = f"zoompan=z='1+on*0.006':d=24:s={picture.width}x{picture.height}:fps=24,format=yuv420p"
    command = f"-v error -f rawvideo -pix_fmt rgb24 -s {picture.width}x{picture.height} -i -"
    output = "-c:v libx264 -preset ultrafast -threads 1 -movflags +faststart"
    subprocess.run(
        [imageio_ffmpeg.get_ffmpeg_exe(), *command.split(), "-vf", zoom, *output.split(), path],
        input=picture.tobytes(),
        check=True,
    )
