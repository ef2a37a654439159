"""A run's page on the site: the gallery's cards, with files found by their hash."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from catalogs.gallery import view, words
from catalogs.gallery.media import Still
from catalogs.gallery.page import FEW, PINNED, SOME, WEEK, axes_of, week_of, zone_rule
from catalogs.record import Run
from configs.base import Words
from flows.site.reading import Reading


@dataclass(slots=True)
class Served(view.Shelf):
    """Names files by their bytes: the site looks them up."""

    def poster(self, key: str, port: str) -> str:
        """Return the address of a poster."""
        return f"/posters/{self.store.record(key).outputs[port].sha256}.jpg"

    def hang(self, still: Still) -> str:
        """Own photos lie outside the store: the site shows none."""
        return ""

    def place(self, name: str, key: str, port: str) -> view.Place:
        """Return where the site has a delivery."""
        digest = self.store.record(key).outputs[port].sha256
        saved = quote(name.rsplit(".", 1)[0])
        return view.Place(
            name, f"/files/{digest}", f"/assets/{digest}", f"/files/{digest}?name={saved}"
        )


def run_page(run: Run, reading: Reading) -> Mapping[str, Any]:
    """Return what the page of a run shows.

    Raises:
        BadFile: where a record of the store is damaged.
    """
    shelf = Served(reading.store, reading.home, reading.home.runs, {}, reading.library.deliveries)
    cards = view.read_cards(run, shelf)
    frames = [frame for card in cards for frame in card.frames]
    axes = axes_of(cards)
    keys = {entry.key: entry.state for entry in run.entries}
    columns = week_of(cards)
    return {
        "run": run,
        "file": str(run.parameters.get("file", "")).removesuffix(".yaml"),
        "title": Words(zh=run.title.get("zh", run.campaign), en=run.title.get("en", run.campaign)),
        "span": words.span(sorted({card.day for card in cards})),
        "cards": cards,
        "axes": axes,
        "pinned": sum(len(axis.choices) for axis in axes) <= PINNED,
        "zones": any(any(frame.covered) for frame in frames),
        "delivered": len(frames),
        "failed": sum(bool(card.gaps) for card in cards),
        "done": sum(state in ("made", "cached") for state in keys.values()),
        "total": len(keys),
        "columns": columns,
        "density": "few" if len(cards) <= FEW else "some" if len(cards) <= SOME else "many",
    }


def shapes(sizes: Iterable[tuple[int, int]], reading: Reading) -> str:
    """Return the style rules that depend on what is shown: the policy refuses style attributes."""
    rules = [f".w{w}h{h} {{ --ratio: {w / h:.5f}; }}" for w, h in sizes if w and h]
    shelf = Served(reading.store, reading.home, reading.home.runs, {}, reading.library.deliveries)
    rules += [zone_rule(name, shelf.covered(name)) for name in reading.library.deliveries]
    rules += [f".columns-{days} {{ --columns: {days}; }}" for days in WEEK]
    return "\n".join([*rules, ""])
