"""What goes along with packed files: tables for people and programs, and a calendar.

Knows nothing of stores and zips. Equal items give equal bytes.
"""

from __future__ import annotations

import csv
import datetime as dt
import hashlib
import io
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from icalendar import Calendar, Event

from catalogs.record import Asset
from configs.base import Json, Language, Words
from configs.campaign import Campaign
from tasks.said import CaptionFile

FORMULA = ("=", "+", "-", "@", "＝", "＋", "－", "＠", "\t", "\r")
"""Beginnings that a spreadsheet reads as an order (OWASP, "CSV injection"), full-width ones too."""

SLOT = dt.timedelta(minutes=15)
"""How long a date takes in the calendar: some calendars hide what takes no time."""

YEAR = dt.timedelta(days=366)


@dataclass(frozen=True, slots=True)
class Item:
    """One finished delivery of one shot, under its names for people."""

    shot: str
    delivery: str
    platform: Words
    product: Words
    day: dt.date
    at: dt.datetime | None
    """When it goes out, in the calendar's timezone; None where no time is set."""
    made: dt.datetime
    name: str
    asset: Asset
    cover_name: str
    cover: Asset | None
    caption: CaptionFile

    @property
    def language(self) -> Language:
        """In which product and platform are named: the caption's."""
        return self.caption.language

    def row(self) -> dict[str, Json]:
        """Return what the tables say of it."""
        asset, caption = self.asset, self.caption
        return {
            "date": self.day.isoformat(),
            "time": f"{self.at:%H:%M}" if self.at else "",
            "publish_at": self.at.isoformat() if self.at else "",
            "platform": self.delivery,
            "platform_name": self.platform.say(self.language),
            "shot": self.shot,
            "product": self.product.say(self.language),
            "file": self.name,
            "cover": self.cover_name,
            "title": caption.title,
            "text": caption.text,
            "hashtags": [f"#{tag}" for tag in caption.hashtags],
            "alt": caption.alt or self.product.say(self.language),
            "language": caption.language,
            "width": asset.width,
            "height": asset.height,
            "seconds": round(asset.seconds, 3),
            "fps": asset.fps,
            "bytes": asset.bytes,
            "mime": asset.mime,
            "sha256": asset.sha256,
            "cover_sha256": self.cover.sha256 if self.cover else "",
            "made": self.made.isoformat(),
        }


def as_csv(items: Sequence[Item]) -> bytes:
    """Return a table that Excel opens as it is: UTF-8 with its mark, no cell an order."""
    rows = [item.row() for item in items]
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(rows[0])
    for row in rows:
        writer.writerow([_cell(value) for value in row.values()])
    return text.getvalue().encode("utf-8-sig")


def _cell(value: Json) -> str:
    text = " ".join(map(str, value)) if isinstance(value, list) else str(value)
    return f"'{text}" if text.lstrip(" ").startswith(FORMULA) else text


def as_json(campaign: Campaign, items: Sequence[Item], missing: Iterable[tuple[str, str]]) -> bytes:
    """Return the same for programs, letter for letter as it is to be published.

    Args:
        campaign: whose files they are.
        items: of one platform.
        missing: shots that are not finished, each with its reason.
    """
    told = {
        "format": 1,
        "campaign": campaign.name,
        "title": campaign.title.model_dump(),
        "timezone": campaign.calendar.timezone,
        "platform": items[0].delivery,
        "files": [item.row() for item in items],
        "missing": [{"shot": shot, "reason": reason} for shot, reason in missing],
    }
    return f"{json.dumps(told, ensure_ascii=False, indent=1)}\n".encode()


def as_calendar(campaign: Campaign, items: Sequence[Item]) -> bytes:
    """Return an iCalendar (RFC 5545) with a date for each item; without a time it takes the day."""
    calendar = Calendar()
    calendar.add("prodid", "-//keyreel//publish calendar//EN")
    calendar.add("version", "2.0")
    calendar.add("x-wr-calname", campaign.name)
    for item in items:
        calendar.add_component(_event(campaign, item))
    days = [item.day for item in items]
    calendar.add_missing_timezones(min(days).replace(month=1, day=1), max(days) + YEAR)
    made: bytes = calendar.to_ical()
    return made


def _event(campaign: Campaign, item: Item) -> Event:
    caption = item.caption
    event = Event()
    named = f"{campaign.name}\n{item.shot}\n{item.delivery}"
    event.add("uid", f"{hashlib.sha256(named.encode()).hexdigest()[:32]}@keyreel")
    event.add("dtstamp", item.made)
    event.add("dtstart", item.at or item.day)
    event.add("duration", SLOT if item.at else dt.timedelta(days=1))
    what = caption.title or item.product.say(item.language)
    event.add("summary", f"{item.platform.say(item.language)} · {what}")
    event.add("description", "\n\n".join(filter(None, (item.name, caption.title, caption.text))))
    return event
