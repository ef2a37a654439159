"""What a gallery page shows: a run and its records, put in words for people.

Knows nothing of HTML. What a run tells of its shots is JSON that others may have written: each
value is read as what it should be, and left out where it is not.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal
from urllib.parse import quote

from catalogs.gallery.media import Still
from catalogs.gallery.words import duration, term
from catalogs.record import Asset, Entry, Record, Run
from catalogs.store import Store
from configs.base import Json, Words
from configs.errors import BadFile
from configs.home import Home

ALIKE = 0.36  # of log(width / height): 9:16 and 4:5 are alike, 4:5 and 16:9 are not
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
    """Empty where no picture of this shape was made: a clip then shows its own first frame."""
    preview: str
    """Beside the page: moves with it."""
    href: str
    """The delivery under its name for people."""
    filename: str


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
    prompts: Mapping[str, str]
    facts: tuple[tuple[Words, Words], ...]
    """What it was made with: a label and its value."""
    frames: tuple[Frame, ...]
    gaps: tuple[Gap, ...]
    missing: tuple[Words, ...]
    """Deliveries that were not made."""


@dataclass(slots=True)
class Shelf:
    """Where files come from and what people call them; gathers what the page needs beside it."""

    store: Store
    home: Home
    folder: Path
    files: Mapping[str, Path]
    names: Mapping[str, Words]
    stills: list[Still] = field(default_factory=list)
    previews: dict[str, Path] = field(default_factory=dict)
    """File name beside the page -> asset of the store."""

    def name(self, delivery: str) -> Words:
        """Return what people call a delivery."""
        return self.names.get(delivery) or Words(zh=delivery, en=delivery)


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
    stills = dict(_stills(finished, shelf))
    frames = {
        entry.place.delivery: _frame(entry, port, asset, stills, shelf)
        for entry, record in finished
        for port, asset in record.outputs.items()
        if entry.place.delivery and asset.kind in ("clip", "image")
    }
    shelf.stills.extend(stills.values())
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
        poster=_poster(stills, 4 / 5, math.inf),
        prompts=_prompts(told.get("texts")),
        facts=tuple(_facts(told, finished)),
        frames=tuple(frames.values()),
        gaps=tuple(_gaps(entries, shelf)),
        missing=tuple(shelf.name(delivery) for delivery in asked if delivery not in frames),
    )


def _stills(finished: Finished, shelf: Shelf) -> Iterator[tuple[float, Still]]:
    """Yield the pictures of a shot by width / height: its own photo, keyframes and covers.

    The photo's shape is not looked up: 0 is far from any other.
    """
    for entry, record in finished:
        if (path := record.paths.get("image")) and (own := shelf.home.inside(path)).is_file():
            yield 0.0, Still(_input_hash(record, "image"), own)
        for port, asset in record.outputs.items():
            if asset.kind in ("image", "cover"):
                still = Still(asset.sha256, shelf.store.output(entry.key, port))
                yield asset.width / asset.height, still


def _input_hash(record: Record, port: str) -> str:
    match record.recipe["inputs"]:
        case {**inputs} if isinstance(source := inputs[port], list):
            return str(source[1])  # ["file", sha256]
        case other:
            raise BadFile(f"record {record.key}: its inputs are {other!r}")


def _poster(stills: Mapping[float, Still], ratio: float, within: float) -> str:
    """Return the poster whose shape is nearest to `ratio`, if its log differs by less."""

    def distance(shape: float) -> float:
        return abs(math.log(shape / ratio)) if shape else 99.0

    best = min(stills, key=distance, default=0.0)
    near = best in stills and distance(best) <= within
    return f"media/{stills[best].poster}" if near else ""


def _frame(
    entry: Entry, port: str, asset: Asset, stills: Mapping[float, Still], shelf: Shelf
) -> Frame:
    # 48 letters of up to 3 bytes, with the rest, stay below the 255 that a file name may have.
    readable = re.sub(r"[^\w.-]+", "-", entry.place.shot)[:48]
    preview = f"{readable}-{entry.place.delivery}-{asset.sha256[:8]}{asset.suffix}"
    path = shelf.previews[preview] = shelf.store.output(entry.key, port)
    poster = _poster(stills, asset.width / asset.height, ALIKE)
    if asset.kind == "image":
        shelf.stills.append(own := Still(asset.sha256, path))
        poster = f"media/{own.poster}"
    named = shelf.files.get(entry.key)
    return Frame(
        delivery=entry.place.delivery,
        name=shelf.name(entry.place.delivery),
        kind="clip" if asset.kind == "clip" else "image",
        width=asset.width,
        height=asset.height,
        seconds=asset.seconds,
        bytes=asset.bytes,
        poster=poster,
        preview=f"media/{quote(preview)}",
        href=quote(os.path.relpath(named, shelf.folder) if named else f"media/{preview}"),
        filename=named.name if named else preview,
    )


def _facts(told: Mapping[str, Json], finished: Finished) -> Iterator[tuple[Words, Words]]:
    axes = told.get("axes")
    extra = axes if isinstance(axes, dict) else {}
    words = {name: value for name, value in extra.items() if name not in ("product", "day")}
    words |= {name: told.get(name) for name in ("motion", "seed", "template")}
    for name, value in words.items():
        if value is not None:
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


def _prompts(texts: Json) -> Mapping[str, str]:
    return {port: str(text) for port, text in texts.items()} if isinstance(texts, dict) else {}


def _words(value: Json) -> Words:
    if isinstance(value, dict):
        return Words(zh=str(value.get("zh") or ""), en=str(value.get("en") or ""))
    return Words(zh=str(value or ""), en=str(value or ""))
