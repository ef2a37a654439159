"""A run's gallery: one folder that opens in any browser, offline, wherever it is moved.

Knows nothing of how pictures were made: it reads the run and the records.
"""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from catalogs.durable import link, telling_of_space
from catalogs.gallery import media, view, words
from catalogs.gallery.sheet import Cell, write_sheet
from catalogs.record import Run
from catalogs.store import Store
from configs.base import Words
from configs.delivery import Delivery
from configs.home import Home

HERE = Path(__file__).parent
FEW, SOME = 6, 24  # shots: above these the contact sheet's tiles get smaller
WEEK = range(4, 15)  # days: a row of the contact sheet that is one product's days
PINNED = 14  # choices: more make the filters too high to stay in view


@dataclass(frozen=True, slots=True)
class Axis:
    """A filter: its name, and the choices with their labels."""

    name: str
    choices: Mapping[str, Words]


def write_gallery(
    run: Run,
    store: Store,
    home: Home,
    folder: Path,
    *,
    files: Mapping[str, Path] | None = None,
    platforms: Mapping[str, Delivery] | None = None,
) -> Path:
    """Write the page of `run` with all it shows into `folder`, and return its `index.html`.

    Args:
        run: what was asked for and what became of it.
        store: holds the records and assets of every entry that was made or cached.
        home: where own photos and the cache of posters are.
        folder: the page, `contact-sheet.jpg` and `media/` go here.
        files: deliveries under their names for people, by node key; linked relatively.
        platforms: each delivery's name and safe box, by its id.

    Raises:
        KeyError: where an entry that was made has no record in the store.
        BadFile: where a record or an asset of the store is damaged.
        OutOfSpace: where the disk is full.
    """
    with telling_of_space(home.root):
        (folder / "media").mkdir(parents=True, exist_ok=True)
        shelf = view.Shelf(store, home, folder, files or {}, platforms or {})
        cards = view.read_cards(run, shelf)
        media.write_posters(shelf.stills, home.cache / "posters", folder / "media")
        for name, asset in shelf.previews.items():
            link(asset, folder / "media" / name, folder)
        columns = week_of(cards)
        cells = [_cell(card, folder) for card in cards]
        write_sheet(cells, folder / "contact-sheet.jpg", columns=columns)
        draft = folder / "index.html.part"
        draft.write_text(_render(run, cards, columns), encoding="utf-8")
        return draft.replace(folder / "index.html")  # last: a page that is there is whole


def _cell(card: view.Card, folder: Path) -> Cell:
    return Cell(folder / card.poster if card.poster else None, card.name, words.day(card.day))


def week_of(cards: Sequence[view.Card]) -> int:
    """Return the number of days where every product has the same ones, so that a row is a week."""
    days = len({card.day for card in cards})
    places = {(card.product, card.day) for card in cards}
    products = len({card.product for card in cards})
    full = len(places) == len(cards) == products * days
    return days if full and days in WEEK else 0


def _render(run: Run, cards: Sequence[view.Card], columns: int) -> str:
    frames = [frame for card in cards for frame in card.frames]
    style = (HERE / "style.css").read_text("utf-8") + _rules(frames, columns)
    script = (HERE / "script.js").read_text("utf-8")
    axes = axes_of(cards)
    return (
        _environment()
        .get_template("gallery.html.j2")
        .render(
            run=run,
            title=Words(zh=run.title.get("zh", run.campaign), en=run.title.get("en", run.campaign)),
            brand=str(run.parameters.get("brand") or run.campaign),
            span=words.span(sorted({card.day for card in cards})),
            cards=cards,
            axes=axes,
            pinned=sum(len(axis.choices) for axis in axes) <= PINNED,
            zones=any(any(frame.covered) for frame in frames),
            delivered=len(frames),
            failed=sum(bool(card.gaps) for card in cards),
            took=_took(run),
            week=bool(columns),
            density="few" if len(cards) <= FEW else "some" if len(cards) <= SOME else "many",
            style=Markup(style),
            script=Markup(script),
            style_hash=_hash(style),
            script_hash=_hash(script),
        )
    )


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("catalogs.gallery", ""),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(size=words.size, term=words.term, day=words.day)
    return environment


def _took(run: Run) -> Words | None:
    if not run.finished:
        return None
    took = dt.datetime.fromisoformat(run.finished) - dt.datetime.fromisoformat(run.started)
    return words.duration(took.total_seconds())


def axes_of(cards: Sequence[view.Card]) -> tuple[Axis, ...]:
    """Return the filters that have something to choose."""
    axes = (
        Axis("product", {card.product: card.name for card in cards}),
        Axis("day", {day: words.day(day) for day in sorted({card.day for card in cards})}),
        Axis("delivery", {item.delivery: item.name for card in cards for item in card.frames}),
    )
    return tuple(axis for axis in axes if len(axis.choices) > 1)


def _rules(frames: Sequence[view.Frame], columns: int) -> str:
    """Return the style rules that depend on the run: the page's policy refuses style attributes."""
    shapes = dict.fromkeys((frame.width, frame.height) for frame in frames)
    rules = [f".w{w}h{h} {{ --ratio: {w / h:.5f}; }}" for w, h in shapes]
    rules += dict.fromkeys(
        zone_rule(frame.delivery, frame.covered) for frame in frames if any(frame.covered)
    )
    return "\n".join([*rules, f".sheet {{ --columns: {columns}; }}", ""])


def zone_rule(delivery: str, covered: tuple[float, float, float, float]) -> str:
    """Return the rule that places the zone of a frame that the platform's buttons leave free."""
    inset = " ".join(f"{share:.3%}" for share in covered)
    return f'[data-delivery="{delivery}"] .zone {{ inset: {inset}; }}'


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
