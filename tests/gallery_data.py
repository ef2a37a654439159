"""A finished run of drawn products in a real store, for looking at pages without drawing models."""

from __future__ import annotations

import colorsys
import datetime as dt
import functools
import itertools
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import imageio_ffmpeg
from PIL import Image, ImageDraw

from catalogs.gallery import write_gallery
from catalogs.node import Address, InputFile, Node
from catalogs.record import Entry, Place, Run
from catalogs.store import Store
from configs.base import Words
from configs.delivery import Box, Delivery
from configs.home import Home
from tasks.stage import Draft

PRODUCTS = {
    "rouge-01": ({"zh": "哑光口红", "en": "matte lipstick"}, 0.97),
    "mug-01": ({"zh": "陶瓷咖啡杯", "en": "ceramic coffee mug"}, 0.58),
}
DAYS = (dt.date(2026, 3, 2), dt.date(2026, 3, 6))
ASPECTS = {"portrait": (288, 512), "landscape": (512, 288)}
BOXES = {"douyin": Box(top=150, right=150, bottom=440), "xiaohongshu": Box(), "bilibili": Box()}
TITLES = {
    "douyin": Words(zh="抖音", en="Douyin"),
    "xiaohongshu": Words(zh="小红书", en="Xiaohongshu"),
    "bilibili": Words(zh="哔哩哔哩", en="Bilibili"),
}
SHAPES = {
    "douyin": ("portrait", 9, 16),
    "xiaohongshu": ("portrait", 9, 12),
    "bilibili": ("landscape", 16, 9),
}
PLATFORMS = {
    name: Delivery(
        name=TITLES[name], width=120 * width, height=120 * height, aspect=aspect,
        safe=BOXES[name], source="a test", checked_on=DAYS[0],
    )
    for name, (aspect, width, height) in SHAPES.items()
}  # fmt: skip
TEXTS = {
    "picture": "一支哑光口红立在米色亚麻布上，旁边散落着几片玫瑰花瓣，清晨的柔和侧光"
    "从左边窗户照进来，投下长长的影子，浅景深，商业产品摄影，干净的背景。",
    "motion": "The camera pushes in slowly while the light moves across the product.",
}
RUN = "20260301-100000-ab12cd"
STARTED, FINISHED = "2026-03-01T10:00:00+00:00", "2026-03-01T10:02:14+00:00"


@dataclass
class Week:
    """A home with a finished run, and what `write_gallery` takes besides."""

    home: Home
    scale: int = 20
    """Pixels of a delivery are its shape times this: 120 gives 1080x1920."""
    products: Mapping[str, tuple[dict[str, str], float]] = field(default_factory=lambda: PRODUCTS)
    days: Sequence[dt.date] = DAYS
    failing: Mapping[str, str] = field(default_factory=dict)
    """By shot id, why its landscape clip was not made."""
    campaign: str = "spring #1 春"
    files: dict[str, Path] = field(default_factory=dict)

    def __post_init__(self):
        self.store = Store(self.home.store)
        shots, entries = {}, []
        cells = itertools.product(self.products.items(), self.days)
        for number, ((product, (name, hue)), day) in enumerate(cells):
            shot = f"{product}/{day}"
            shots[shot] = {
                "product": {"id": product, "name": name},
                "day": day.isoformat(),
                "festival": {"zh": "妇女节", "en": "Women's Day"} if day.day == 8 else None,
                "axes": {"product": product, "day": day.isoformat(), "scene": "window"},
                "seed": 187_263_526_001 + number,
                "motion": ("push-in", "orbit-left", "static")[number % 3],
                "template": "product-closeup",
                "texts": TEXTS,
                "notes": [],
            }
            entries += self.shot(shot, hue + 0.02 * number)
        self.run = Run(
            id=RUN,
            campaign=self.campaign,
            title={"zh": "春日限定", "en": "Spring edition"},
            state="failed" if self.failing else "done",
            started=STARTED,
            finished=FINISHED,
            parameters={"brand": "Lumière", "profile": "mini", "seed": 20260302},
            shots=shots,
            entries=tuple(entries),
        )

    def write(self, **changes) -> Path:
        """Write the gallery, with some of the run's values changed."""
        run = self.run.model_copy(update=changes)
        folder = self.home.runs / run.id
        return write_gallery(
            run, self.store, self.home, folder, files=self.files, platforms=PLATFORMS
        )

    def shot(self, shot: str, hue: float):
        """Make one shot: keyframes, then deliveries, less those that are to fail."""
        reason = self.failing.get(shot, "")
        for aspect, size in ASPECTS.items():
            yield self.keyframe(shot, aspect, draw(size, hue))
        if reason:
            place = Place(stage="animate", shot=shot, aspect="landscape")
            yield Entry(place=place, key="f" * 64, state="failed", error=reason)
        for delivery, (aspect, *shape) in SHAPES.items():
            if reason and aspect == "landscape":
                place = Place(stage="export", shot=shot, delivery=delivery)
                yield Entry(place=place, key="e" * 64, state="skipped", error="needs the clip")
            else:
                wide, high = (side * self.scale for side in shape)
                yield self.export(shot, delivery, (wide, high), hue)

    def keyframe(self, shot: str, aspect: str, picture: Image.Image) -> Entry:
        """Commit one drawn picture."""
        return self.picture(Address("keyframe", shot, aspect), picture, "0" * 64)

    def picture(self, address: Address, picture: Image.Image, model: str = "") -> Entry:
        """Commit a picture as a keyframe, or as a still delivery where no model drew it."""
        params = {"prompt": TEXTS["picture"], "steps": 8, "for": str(address)}
        notes = {"model": "mini-image"}
        node = Node(address, address.stage, 1, params, model=model, notes=notes)
        with self.store.workspace() as desk:
            picture.save(desk / "image.png")
            draft = Draft(desk / "image.png", "image", "image/png", *picture.size)
            return self.commit(node, {"image": draft})

    def export(
        self, shot: str, delivery: str, size: tuple[int, int], hue: float, photo: str = ""
    ) -> Entry:
        """Commit one short clip with its cover, and link it under a name for people.

        One that is made of an own photo comes without a cover.
        """
        inputs = {"image": InputFile("5" * 64, photo)} if photo else {}
        params = {"for": f"{shot} {delivery}"}
        node = Node(Address("export", shot, "", delivery), "export", 1, params, inputs)
        with self.store.workspace() as desk:
            draw(size, hue).save(desk / "cover.jpg")
            (desk / "clip.mp4").write_bytes(clip(size, round(hue, 1)))
            cover = Draft(desk / "cover.jpg", "cover", "image/jpeg", *size)
            film = Draft(desk / "clip.mp4", "clip", "video/mp4", *size, 24, 24.0, 1.0)
            drafts = {"delivery": film} if photo else {"delivery": film, "cover": cover}
            entry = self.commit(node, drafts, photo)
        product, day = shot.split("/")
        named = self.home.deliveries / self.campaign / day / product / f"{delivery}.mp4"
        named.parent.mkdir(parents=True, exist_ok=True)
        named.hardlink_to(self.store.output(node.key, "delivery"))
        self.files[node.key] = named
        return entry

    def commit(self, node: Node, drafts: Mapping[str, Draft], photo: str = "") -> Entry:
        """Commit a node, and tell what became of it."""
        paths = {"image": photo} if photo else {}
        self.store.commit(node, drafts, run=RUN, started=STARTED, seconds=1.25, paths=paths)
        at = node.address
        place = Place(stage=at.stage, shot=at.shot, aspect=at.aspect, delivery=at.delivery)
        return Entry(place=place, key=node.key, state="made", seconds=1.25)


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


@functools.cache
def clip(size: tuple[int, int], hue: float) -> bytes:
    """Return one second of a slow zoom as MP4."""
    shape = f"{size[0]}x{size[1]}"
    source = f"-v error -f rawvideo -pix_fmt rgb24 -s {shape} -i -"
    zoom = f"zoompan=z='1+on*0.006':d=24:s={shape}:fps=24,format=yuv420p"
    coded = "-c:v libx264 -preset ultrafast -threads 1 -f mp4"
    whole = "-movflags +frag_keyframe+empty_moov -"
    command = [imageio_ffmpeg.get_ffmpeg_exe(), *source.split(), "-vf", zoom]
    return subprocess.run(
        [*command, *coded.split(), *whole.split()],
        input=draw(size, hue).tobytes(),
        stdout=subprocess.PIPE,
        check=True,
    ).stdout
