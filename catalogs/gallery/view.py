"""What a gallery page shows: a run and its records, put in words for people.

Knows nothing of HTML. A shot's values come from files that others may have written, so each is
read as what it should be, and left out where it is not.
"""

from __future__ import annotations

import datetime as dt
import math
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal
from urllib.parse import quote

from catalogs.gallery.media import Still
from catalogs.record import Asset, Entry, Record, Run
from catalogs.store import Store
from configs.base import Json, Words
from configs.errors import BadFile
from configs.home import Home


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
    preview: str
    """Beside the page: moves with it."""
    href: str
    """The delivery under its name for people."""
    filename: str


@dataclass(frozen=True, slots=True)
class Gap:
    """Something of a shot that was not made, and why."""

    stage: str
    where: str
    state: str
    error: str


@dataclass(frozen=True, slots=True)
class Card:
    """One shot."""

    anchor: str
    shot: str
    product: str
    name: Words
    day: str
    weekday: str
    festival: Words
    poster: str
    prompts: Mapping[str, str]
    facts: tuple[tuple[str, str], ...]
    """What it was made with: a word of the page's vocabulary, and its value."""
    frames: tuple[Frame, ...]
    gaps: tuple[Gap, ...]


@dataclass(slots=True)
class Shelf:
    """The files that the page needs beside it, gathered while its cards are read."""

    store: Store
    home: Home
    folder: Path
    files: Mapping[str, Path]
    names: Mapping[str, Words]
    stills: list[Still] = field(default_factory=list)
    previews: dict[str, Path] = field(default_factory=dict)
    """File name beside the page -> asset of the store."""


def read_cards(run: Run, shelf: Shelf) -> tuple[Card, ...]:
    """Return one card a shot, in the run's order."""
    entries: dict[str, list[Entry]] = {shot: [] for shot in run.shots}
    for entry in run.entries:
        entries.setdefault(entry.place.shot, []).append(entry)
    return tuple(
        _card(f"shot-{number}", shot, run.shots.get(shot, {}), members, shelf)
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
    shelf.stills.extend(stills.values())
    frames = {
        entry.place.delivery: _frame(entry, port, asset, stills, shelf)
        for entry, record in finished
        for port, asset in record.outputs.items()
        if entry.place.delivery and asset.kind in ("clip", "image")
    }
    product = told.get("product")
    product = product if isinstance(product, dict) else {"id": shot.split("/")[0]}
    return Card(
        anchor=anchor,
        shot=shot,
        product=str(product.get("id", "")),
        name=_words(product.get("name") or product.get("id")),
        day=str(told.get("day") or ""),
        weekday=str(told.get("weekday") or "")[:3].lower(),
        festival=_words(told.get("festival")),
        poster=_nearest(stills, 4 / 5),
        prompts=_prompts(told.get("texts")),
        facts=tuple(_facts(told, finished)),
        frames=tuple(frames.values()),
        gaps=tuple(_gaps(entries)),
    )


def _stills(finished: list[tuple[Entry, Record]], shelf: Shelf) -> Iterator[tuple[float, Still]]:
    """Yield the pictures of a shot by width / height: its own photos, keyframes and covers."""
    for entry, record in finished:
        for port, path in record.paths.items():
            own = shelf.home.inside(path)
            if port == "image" and own.is_file():
                yield 0.0, Still(_input_hash(record, port), own)
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


def _nearest(stills: Mapping[float, Still], ratio: float) -> str:
    """Return the poster whose shape is nearest to `ratio`; a photo of unknown shape comes last."""
    known = [shape for shape in stills if shape]
    best = min(known, key=lambda shape: abs(math.log(shape / ratio)), default=0.0)
    return f"media/{stills[best].poster}" if best in stills else ""


def _frame(
    entry: Entry, port: str, asset: Asset, stills: Mapping[float, Still], shelf: Shelf
) -> Frame:
    preview = f"{asset.sha256[:20]}{asset.suffix}"
    shelf.previews[preview] = shelf.store.output(entry.key, port)
    named = shelf.files.get(entry.key)
    return Frame(
        delivery=entry.place.delivery,
        name=shelf.names.get(entry.place.delivery) or _words(entry.place.delivery),
        kind="clip" if asset.kind == "clip" else "image",
        width=asset.width,
        height=asset.height,
        seconds=asset.seconds,
        bytes=asset.bytes,
        poster=_nearest(stills, asset.width / asset.height),
        preview=f"media/{preview}",
        href=quote(os.path.relpath(named, shelf.folder)) if named else f"media/{preview}",
        filename=named.name if named else preview,
    )


def _facts(
    told: Mapping[str, Json], finished: list[tuple[Entry, Record]]
) -> Iterator[tuple[str, str]]:
    for word in ("motion", "seed", "template"):
        if told.get(word) not in (None, ""):
            yield word, str(told[word])
    drawn: dict[str, str] = {}
    for entry, record in finished:
        if record.recipe.get("model"):
            drawn.setdefault(entry.place.stage, _drawn(record))
    yield from drawn.items()
    if spent := sum(entry.seconds for entry, _ in finished if entry.state == "made"):
        yield "took", duration(spent)


def _drawn(record: Record) -> str:
    """Return what a picture or clip was drawn with, e.g. `mini-image · 8 steps · 384x384`."""
    params = record.recipe.get("params")
    steps = params.get("steps") if isinstance(params, dict) else None
    asset = next(iter(record.outputs.values()))
    parts = [
        str(record.notes.get("model", "")),
        f"{steps} steps" if steps else "",
        f"{asset.width}×{asset.height}" if asset.width else "",
        f"{asset.frames} frames" if asset.frames else "",
    ]
    return " · ".join(part for part in parts if part)


def _gaps(entries: list[Entry]) -> Iterator[Gap]:
    """Yield each reason once, with all the places it holds for; what only follows is not told."""
    failed: dict[tuple[str, str], list[str]] = {}
    for entry in entries:
        if entry.state == "failed":
            where = entry.place.delivery or entry.place.aspect
            failed.setdefault((entry.place.stage, entry.error), []).append(where)
    for (stage, error), places in failed.items():
        yield Gap(stage, ", ".join(place for place in places if place), "failed", error)
    if not failed and any(entry.state in ("planned", "skipped") for entry in entries):
        yield Gap("", "", "planned", "")


def _prompts(texts: Json) -> Mapping[str, str]:
    return {port: str(text) for port, text in texts.items()} if isinstance(texts, dict) else {}


def _words(value: Json) -> Words:
    if isinstance(value, dict):
        return Words(zh=str(value.get("zh") or ""), en=str(value.get("en") or ""))
    return Words(zh=str(value or ""), en=str(value or ""))


def duration(seconds: float) -> str:
    """Return a time in the two largest units that matter, e.g. `2 min 14 s`."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


def elapsed(run: Run) -> str:
    """Return the wall time of a run, or nothing while it goes on."""
    if not run.finished:
        return ""
    took = dt.datetime.fromisoformat(run.finished) - dt.datetime.fromisoformat(run.started)
    return duration(took.total_seconds())


def size(count: int) -> str:
    """Return a number of bytes in the unit people use for files, e.g. `3.2 MB`."""
    return f"{count / 1e6:.1f} MB" if count >= 1e6 else f"{max(1, round(count / 1e3))} kB"
