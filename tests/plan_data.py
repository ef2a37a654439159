"""The demo campaign in a home of its own, pinned so that its plan is the same on any machine."""

from __future__ import annotations

import copy
import datetime as dt
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml
from PIL import Image

from catalogs.node import InputFile
from configs.home import Home
from configs.library import SHIPPED
from flows.facts import Picture, Resolved
from flows.plan import Plan, plan
from flows.resolve import resolve

TODAY = dt.date(2026, 2, 24)
PINNED = {
    "logos": {"logo": InputFile("10" * 32, "brand/lumiere.png")},
    "fingerprints": {"mini-picture": "30" * 32, "mini-clip": "40" * 32},
    "pixels": {"device": "cpu", "dtype": "float32", "quantisation": "none", "attention": "native"},
}
"""Facts that differ from machine to machine, or with the version of Pillow."""

Brief = dict[str, Any]
Edit = Callable[[Brief], None]


@dataclass
class Desk:
    """A home with the demo campaign, planned again with one thing changed."""

    home: Home
    brief: Brief = field(init=False)

    def __post_init__(self) -> None:
        for folder in ("campaigns", "brand"):
            (self.home.root / folder).mkdir(parents=True)
        logo = Image.new("RGBA", (400, 120))
        logo.paste("maroon", (10, 10, 390, 110))
        logo.save(self.home.root / "brand/lumiere.png")
        Image.new("RGB", (900, 1200), "white").save(self.home.root / "brand/mug.jpg")
        self.brief = shipped("campaigns/demo")
        clip = shipped("models")["mini-clip"]
        # Fingerprints are pinned, so one folder of weights is hashed for both models.
        self.write("models", {"mini-clip": {**clip, "folder": "image"}})

    def write(self, name: str, value: object) -> Path:
        """Write one YAML file of the home."""
        path = self.home.root / f"{name}.yaml"
        path.parent.mkdir(exist_ok=True)
        path.write_text(yaml.safe_dump(value, allow_unicode=True, sort_keys=False), "utf-8")
        return path

    def edit(self, change: Edit) -> None:
        """Write the brief as `change` leaves it."""
        brief = copy.deepcopy(self.brief)
        change(brief)
        matched = brief["matrix"].get("product", "all")
        brief["overrides"] = [
            one
            for one in brief["overrides"]
            if matched == "all" or one["match"].get("product", matched[0]) in matched
        ]
        self.write("campaigns/demo", brief)

    def found(self, change: Edit = lambda _: None, **options: Any) -> Resolved:
        """Return the demo with an edited brief, as this machine resolves it."""
        self.edit(change)
        return resolve(self.home, "demo", **{"today": TODAY, "profile": "mini", **options})

    def resolve(self, change: Edit = lambda _: None, **options: Any) -> Resolved:
        """Return the demo with an edited brief, its facts pinned."""
        resolved = self.found(change, **options)
        photo = Picture(InputFile("20" * 32, "brand/mug.jpg"), 900, 1200)
        photos = dict.fromkeys(resolved.facts.photos, photo)
        return with_facts(resolved, photos=photos, **PINNED)

    def plan(self, change: Edit = lambda _: None, **options: Any) -> Plan:
        """Return the plan of the demo with an edited brief."""
        return plan(self.resolve(change, **options))


def shipped(name: str) -> Brief:
    """Return one of the package's YAML files, its values as plain text."""
    text = (SHIPPED / f"{name}.yaml").read_text("utf-8")
    return yaml.load(text, yaml.BaseLoader)


def with_facts(resolved: Resolved, **facts: Any) -> Resolved:
    """Return a campaign with other facts."""
    return replace(resolved, facts=replace(resolved.facts, **facts))


def after(done: Plan, resolved: Resolved) -> Plan:
    """Return the plan of `resolved` in a home where all of `done` was made."""

    def recipe(key: str) -> Mapping[str, Any]:
        return done.nodes[key].recipe()

    return plan(
        with_facts(resolved, held=set(done.nodes), previous=dict(done.places), recipe=recipe)
    )
