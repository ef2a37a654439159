"""A run's gallery: one folder that opens in any browser, offline, wherever it is moved.

Knows nothing of how pictures were made: it reads the run and the records.
"""

from __future__ import annotations

import base64
import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from catalogs.gallery import media, view
from catalogs.gallery.sheet import Cell, write_sheet
from catalogs.gallery.vocabulary import VOCABULARY
from catalogs.record import Run
from catalogs.store import Store
from configs.base import Words
from configs.home import Home

HERE = Path(__file__).parent
FEW, SOME = 6, 24  # shots: above these the contact sheet's tiles get smaller


@dataclass(frozen=True, slots=True)
class Axis:
    """A filter: its name, and the choices with their labels."""

    name: str
    choices: Mapping[str, str]


def write_gallery(
    run: Run,
    store: Store,
    home: Home,
    folder: Path,
    *,
    files: Mapping[str, Path] | None = None,
    names: Mapping[str, Words] | None = None,
) -> Path:
    """Write the page of `run` with all it shows into `folder`, and return its `index.html`.

    Args:
        run: what was asked for and what became of it.
        store: holds the records and assets of every entry that was made or cached.
        home: where own photos and the cache of posters are.
        folder: the page, `contact-sheet.jpg` and `media/` go here.
        files: deliveries under their names for people, by node key; linked relatively.
        names: what people call each delivery, by its id.
    """
    (folder / "media").mkdir(parents=True, exist_ok=True)
    shelf = view.Shelf(store, home, folder, files or {}, names or {})
    cards = view.read_cards(run, shelf)
    media.write_posters(shelf.stills, home.cache / "posters", folder / "media")
    for name, asset in shelf.previews.items():
        media.link(asset, folder / "media" / name)
    if cards:
        cells = [_cell(card, folder) for card in cards]
        write_sheet(cells, folder / "contact-sheet.jpg")
    page = folder / "index.html"
    page.write_text(_render(run, cards), encoding="utf-8")
    return page


def _cell(card: view.Card, folder: Path) -> Cell:
    return Cell(folder / card.poster if card.poster else None, card.name, card.day)


def _render(run: Run, cards: Sequence[view.Card]) -> str:
    frames = [frame for card in cards for frame in card.frames]
    style = Markup((HERE / "style.css").read_text("utf-8") + _shapes(frames))
    script = Markup((HERE / "script.js").read_text("utf-8"))
    environment = Environment(
        loader=PackageLoader("catalogs.gallery", ""),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["size"] = view.size
    environment.globals["vocabulary"] = VOCABULARY
    days = sorted({card.day for card in cards if card.day})
    return environment.get_template("gallery.html.j2").render(
        run=run,
        title=Words(**{"zh": run.campaign, "en": run.campaign, **run.title}),
        brand=str(run.parameters.get("brand") or ""),
        days=" – ".join(dict.fromkeys((days[0], days[-1]))) if days else "",
        cards=cards,
        axes=_axes(cards),
        delivered=len(frames),
        failed=sum(any(gap.state == "failed" for gap in card.gaps) for card in cards),
        took=view.elapsed(run),
        density="few" if len(cards) <= FEW else "some" if len(cards) <= SOME else "many",
        style=style,
        script=script,
        style_hash=_hash(style),
        script_hash=_hash(script),
    )


def _axes(cards: Sequence[view.Card]) -> tuple[Axis, ...]:
    products = {card.product: card.name.say("zh") for card in cards}
    days = {day: day for day in sorted({card.day for card in cards})}
    deliveries = {frame.delivery: frame.name.say("zh") for card in cards for frame in card.frames}
    return Axis("product", products), Axis("day", days), Axis("delivery", deliveries)


def _shapes(frames: Iterable[view.Frame]) -> str:
    """Return a rule for each shape: the security policy refuses style attributes."""
    shapes = Counter((frame.width, frame.height) for frame in frames)
    return "".join(f".w{w}h{h} {{ --ratio: {w / h:.5f}; }}\n" for w, h in shapes)


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
