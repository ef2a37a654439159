"""What a gallery page shows: a run and its records, put in words for people.

Knows nothing of HTML. What a run tells of its shots is JSON that others may have written: each
value is read as what it should be, and left out where it is not.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal
from urllib.parse import quote

from catalogs.gallery.media import Still
from catalogs.gallery.words import duration, term
from catalogs.record import Asset, Entry, Record, Run
from catalogs.store import Store
from configs.base import Json, Words
from configs.delivery import Delivery
from configs.home import Home

TILE = 4 / 5  # width / height
Finished = list[tuple[Entry, Record]]


@dataclass(frozen=True, slots=True)
class Frame:
    """One delivery of a shot."""

    delivery: str
    name: Words
    kind: Literal["clip", "image"]
    width: int
    height: int
    seconds: float
    bytes: int
    poster: str
    """Empty where a clip came without a cover: it then shows its own first frame."""
    preview: str
    """Beside the page: moves with it."""
    page: str
    """Where its picture leads."""
    href: str
    """The delivery under its name for people."""
    filename: str
    covered: tuple[float, float, float, float]
    """What the platform's own buttons may lie over, at top, right, bottom and left: shares."""
    caption: tuple[str, ...] = ()
    """Title and text that are published with it."""


@dataclass(frozen=True, slots=True)
class Gap:
    """Something of a shot that was not made, and why."""

    what: Words
    where: tuple[Words, ...]
    reason: str


@dataclass(frozen=True, slots=True)
class Card:
    """One shot."""

    anchor: str
    shot: str
    product: str
    name: Words
    day: str
    festival: Words
    poster: str
    clip: str
    """The delivery whose shape suits the contact sheet best; empty where there is none."""
    prompts: Mapping[str, str]
    notes: tuple[str, ...]
    """What a person should know of how the prompts came about."""
    facts: tuple[tuple[Words, Words], ...]
    """What it was made with: a label and its value."""
    frames: tuple[Frame, ...]
    gaps: tuple[Gap, ...]
    missing: tuple[Words, ...]
    """Deliveries that were not made."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a page finds a delivery: `Frame` says what each is."""

    filename: str
    preview: str
    page: str
    href: str


@dataclass(slots=True)
class Shelf:
    """Where files come from and what people call them; gathers what the page needs beside it."""

    store: Store
    home: Home
    folder: Path
    files: Mapping[str, Path]
    platforms: Mapping[str, Delivery]
    stills: list[Still] = field(default_factory=list)
    previews: dict[str, Path] = field(default_factory=dict)
    """File name beside the page -> asset of the store."""

    def name(self, delivery: str) -> Words:
        """Return what people call a delivery."""
        found = self.platforms.get(delivery)
        return found.name if found else Words(zh=delivery, en=delivery)

    def covered(self, delivery: str) -> tuple[float, float, float, float]:
        """Return the shares of a delivery's sides that its platform's buttons may lie over."""
        if (found := self.platforms.get(delivery)) is None:
            return 0.0, 0.0, 0.0, 0.0
        box, width, height = found.safe, found.width, found.height
        return box.top / height, box.right / width, box.bottom / height, box.left / width

    def poster(self, key: str, port: str) -> str:
        """Return the address of a poster of what the node `key` gave at `port`."""
        path = self.store.output(key, port)
        return self.hang(Still(path.stem, path))

    def hang(self, still: Still) -> str:
        """Keep a still whose poster is to be drawn; return the poster's address on the page."""
        self.stills.append(still)
        return f"media/{still.poster}"

    def place(self, name: str, key: str, port: str) -> Place:
        """Return where the page finds a delivery, which is kept to be put there as `name`."""
        self.previews[name] = self.store.output(key, port)
        address, named = f"media/{quote(name)}", self.files.get(key)
        if named is None:
            return Place(name, address, address, address)
        return Place(named.name, address, address, quote(os.path.relpath(named, self.folder)))


def read_cards(run: Run, shelf: Shelf) -> tuple[Card, ...]:
    """Return one card a shot, in the run's order.

    Raises:
        KeyError: where an entry that was made has no record in the store.
        BadFile: where a record or an asset of the store is damaged.
    """
    entries: dict[str, list[Entry]] = {shot: [] for shot in run.shots}
    for entry in run.entries:
        entries[entry.place.shot].append(entry)
    return tuple(
        _card(f"shot-{number}", shot, run.shots[shot], members, shelf)
        for number, (shot, members) in enumerate(entries.items(), start=1)
    )


def _card(
    anchor: str, shot: str, told: Mapping[str, Json], entries: list[Entry], shelf: Shelf
) -> Card:
    finished = [
        (entry, shelf.store.record(entry.key))
        for entry in entries
        if entry.state in ("made", "cached")
    ]
    last = {entry.place.delivery: entry for entry in entries}  # gives the delivery's files
    frames = {
        entry.place.delivery: _frame(entry, record, port, asset, shelf)
        for entry, record in finished
        for port, asset in record.outputs.items()
        if last[entry.place.delivery] is entry and entry.place.delivery
        if asset.kind in ("clip", "image")
    }
    for entry, record in finished:
        if "caption" in record.outputs and entry.place.delivery in frames:
            frame = frames[entry.place.delivery]
            frames[entry.place.delivery] = replace(frame, caption=_caption(record))
    moves = not frames or any(frame.kind == "clip" for frame in frames.values())
    face = min(frames.values(), key=_unlike_a_tile, default=None)
    product = told.get("product")
    product = product if isinstance(product, dict) else {"id": shot.split("/")[0]}
    asked = dict.fromkeys(entry.place.delivery for entry in entries if entry.place.delivery)
    return Card(
        anchor=anchor,
        shot=shot,
        product=str(product.get("id", "")),
        name=_words(product.get("name") or product.get("id")),
        day=str(told.get("day") or ""),
        festival=_words(told.get("festival")),
        poster=(face.poster if face else "") or _stand_in(finished, shelf),
        clip=face.preview if face and face.kind == "clip" else "",
        prompts=_prompts(told.get("texts"), moves),
        notes=_notes(told.get("notes")),
        facts=tuple(_facts(told, finished, moves)),
        frames=tuple(frames.values()),
        gaps=tuple(_gaps(entries, shelf)),
        missing=tuple(shelf.name(delivery) for delivery in asked if delivery not in frames),
    )


def _unlike_a_tile(frame: Frame) -> float:
    return abs(math.log(frame.width / frame.height / TILE))


def _stand_in(finished: Finished, shelf: Shelf) -> str:
    """Return the poster of a shot without deliveries: its keyframe, or the user's own photo."""
    for entry, record in finished:
        for port, asset in record.outputs.items():
            if asset.kind == "image":
                return shelf.poster(entry.key, port)
    for _, record in finished:
        if (path := record.paths.get("image")) and (photo := shelf.home.inside(path)).is_file():
            return shelf.hang(Still(record.key, photo))
    return ""


def _frame(entry: Entry, record: Record, port: str, asset: Asset, shelf: Shelf) -> Frame:
    # 48 letters of up to 3 bytes, with the rest, stay below the 255 that a file name may have.
    readable = re.sub(r"[^\w.-]+", "-", entry.place.shot)[:48]
    preview = f"{readable}-{entry.place.delivery}-{asset.sha256[:8]}{asset.suffix}"
    place = shelf.place(preview, entry.key, port)
    covers = [port for port, other in record.outputs.items() if other.kind == "cover"]
    still = port if asset.kind == "image" else next(iter(covers), "")
    return Frame(
        delivery=entry.place.delivery,
        name=shelf.name(entry.place.delivery),
        kind="clip" if asset.kind == "clip" else "image",
        width=asset.width,
        height=asset.height,
        seconds=asset.seconds,
        bytes=asset.bytes,
        poster=shelf.poster(entry.key, still) if still else "",
        preview=place.preview,
        page=place.page,
        href=place.href,
        filename=place.filename,
        covered=shelf.covered(entry.place.delivery),
    )


def _caption(record: Record) -> tuple[str, ...]:
    """Return title and text; hashtags that have a field of their own come last."""
    said = record.recipe["params"]
    told = said if isinstance(said, dict) else {}
    text, tags = str(told.get("text") or ""), told.get("hashtags")
    named = [f"#{tag}" for tag in tags] if isinstance(tags, list) else []
    apart = [tag for tag in named if tag not in text]
    return tuple(filter(None, (str(told.get("title") or ""), text, " ".join(apart))))


def _facts(
    told: Mapping[str, Json], finished: Finished, moves: bool
) -> Iterator[tuple[Words, Words]]:
    axes = told.get("axes")
    extra = axes if isinstance(axes, dict) else {}
    words = {name: value for name, value in extra.items() if name not in ("product", "day")}
    words |= {name: told.get(name) for name in ("motion", "seed", "template")}
    for name, value in words.items():
        if value is not None and (moves or name != "motion"):
            yield term(name), term(str(value))
    for stage in dict.fromkeys(entry.place.stage for entry, _ in finished):
        drawn = [record for entry, record in finished if entry.place.stage == stage]
        if drawn[0].recipe["model"]:
            yield term(stage), _drawn(drawn)
    if spent := sum(entry.seconds for entry, _ in finished if entry.state == "made"):
        yield term("took"), duration(spent)


def _drawn(records: Sequence[Record]) -> Words:
    """Return what the pictures or clips of a stage were drawn with: model, steps, sizes."""
    params, notes = records[0].recipe["params"], records[0].notes
    assets = [next(iter(record.outputs.values())) for record in records]
    parts = [term(str(notes["model"]))] if "model" in notes else []
    if isinstance(params, dict) and "steps" in params:
        parts.append(Words(zh=f"{params['steps']} 步", en=f"{params['steps']} steps"))
    parts += [term(size) for size in dict.fromkeys(f"{a.width}×{a.height}" for a in assets)]
    if frames := assets[0].frames:
        parts.append(Words(zh=f"{frames} 帧", en=f"{frames} frames"))
    return Words(zh="，".join(part.zh for part in parts), en=", ".join(part.en for part in parts))


def _gaps(entries: list[Entry], shelf: Shelf) -> Iterator[Gap]:
    """Yield each reason once, with all the places it holds for; what only follows is not told."""
    failed: dict[tuple[str, str], list[Words]] = {}
    for entry in entries:
        if entry.state == "failed":
            place = entry.place
            where = shelf.name(place.delivery) if place.delivery else term(place.aspect)
            failed.setdefault((place.stage, entry.error), []).append(where)
    for (stage, reason), places in failed.items():
        yield Gap(term(f"{stage}-failed"), tuple(place for place in places if place.en), reason)


def _prompts(texts: Json, moves: bool) -> Mapping[str, str]:
    told = texts if isinstance(texts, dict) else {}
    return {port: str(text) for port, text in told.items() if moves or port != "motion"}


def _notes(notes: Json) -> tuple[str, ...]:
    return tuple(map(str, notes)) if isinstance(notes, list) else ()


def _words(value: Json) -> Words:
    if isinstance(value, dict):
        return Words(zh=str(value.get("zh") or ""), en=str(value.get("en") or ""))
    return Words(zh=str(value or ""), en=str(value or ""))
