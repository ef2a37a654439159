"""The book of one run: what is written down of it while it goes on, and at its end.

The run file, the catalog, deliveries under names for people, the gallery page. Knows nothing of
Prefect or of the order of work.
"""

from __future__ import annotations

import datetime as dt
import os
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from catalogs.catalog import Catalog
from catalogs.gallery.page import write_gallery
from catalogs.node import Address
from catalogs.record import Entry, Place, Run
from catalogs.runs import write_run
from catalogs.store import Store
from configs.base import Json
from configs.home import Home
from flows.execute import Outcome, Work, group
from flows.facts import Resolved
from flows.plan import Plan
from flows.progress import Watch
from tasks.stage import Studio
from tasks.stages import STAGES

FEED_SECONDS = 3.0
"""Readers are promised a catalog at most 5 s stale; a feed of a few records takes 0.1 s."""


@dataclass(slots=True)
class Book:
    """What is written down of one run."""

    home: Home
    resolved: Resolved
    plan: Plan
    watch: Watch
    run: Run
    store: Store
    catalog: Catalog
    works: tuple[Work, ...]
    files: dict[str, Path] = field(default_factory=dict)
    """Deliveries under their names for people, by node key."""
    fed: float = field(default_factory=time.monotonic)

    @classmethod
    @contextmanager
    def open(cls, home: Home, resolved: Resolved, plan: Plan, watch: Watch) -> Iterator[Book]:
        """Begin a run: sweep what a killed one left, and write down what is to be done."""
        store = Store(home.store)
        store.sweep()
        works = group(plan.work(), {name: stage.lane for name, stage in STAGES.items()})
        watch.expect(works)
        catalog = Catalog(home.catalog, store)
        book = cls(home, resolved, plan, watch, begin(resolved, plan), store, catalog, works)
        write_run(home.runs, book.run)
        yield book

    def studio(self, cancelled: Callable[[], bool]) -> Studio:
        """Return what the stages of this run work with."""
        return Studio(
            self.home,
            self.store,
            self.resolved.library.models,
            budget_gb=self.resolved.profile.budget_gb,
            on_progress=self.watch.step,
            cancelled=cancelled,
        )

    def tick(self) -> None:
        """Feed the catalog and publish it, where that is due."""
        if time.monotonic() - self.fed >= FEED_SECONDS:
            self.catalog.refresh()
            self.fed = time.monotonic()

    def close(self, outcome: Outcome, *, interrupted: bool) -> Run:
        """Write down what became of the run; deliver, feed the catalog, write the page."""
        entries = tuple(self.entry(place, key, outcome) for place, key in self.plan.places.items())
        failed = any(entry.state in ("failed", "skipped") for entry in entries)
        state = "interrupted" if interrupted else "failed" if failed else "done"
        self.run = self.run.model_copy(
            update={"state": state, "finished": now(), "entries": entries}
        )
        self.deliver()
        folder = write_run(self.home.runs, self.run)
        self.catalog.refresh(self.run)
        names = {name: found.name for name, found in self.resolved.library.deliveries.items()}
        write_gallery(self.run, self.store, self.home, folder, files=self.files, names=names)
        return self.run

    def entry(self, address: Address, key: str, outcome: Outcome) -> Entry:
        """Return what became of the node at one address."""
        place = Place(
            stage=address.stage,
            shot=address.shot,
            aspect=address.aspect,
            delivery=address.delivery,
        )
        if key in outcome.errors:
            return Entry(place=place, key=key, state="failed", error=outcome.errors[key])
        if key in outcome.skipped:
            return Entry(place=place, key=key, state="skipped", error=outcome.skipped[key])
        if not self.store.has(key):
            return Entry(place=place, key=key, state="planned")
        record = self.store.record(key)
        made = record.run == self.run.id
        return Entry(
            place=place,
            key=key,
            state="made" if made else "cached",
            seconds=record.seconds if made else 0.0,
        )

    def deliver(self) -> None:
        """Give finished deliveries their names for people, as links to the store's files."""
        for address, key in self.plan.places.items():
            if not address.delivery or not self.store.has(key):
                continue
            for port, asset in self.store.record(key).outputs.items():
                if asset.kind == "overlay":
                    continue
                name = address.delivery if port == "delivery" else f"{address.delivery}-{port}"
                target = delivered(self.home, self.run.campaign, address.shot) / (
                    name + asset.suffix
                )
                link(self.store.asset_path(asset), target)
                if port == "delivery":
                    self.files[key] = target


def begin(resolved: Resolved, plan: Plan) -> Run:
    """Return the run file of a run that begins now."""
    campaign = resolved.campaign
    return Run(
        id=f"{dt.datetime.now(dt.UTC):%Y%m%d-%H%M%S}-{campaign.name}-{secrets.token_hex(2)}",
        campaign=campaign.name,
        title=campaign.title.model_dump(),
        state="running",
        started=now(),
        parameters=parameters(resolved),
        shots=plan.shots_json(),
    )


def parameters(resolved: Resolved) -> dict[str, Json]:
    """Return what it takes to run the same again."""
    return {
        "file": resolved.loaded.path.name,
        "brand": resolved.campaign.brand.name,
        "seed": resolved.facts.seed,
        "start": min(shot.day.iso for shot in resolved.shots),
        "profile": resolved.profile_id,
        "pixels": dict(resolved.facts.pixels),
    }


def delivered(home: Home, campaign: str, shot: str) -> Path:
    """Return the folder of a shot's deliveries: campaign, day, product and other axes."""
    product, day, *axes = shot.split("/")
    return home.deliveries / campaign / day / "-".join([product, *axes])


def link(source: Path, target: Path) -> None:
    """Make `target` another name of `source`, at once, replacing what had that name."""
    if target.exists() and target.samefile(source):
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = target.with_name(f".{target.name}.{os.getpid()}")
    draft.unlink(missing_ok=True)
    draft.hardlink_to(source)
    draft.replace(target)


def now() -> str:
    """Return the time, ISO 8601, UTC, to the second."""
    return dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
