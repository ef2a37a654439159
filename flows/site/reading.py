"""What the site knows of a home at a moment: the catalog's rows, the runs on disk, what goes on.

Reads the published copy of the catalog, which other processes replace; never the catalog itself.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from catalogs.catalog import Catalog
from catalogs.migrations import sql
from catalogs.query import ask
from catalogs.record import Asset, Entry, Run
from catalogs.runs import read_run
from catalogs.store import Store, in_use
from configs.base import Json
from configs.errors import BadFile, BadInput, KeyreelError
from configs.home import Home
from configs.library import Library
from flows.book import RUNNING
from flows.variant import changes_of

log = logging.getLogger(__name__)

Row = dict[str, Any]
STAMP_SECONDS = 0.5
"""For so long the home is taken to be as it was: a look at 1,000 runs takes 3 ms."""
NO_FILTER: dict[str, Json] = dict.fromkeys(
    (
        "asset",
        "aspect",
        "campaign",
        "delivery",
        "product",
        "run",
        "shot",
        "stage",
        "tag",
        "verdict",
        "words",
    ),
    "",
)


@dataclass(slots=True)
class Reading:
    """One home as the site's pages see it."""

    home: Home
    store: Store
    catalog: Catalog
    library: Library
    _stamp: str = ""
    _looked: float = 0.0

    @classmethod
    def open(cls, home: Home) -> Reading:
        """Return a reader of `home`, whose catalog is published where it never was."""
        store = Store(home.store)
        catalog = Catalog(home.catalog, store)
        catalog.refresh()
        return cls(home, store, catalog, Library.open(home))

    def stamp(self) -> str:
        """Return what changes whenever a page may: the copy's time and the runs that go on."""
        if time.monotonic() - self._looked > STAMP_SECONDS:
            live = ",".join(f"{name}{state}" for name, state in sorted(self.live().items()))
            self._stamp = f"{self.catalog.published.stat().st_mtime_ns:x} {live}"
            self._looked = time.monotonic()
        return self._stamp

    def rows(self, query: str, parameters: Mapping[str, Json] | None = None) -> list[Row]:
        """Return what a query of `catalogs/queries/` finds.

        Raises:
            KeyreelError: where the catalog cannot be read: the asker has done nothing wrong.
        """
        try:
            columns, found = ask(self.catalog.published, sql(query), parameters or {})
        except BadInput as error:
            log.warning("%s: %s", query, error)
            raise KeyreelError("the catalog cannot be read just now; try again") from None
        return [dict(zip(columns, row, strict=True)) for row in found]

    def assets(self, limit: int, offset: int = 0, **filters: Json) -> list[Row]:
        """Return assets that people look at, newest first; each row tells the `total`."""
        return self.rows("list_assets", NO_FILTER | filters | {"limit": limit, "offset": offset})

    def asset(self, digest: str) -> Row | None:
        """Return all that the catalog says of an asset; a delivery's own row comes first."""
        found = self.assets(20, asset=digest)
        return min(found, key=lambda row: not row["delivered"], default=None)

    def digest_of(self, key: str, port: str) -> str:
        """Return the SHA-256 of what the node `key` gave at `port`."""
        return self.store.record(key).outputs[port].sha256

    def changes(self, row: Row) -> dict[str, Json]:
        """Return what of an asset's recipe can be tried otherwise, with its values now."""
        try:
            return changes_of(self.store.record(row["node"]))
        except (KeyError, BadFile):
            return {}

    def file(self, row: Row) -> Path:
        """Return where an asset's bytes lie: by its hash alone, never by a path that is told.

        Raises:
            ValueError: where the catalog's hash or suffix is none.
        """
        suffix = Path(str(row["uri"])).suffix
        told = Asset(
            sha256=row["sha256"], kind=row["kind"], mime=row["mime"], bytes=row["bytes"],
            suffix=suffix,
        )  # fmt: skip
        return self.store.asset_path(told)

    def live(self) -> dict[str, str]:
        """Return the runs that did not end: `running`, or `interrupted` where the process died."""
        marks = self.home.runs.glob(f"*/{RUNNING}")
        return {mark.parent.name: "running" if in_use(mark) else "interrupted" for mark in marks}

    def run(self, run_id: str) -> Run:
        """Return a run as it stands: of one that goes on, what is finished already.

        Raises:
            BadFile: where there is none of this id.
        """
        if "/" in run_id or run_id.startswith("."):
            raise BadFile("no such run")
        run = read_run(self.home.runs, run_id)
        state = self.live().get(run_id, run.state) if run.state == "running" else run.state
        entries = tuple(map(self._entry, run.entries))
        return run.model_copy(update={"state": state, "entries": entries})

    def _entry(self, entry: Entry) -> Entry:
        """Return what became of a node since the run file was written: made, or collected."""
        held = self.store.has(entry.key)
        if entry.state == "planned" and held:
            return entry.model_copy(update={"state": "made"})
        if entry.state in ("made", "cached") and not held:
            return entry.model_copy(update={"state": "planned"})
        return entry

    def runs(self, limit: int, offset: int = 0, campaign: str = "") -> list[Row]:
        """Return the runs, newest first; those that go on are told from their files."""
        asked: dict[str, Json] = {"campaign": campaign, "run": "", "limit": limit, "offset": offset}
        told = self.rows("list_runs", asked)
        known = {row["id"] for row in told}
        going = [self._going(name) for name in self.live() if name not in known and not offset]
        rows = [row for row in going if row and campaign in ("", row["campaign"])]
        return sorted(rows, key=lambda row: str(row["started"]), reverse=True) + told

    def _going(self, run_id: str) -> Row | None:
        try:
            run = self.run(run_id)
        except BadFile:
            return None
        keys = {entry.key for entry in run.entries}
        done = {entry.key for entry in run.entries if entry.state in ("made", "cached")}
        return {
            "id": run.id, "campaign": run.campaign, "zh": run.title.get("zh"),
            "en": run.title.get("en"), "state": run.state, "started": run.started,
            "finished": None, "shots": len(run.shots), "failed": 0, "delivered": 0, "faces": [],
            "done": len(done), "total": len(keys),
        }  # fmt: skip
