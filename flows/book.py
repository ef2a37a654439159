"""The book of one run: what is written down of it while it goes on, and at its end.

The run file, the catalog, deliveries under names for people, the gallery page. Knows nothing of
Prefect or of the order of work.
"""

from __future__ import annotations

import datetime as dt
import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from catalogs.catalog import Catalog
from catalogs.disk import check_space
from catalogs.durable import link, locked, remove, telling_of_space
from catalogs.gallery.page import write_gallery
from catalogs.node import Address
from catalogs.record import Asset, Entry, Place, Record, Run
from catalogs.runs import NAME, new_id, read_run, write_run
from catalogs.store import Store, in_use
from configs.base import Json
from configs.errors import BadFile
from configs.home import Home
from flows.approval import verdict_on
from flows.execute import Outcome, Work, group
from flows.facts import Resolved
from flows.plan import Plan
from flows.progress import Totals
from flows.shots import first_day
from tasks.stage import Studio, ran
from tasks.stages import STAGES

RUNNING = ".running"
"""In the folder of a run that goes on; the flock on it ends with the process."""

FEED_SECONDS = 3.0
"""Readers are promised a catalog at most 5 s stale; a feed of a few records takes 0.1 s."""


@dataclass(slots=True)
class Book:
    """What is written down of one run."""

    home: Home
    resolved: Resolved
    plan: Plan
    watch: Totals
    run: Run
    store: Store
    catalog: Catalog
    works: tuple[Work, ...]
    files: dict[str, Path] = field(default_factory=dict)
    """Deliveries under their names for people, by node key."""
    really: dict[str, str] = field(default_factory=dict)
    """`Studio.really`: by planned key, the key of what ran in its place."""
    fed: float = field(default_factory=time.monotonic)

    @classmethod
    @contextmanager
    def open(cls, home: Home, resolved: Resolved, plan: Plan, watch: Totals) -> Iterator[Book]:
        """Begin a run: sweep what a killed one left, and write down what is to be done.

        Raises:
            OutOfSpace: where the plan does not fit on the disk or into the home's quota.
        """
        check_space(home, plan.bytes)
        store = Store(home.store)
        store.root.mkdir(parents=True, exist_ok=True)
        store.sweep()
        works = group(plan.work(), {name: stage.lane for name, stage in STAGES.items()})
        watch.expect(works)
        catalog = Catalog(home.catalog, store)
        settle(home, store, catalog)
        book = cls(home, resolved, plan, watch, begin(resolved, plan), store, catalog, works)
        with telling_of_space(home.runs), going_on(home.runs / book.run.id, store):
            write_run(home.runs, book.run)
            yield book

    def studio(
        self, cancelled: Callable[[], bool], *, previews: bool = False, priority: int = 0
    ) -> Studio:
        """Return what the stages of this run work with."""
        return Studio(
            self.home,
            self.store,
            self.resolved.library.models,
            budget_gb=self.resolved.profile.budget_gb,
            offload=self.resolved.profile.offload,
            on_progress=self.watch.step,
            priority=priority,
            previews=previews,
            cancelled=cancelled,
            really=self.really,
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
        waiting = awaited(self.resolved, self.plan)
        state = "failed" if failed else "waiting" if waiting else "done"
        state = "interrupted" if interrupted else state
        self.run = self.run.model_copy(
            update={"state": state, "finished": now(), "entries": entries}
        )
        self.deliver()
        folder = self.home.runs / self.run.id
        platforms = self.resolved.library.deliveries
        write_gallery(
            self.run, self.store, self.home, folder, files=self.files, platforms=platforms
        )
        self.catalog.refresh(self.run)
        write_run(self.home.runs, self.run)  # last: a run that tells of its nodes told everyone
        return self.run

    def entry(self, address: Address, key: str, outcome: Outcome) -> Entry:
        """Return what became of the node at one address."""
        place = place_of(address)
        if key in outcome.errors:
            return Entry(place=place, key=key, state="failed", error=outcome.errors[key])
        if key in outcome.skipped:
            return Entry(place=place, key=key, state="skipped", error=outcome.skipped[key])
        key = ran(self.really, key)
        if not self.store.has(key):
            return Entry(place=place, key=key, state="planned", error=self.why(key))
        record = self.store.record(key)
        made = record.run == self.run.id
        return Entry(
            place=place,
            key=key,
            state="made" if made else "cached",
            seconds=record.seconds if made else 0.0,
        )

    def why(self, key: str) -> str:
        """Return why the node `key` may not be made yet, "" where it may."""
        if key not in self.plan.waits:
            return ""
        gate = self.plan.waits[key]
        return verdict_on(self.plan.nodes[gate], self.resolved.facts.verdicts.get(gate))

    def deliver(self) -> None:
        """Give finished deliveries their names for people, as links to the store's files."""
        with self.store.workspace() as desk:
            for address, planned in ends(self.plan).items():
                key = ran(self.really, planned)
                if not self.store.has(key):
                    continue
                record = self.store.record(key)
                files = delivery_files(self.home, self.run.campaign, address, record)
                for port, asset, target in files:
                    link(self.store.asset_path(asset), target, desk)
                    if port == "delivery":
                        self.files[key] = target


def awaited(resolved: Resolved, plan: Plan) -> set[str]:
    """Return the keys of the keyframes that nobody has judged, though something waits for it."""
    return set(plan.waits.values()) - resolved.facts.verdicts.keys()


@contextmanager
def going_on(folder: Path, store: Store) -> Iterator[None]:
    """Mark the run of this folder as going on; where it does not end well, the mark stays."""
    mark = folder / RUNNING
    with locked(store.lock, fcntl.LOCK_SH):
        folder.mkdir(parents=True)
        handle = os.open(mark, os.O_RDWR | os.O_CREAT, 0o644)
        fcntl.flock(handle, fcntl.LOCK_SH)
    try:
        yield
        mark.unlink()
    finally:
        os.close(handle)


def settle(home: Home, store: Store, catalog: Catalog) -> None:
    """Say of runs whose process died that they were interrupted; remove their half-made pages."""
    with locked(store.lock, fcntl.LOCK_EX):
        for folder in home.runs.glob("*"):
            with suppress(OSError):
                folder.rmdir()  # one that is empty was killed before it had its mark
        dead = [mark.parent for mark in home.runs.glob(f"*/{RUNNING}") if not in_use(mark)]
        for folder in dead:
            if _ended(home, catalog, folder.name):
                keep = {path for path in folder.iterdir() if path.name[0] != "."}
            else:
                keep = {folder / NAME}
            for left in set(folder.iterdir()) - keep - {folder / RUNNING}:
                remove(left)
            remove(folder / RUNNING)  # last: a kill in between is settled again
            if not any(folder.iterdir()):
                folder.rmdir()


def _ended(home: Home, catalog: Catalog, run_id: str) -> bool:
    """Say whether a dead run came to its end; where not, write down that it was interrupted."""
    try:
        run = read_run(home.runs, run_id)
    except BadFile:
        return False
    if run.state != "running":
        return True
    run = run.model_copy(update={"state": "interrupted", "finished": now()})
    catalog.feed_run(run)
    write_run(home.runs, run)
    return False


def begin(resolved: Resolved, plan: Plan) -> Run:
    """Return the run file of a run that begins now."""
    campaign = resolved.campaign
    return Run(
        id=new_id(campaign.name),
        campaign=campaign.name,
        title=campaign.title.model_dump(),
        state="running",
        started=now(),
        parameters=parameters(resolved),
        shots=plan.shots_json(),
        entries=tuple(
            Entry(place=place_of(address), key=key, state="planned")
            for address, key in plan.places.items()
        ),
    )


def place_of(address: Address) -> Place:
    """Return an address as run files and records have it."""
    return Place(
        stage=address.stage,
        shot=address.shot,
        aspect=address.aspect,
        delivery=address.delivery,
    )


def parameters(resolved: Resolved) -> dict[str, Json]:
    """Return what it takes to run the same again."""
    return {
        "file": resolved.loaded.path.name,
        "brand": resolved.campaign.brand.name,
        "allow": dict(resolved.campaign.brand.allow),
        "seed": resolved.facts.seed,
        "start": first_day(resolved.campaign.calendar, resolved.facts.today).isoformat(),
        "profile": resolved.profile_id,
        "pixels": dict(resolved.facts.pixels),
        "approve": resolved.campaign.approve,
    }


def ends(plan: Plan) -> dict[Address, str]:
    """Return the key at the last address of each delivery: it alone gives the delivery's files.

    What comes before lacks its label or its signature, and must not go out where these failed.
    """
    last = {
        (address.shot, address.delivery): (address, key)
        for address, key in plan.places.items()
        if address.delivery and "delivery" in STAGES[plan.nodes[key].kind].gives
    }
    return dict(last.values())


def delivered(home: Home, campaign: str, shot: str) -> Path:
    """Return the folder of a shot's deliveries: campaign, day, product and other axes."""
    product, day, *axes = shot.split("/")
    return home.deliveries / campaign / day / "-".join([product, *axes])


def delivery_files(
    home: Home, campaign: str, address: Address, record: Record
) -> Iterator[tuple[str, Asset, Path]]:
    """Yield the port, asset and name for people of each file of one delivery."""
    for port, asset in record.outputs.items():
        if asset.kind in ("image", "clip", "cover"):
            name = address.delivery if port == "delivery" else f"{address.delivery}-{port}"
            folder = delivered(home, campaign, address.shot)
            yield port, asset, folder / f"{name}{asset.suffix}"


def now() -> str:
    """Return the time, ISO 8601, UTC, to the second."""
    return dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
