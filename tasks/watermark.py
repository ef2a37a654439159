"""The watermark stage: the brand's logo as an overlay of the delivery's size.

Scaled, inside the zone the platform leaves free, and in the variant that can be read on what lies
beneath. Knows nothing of video: `export` lays the overlay over whatever it makes.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

from PIL import Image

from catalogs.node import Node
from configs.errors import BadFile
from tasks.framing import Framing, frame
from tasks.photo import open_photo, size_of
from tasks.spot import Area, Spot
from tasks.stage import Cell, Decision, Draft, Made, Photo, Stage, Studio

LEGIBLE = 3.0
"""The least contrast of a graphic with its ground: WCAG 2.2, success criterion 1.4.11."""

LINEAR = [
    value / 255 / 12.92 if value <= 10 else ((value / 255 + 0.055) / 1.055) ** 2.4
    for value in range(256)
]
"""sRGB (IEC 61966-2-1) to linear light."""

WHITE, INK = (255, 255, 255), (16, 16, 16)


class Place(Spot):
    """Where the logo stands, and how large."""

    logo_width: float
    """As a fraction of the frame's width."""

    def fit(self, logo: Image.Image) -> Image.Image:
        """Return the logo at its size in this frame."""
        # Hamming has no negative lobes: Lanczos rings, and turns a logo's edges brighter.
        return logo.resize(self.size_of(logo.size), Image.Resampling.HAMMING)

    def size_of(self, logo: tuple[int, int]) -> tuple[int, int]:
        """Return the size in this frame of a logo of `logo` pixels: never above its own."""
        left, top, right, bottom = self.zone
        width, height = logo
        scale = min(
            self.width * self.logo_width / width,
            (right - left) / width,
            (bottom - top) / height,
            1.0,
        )
        return max(1, round(width * scale)), max(1, round(height * scale))

    def box(self, logo: tuple[int, int]) -> Area:
        """Return left, top, right, bottom of a logo of `logo` pixels in this frame."""
        return self.area(self.size_of(logo))


class Mark(Place):
    """What decides the pixels of one overlay; a watermark node's params."""

    framing: Framing
    """How the picture beneath fills the delivery."""
    opacity: float
    variant: Literal["auto", "light", "dark"]


def area_of(cell: Cell) -> Area | None:
    """Return what the logo covers in the cell's delivery; None where the brand has none."""
    return place(cell).box(cell.logo) if cell.logo else None


def place(cell: Cell) -> Place:
    """Return where the cell's settings put a logo."""
    delivery, settings = cell.delivery, cell.settings.watermark
    assert delivery is not None, "the wiring lets this stage run per delivery only"
    return Place(
        width=delivery.width,
        height=delivery.height,
        safe=delivery.safe,
        position=settings.position,
        margin=settings.margin,
        logo_width=settings.width,
    )


def decide(cell: Cell) -> Decision:
    """Return what decides the overlay; a brand without a logo has one transparent pixel."""
    if "logo" not in cell.files:
        return Decision(params={"logo": None}, gives={"overlay": Photo(1, 1)})
    spot, settings = place(cell), cell.settings.watermark
    width, height = spot.width, spot.height
    mark = Mark(
        **spot.model_dump(),
        framing=frame(cell.pictures["image"], width, height, cell.settings.export.fit),
        opacity=settings.opacity,
        variant=settings.variant,
    )
    return Decision(
        params=mark.model_dump(mode="json"),
        files={role: cell.files[role] for role in ("logo", "logo_on_dark") if role in cell.files},
        gives={"overlay": Photo(width, height, box=cell.logo and mark.box(cell.logo))},
    )


def run(nodes: Sequence[Node], studio: Studio, workspace: Path) -> Iterator[Made]:
    """Draw each node's overlay.

    Raises:
        BadFile: where a logo cannot be used.
        Interrupted: where the run was cancelled.
    """
    for node in nodes:
        studio.heed("watermark")
        started = time.perf_counter()
        overlay = draw(node, studio)
        path = workspace / f"{node.key}.png"
        overlay.save(path, compress_level=6)
        draft = Draft(path, "overlay", "image/png", overlay.width, overlay.height)
        yield Made(node, {"overlay": draft}, time.perf_counter() - started)


def draw(node: Node, studio: Studio) -> Image.Image:
    """Return the overlay of one node, RGBA."""
    if "logo" not in node.inputs:
        return Image.new("RGBA", (1, 1))
    mark = Mark.model_validate(node.params)
    own = mark.fit(open_logo(studio.path(node, "logo")))
    light = None
    if "logo_on_dark" in node.inputs:
        light = mark.fit(open_logo(studio.path(node, "logo_on_dark")))
    beneath = mark.framing.draw(open_photo(studio.path(node, "image")))
    logo = choose(mark, own, light or recolour(own, WHITE), beneath)
    overlay = Image.new("RGBA", (mark.width, mark.height))
    overlay.paste(faded(logo, mark.opacity), mark.corner(logo.size))
    return overlay


def choose(mark: Mark, own: Image.Image, light: Image.Image, beneath: Image.Image) -> Image.Image:
    """Return the variant to use: the brand's own wherever it can be read.

    Args:
        mark: its `variant` decides where it is not `auto`.
        own: the logo as the brand gave it.
        light: the one for dark ground.
        beneath: the picture that fills the frame.
    """
    if mark.variant != "auto":
        return light if mark.variant == "light" else own
    contrasts = []
    for logo in (own, light, recolour(own, INK)):
        x, y = mark.corner(logo.size)
        ground = beneath.crop((x, y, x + logo.width, y + logo.height))
        contrasts.append((contrast(_seen(mark, logo, ground), luminance(ground)), logo))
    for found, logo in contrasts:
        if found >= LEGIBLE:
            return logo
    return max(contrasts, key=lambda pair: pair[0])[1]


def faded(logo: Image.Image, opacity: float) -> Image.Image:
    """Return the logo with so much of its opacity."""
    made = logo.copy()
    made.putalpha(logo.getchannel("A").point(lambda alpha: alpha * opacity))
    return made


def _seen(mark: Mark, logo: Image.Image, ground: Image.Image) -> float:
    """Return the luminance of the logo as it shows the ground through: less far from it."""
    shown, over = ground.copy(), faded(logo, mark.opacity)
    shown.paste(over, mask=over)
    shown.putalpha(logo.getchannel("A"))
    return luminance(shown)


def luminance(image: Image.Image) -> float:
    """Return the mean relative luminance, 0 to 1 (ITU-R BT.709), of what is not transparent."""
    mask = image.getchannel("A") if image.mode == "RGBA" else None
    counts = image.convert("RGB").histogram(mask)
    channels = [counts[start : start + 256] for start in (0, 256, 512)]
    means = [
        sum(map(float.__mul__, LINEAR, map(float, channel))) / max(1, sum(channel))
        for channel in channels
    ]
    return 0.2126 * means[0] + 0.7152 * means[1] + 0.0722 * means[2]


def contrast(one: float, other: float) -> float:
    """Return WCAG's contrast ratio of two luminances, 1 to 21."""
    return (max(one, other) + 0.05) / (min(one, other) + 0.05)


def recolour(logo: Image.Image, colour: tuple[int, int, int]) -> Image.Image:
    """Return the logo's shape in one colour."""
    flat = Image.new("RGBA", logo.size, colour)
    flat.putalpha(logo.getchannel("A"))
    return flat


def open_logo(path: Path) -> Image.Image:
    """Return a logo as RGBA, cut to what can be seen of it.

    Raises:
        BadFile: where it is missing, no picture, too large, or has nothing transparent or visible.
    """
    if path.suffix.lower() in {".svg", ".svgz"}:
        raise BadFile(f"{path.name}: a logo is a picture of pixels; save it as RGBA PNG")
    size_of(path)
    with Image.open(path) as image:
        if not image.has_transparency_data:
            raise BadFile(f"{path.name}: has no transparency: save it as RGBA PNG")
        try:
            logo = image.convert("RGBA")
        except (OSError, SyntaxError, ValueError) as error:
            raise BadFile(f"{path.name}: is cut short or broken: {error}") from error
    alpha = logo.getchannel("A")
    if alpha.getextrema()[0] == 255:
        raise BadFile(f"{path.name}: has no transparency: save it as RGBA PNG")
    seen = alpha.getbbox()
    if seen is None:
        raise BadFile(f"{path.name}: nothing in it can be seen: all of it is transparent")
    return logo.crop(seen)


STAGE = Stage(
    id="watermark",
    version=2,
    takes={"image": "image"},
    gives={"overlay": "overlay"},
    lane="cpu",
    decide=decide,
    run=run,
)
