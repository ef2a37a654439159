"""What of a run is ready to be published: each delivery's files under names for people.

Takes the last file of each delivery alone: what comes before may lack its label or signature.
"""

from __future__ import annotations

import datetime as dt
import re
import unicodedata
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from pydantic import ConfigDict, ValidationError

from catalogs.record import Entry, Run
from catalogs.store import Store
from configs.base import Declaration, Language, Words
from configs.campaign import Campaign
from configs.errors import BadFile, BadInput
from configs.library import Library
from flows.manifest import Item
from tasks.said import CaptionFile
from tasks.stages import STAGES

LONGEST = 200
"""Bytes of a name without number and suffix: disks take 255."""
_UNSAFE = re.compile(r"[^\w.-]+")

Spot = tuple[str, str]
"""Delivery and shot."""


@dataclass(frozen=True, slots=True)
class Gap:
    """A delivery of a shot that is not finished, and why."""

    delivery: str
    shot: str
    reason: str


class Shown(Declaration):
    """A product as a run file names it."""

    id: str
    name: Words


class Told(Declaration):
    """What a run file says of a shot, as far as it goes into tables."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    product: Shown
    day: dt.date
    language: Language


class Ready:
    """One run's deliveries on their way to names for people."""

    def __init__(self, campaign: Campaign, library: Library, run: Run, store: Store) -> None:
        self.campaign, self.library, self.run, self.store = campaign, library, run, store
        self.zone = ZoneInfo(campaign.calendar.timezone)
        self.names: set[str] = set()

    def sorted(self) -> tuple[list[Item], tuple[Gap, ...]]:
        """Return what is finished, by platform and day, and what is not."""
        files, captions = self.found()
        items: list[Item] = []
        gaps: list[Gap] = []
        for spot, entry in files.items():
            if self.store.has(entry.key):
                items.append(self.item(spot, entry, captions.get(spot)))
            else:
                gaps.append(Gap(*spot, self.reason(entry)))
        return sorted(items, key=lambda item: (item.delivery, item.day, item.shot)), tuple(gaps)

    def found(self) -> tuple[dict[Spot, Entry], dict[Spot, CaptionFile]]:
        """Return the last entry that gives each delivery's file, and each delivery's caption."""
        pipeline, _ = self.library.pipeline(self.campaign.pipeline)
        kinds = {stage.id: STAGES[stage.kind] for stage in pipeline.stages}
        files: dict[Spot, Entry] = {}
        captions: dict[Spot, CaptionFile] = {}
        for entry in self.run.entries:
            spot, stage = (entry.place.delivery, entry.place.shot), kinds.get(entry.place.stage)
            if stage is None or not entry.place.delivery:
                continue
            if "delivery" in stage.gives:
                files[spot] = entry
            elif "caption" in stage.gives and self.store.has(entry.key):
                params = self.store.record(entry.key).recipe["params"]
                captions[spot] = CaptionFile.model_validate(params)
        return files, captions

    def reason(self, entry: Entry) -> str:
        """Return why a delivery is missing: what failed of its shot, where something did."""
        failed = [
            other.error
            for other in self.run.entries
            if other.state == "failed"
            and other.place.shot == entry.place.shot
            and other.place.delivery in ("", entry.place.delivery)
        ]
        return next(iter(failed), "") or entry.error or "not made yet"

    def item(self, spot: Spot, entry: Entry, caption: CaptionFile | None) -> Item:
        """Return one finished delivery."""
        delivery, shot = spot
        record = self.store.record(entry.key)
        asset, cover = record.outputs["delivery"], record.outputs.get("cover")
        told = self.told(shot)
        day, caption = told.day, caption or CaptionFile(language=told.language)
        axes = [part for part in shot.split("/") if part != day.isoformat()]
        base = self.base("-".join([day.isoformat(), *axes, delivery]))
        row = self.library.deliveries.get(delivery)
        return Item(
            shot=shot,
            delivery=delivery,
            platform=row.name if row else Words(zh=delivery, en=delivery),
            product=told.product.name,
            day=day,
            at=self.moment(day, delivery),
            made=dt.datetime.fromisoformat(record.started),
            name=f"{base}{asset.suffix}",
            asset=asset,
            cover_name=f"{base}-cover{cover.suffix}" if cover else "",
            cover=cover,
            caption=caption,
        )

    def told(self, shot: str) -> Told:
        """Return what the run file says of a shot."""
        try:
            return Told.model_validate(self.run.shots[shot])
        except (KeyError, ValidationError) as error:
            raise BadFile(f"run {self.run.id}: shot {shot!r} is damaged: {error}") from None

    def moment(self, day: dt.date, delivery: str) -> dt.datetime | None:
        """Return when a delivery goes out; BadInput where clocks leap over that time."""
        clock = self.campaign.publish.get(delivery)
        if clock is None:
            return None
        moment = dt.datetime.combine(day, dt.time.fromisoformat(clock), self.zone)
        if moment.astimezone(dt.UTC).astimezone(self.zone).time() != moment.time():
            zone = self.campaign.calendar.timezone
            raise BadInput(f"publish.{delivery}: {clock} does not exist on {day} in {zone}")
        return moment

    def base(self, wanted: str) -> str:
        """Return a file name, without suffix, that no other file has; case does not count."""
        name, number = safe(wanted), 1
        while name.casefold() in self.names:
            number += 1
            name = f"{safe(wanted)}-{number}"
        self.names.add(name.casefold())
        return name


def safe(name: str) -> str:
    """Return a name that stays in its folder and that every filesystem takes."""
    plain = _UNSAFE.sub("-", unicodedata.normalize("NFC", name))
    return plain.encode()[:LONGEST].decode(errors="ignore").strip(".-_") or "file"
