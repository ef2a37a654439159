"""The title stage: title, price and captions of a delivery, set as a subtitle file (ASS).

Words, lines, sizes and places are decided at plan time; what needs the picture, colours and the
ground beneath the letters, when it is run. `export` lays the file over whatever it makes.
"""

from __future__ import annotations

import io
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

from PIL import Image

from catalogs.node import Node
from configs.base import Declaration, Json
from tasks import ffmpeg
from tasks.ass import GOES, Face, Look, Motion, document
from tasks.contrast import choose, levels
from tasks.font import Font, bundled, bundled_file, characters_of, read_font, small_copy
from tasks.framing import Framing, frame
from tasks.layout import Block
from tasks.letters import Letters
from tasks.pace import pace
from tasks.photo import open_photo
from tasks.place import Loose
from tasks.saliency import salience
from tasks.stage import Cell, Decision, Draft, Made, Photo, Stage, Studio

STROKE = 12
"""Of an em: a stroke of a bold hanzi is about a twelfth wide."""

WHITE = "#FFFFFF"
"""Captions are white, as people know them, where no colour is asked for."""


class TitleFile(Declaration):
    """What decides one subtitle file; a title node's params."""

    framing: Framing
    """How the picture beneath fills the delivery."""
    frames: int
    """Of the clip beneath; 0: a picture."""
    font: str | None
    """A bundled family; None: the brand's own file."""
    colour: str
    ground: Literal["auto", "none", "shadow", "plate"]
    motion: Motion
    title: Loose | None = None
    """Title and price: they stand where they hide least."""
    captions: tuple[Block, ...] = ()

    def texts(self) -> list[str]:
        """Return every text."""
        items = self.title.items if self.title else ()
        lines = [line.text for block in self.captions for line in block.lines]
        return [*(item.text.replace("\n", "") for item in items), *lines]


def decide(cell: Cell) -> Decision | None:
    """Return what decides the file; None where the shot has no words to set.

    Raises:
        BadPlan: where a template cannot be filled in, the font lacks a character, a text does not
            fit, or a caption outlasts the clip.
    """
    settings, delivery = cell.settings.title, cell.delivery
    assert delivery is not None, "the wiring lets this stage run per delivery only"
    beneath = cell.pictures.get("clip" if delivery.kind == "clip" else "image")
    if beneath is None:  # export says what is wired to the wrong kind
        return None
    clip = beneath if delivery.kind == "clip" else None
    seconds = pace(cell, clip).seconds if clip else None
    letters = Letters(cell)
    captions = letters.captions(seconds) if seconds else ()
    loose = letters.title(seconds, captions)
    if not loose and not captions:
        return None
    file = TitleFile(
        framing=frame(beneath, delivery.width, delivery.height, cell.settings.export.fit),
        frames=clip.frames if clip else 0,
        font=None if settings.font_file else settings.font,
        colour=settings.colour,
        ground=settings.ground,
        motion=settings.motion if clip else "none",
        title=loose,
        captions=captions,
    )
    own = settings.font_file
    return Decision(
        params=file.model_dump(mode="json"),
        files={"font": cell.attached[own].file} if own else {},
        gives={"titles": Photo(delivery.width, delivery.height, settled=_settled(loose, seconds))},
    )


def _settled(loose: Loose | None, seconds: float | None) -> float:
    """Return a second at which the title stands: come, and not about to go."""
    if not loose or not seconds:
        return 0.0
    end = min(loose.end or seconds, seconds)
    return round(min(loose.start + GOES + 0.1, (loose.start + end) / 2), 3)


def run(nodes: Sequence[Node], studio: Studio, workspace: Path) -> Iterator[Made]:
    """Write each node's file.

    Raises:
        StageFailed: where a clip's frames cannot be read.
        Interrupted: where the run was cancelled.
    """
    seen: dict[Path, list[Image.Image]] = {}  # deliveries of one shape share a clip
    for node in nodes:
        studio.heed("title")
        started = time.perf_counter()
        file = TitleFile.model_validate(node.params)
        font = bundled_file(file.font) if file.font else studio.path(node, "font")
        picture = studio.path(node, "clip" if file.frames else "image")
        if picture not in seen:
            seen[picture] = pictures(picture, file.frames, studio.cancelled)
        text, facts = write(file, font, _framed(file, seen[picture]))
        path = workspace / f"{node.key}.ass"
        path.write_text(text, encoding="utf-8")
        draft = Draft(path, "text", "text/x-ssa", *file.framing.size)
        yield Made(node, {"titles": draft}, time.perf_counter() - started, facts)


def write(
    file: TitleFile, font: Path, frames: Sequence[Image.Image]
) -> tuple[str, dict[str, Json]]:
    """Return the subtitle file's text, and the contrasts that its letters have.

    Args:
        file: what is to be set.
        font: the font file.
        frames: what lies beneath, each of the delivery's size.
    """
    family, data = small_copy(font, characters_of(file.texts()))
    own = bundled(file.font) if file.font else read_font(font)
    looks: list[tuple[Block, Look, Motion]] = []
    facts: dict[str, Json] = {}
    title = [_settle(file.title, file, own, frames)] if file.title else []
    for name, blocks in (("title", title), ("captions", file.captions)):
        if blocks:
            colour = WHITE if (name, file.colour) == ("captions", "auto") else file.colour
            look, contrast = _look(blocks, frames, colour, file.ground)
            facts[f"{name}_contrast"] = round(contrast, 2)
            motion = file.motion if name == "title" else "none"
            looks += [(block, look, motion) for block in blocks]
    face = Face(family, data, own, bold=file.font is not None)
    return document(file.framing.size, face, looks), facts


def _settle(loose: Loose, file: TitleFile, font: Font, frames: Sequence[Image.Image]) -> Block:
    """Return the title where it hides least, off the captions."""
    zone = loose.zone(file.framing.size, [block.plate for block in file.captions])
    return loose.settle(font, zone, frames)


def _look(
    blocks: Sequence[Block], frames: Sequence[Image.Image], colour: str, help_: str
) -> tuple[Look, float]:
    """Return one look for all `blocks`, and its contrast: captions must not change theirs."""
    grounds = [
        levels(frames, block.ink, max(1, min(block.sizes.values()) // STROKE)) for block in blocks
    ]
    ground = min(low for low, _ in grounds), max(high for _, high in grounds)
    return choose(ground, colour, help_)


def pictures(path: Path, frames: int, cancelled: ffmpeg.Cancelled) -> list[Image.Image]:
    """Return a picture, or a clip's first, middle and last frame.

    Args:
        path: of the picture or clip.
        frames: that the clip has; 0: it is a picture.
        cancelled: once true, the process is killed.

    Raises:
        StageFailed: where ffmpeg cannot read the clip.
    """
    if not frames:
        return [open_photo(path)]
    wanted = sorted({0, frames // 2, frames - 1})
    chosen = "+".join(f"eq(n,{number})" for number in wanted)
    with tempfile.NamedTemporaryFile() as file:
        ffmpeg.run(
            [
                *("-i", str(path), "-vf", f"select='{chosen}',{ffmpeg.TO_RGB}"),
                *("-fps_mode", "passthrough", "-c:v", "ppm", "-f", "image2pipe", file.name),
            ],
            cancelled=cancelled,
        )
        found = file.read()
    size = len(found) // len(wanted)
    return [Image.open(io.BytesIO(found[at : at + size])) for at in range(0, len(found), size)]


def _framed(file: TitleFile, pictures: Sequence[Image.Image]) -> list[Image.Image]:
    """Return a clip's frames as they fill the delivery: all cut by one crop, as export does."""
    framing = file.framing.aimed(salience(pictures))
    return [framing.draw(one) for one in pictures]


STAGE = Stage(
    id="title",
    version=2,
    takes={"image": "image", "clip": "clip", "overlay": "overlay", "label": "overlay"},
    gives={"titles": "titles"},
    lane="cpu",
    decide=decide,
    run=run,
    optional=frozenset({"image", "clip", "overlay", "label"}),
    measured=frozenset({"overlay", "label"}),
    worded=True,
    asked=lambda settings: settings.title.asked,
)
