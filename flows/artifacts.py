"""What is seen of a run in the Prefect UI: progress and previews while it runs, files after."""

from __future__ import annotations

import base64
import os
import re
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import cast
from uuid import UUID

from prefect.artifacts import (
    create_image_artifact,
    create_markdown_artifact,
    create_progress_artifact,
    create_table_artifact,
    update_progress_artifact,
)
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import ArtifactUpdate
from prefect.runtime import deployment

from catalogs.record import Run
from configs.home import Home
from flows.progress import Totals
from flows.watch import now, occupied
from tasks.photo import open_photo, small_jpeg

EVERY_SECONDS = 2.0
"""An update is a request to the server; people do not look more often."""
GALLERY = "KEYREEL_GALLERY"
"""The environment variable with the gallery site's address, where one runs."""
MOST_PICTURES = 24
"""Finished pictures that get an artifact of their own: the gallery shows all."""


def looked_at() -> bool:
    """Say whether a deployment's page shows this run: `keyreel run` has the terminal instead."""
    return deployment.get_id() is not None


class Live:
    """A run's artifacts, brought up to date while it runs.

    Args:
        watch: the run's totals.
        home: whose resident processes are asked for their queue.
    """

    def __init__(self, watch: Totals, home: Home) -> None:
        self.watch, self.home = watch, home
        self.bar = cast(
            "UUID",  # the stub also covers callers in an event loop
            create_progress_artifact(0.0, key="campaign-progress", description="Nodes made"),
        )
        self.page: UUID | None = None
        self.looks: dict[str, UUID] = {}
        self.due = 0.0

    def show(self, *, last: bool = False) -> None:
        """Bring all up to date, where that is due, or for the last time."""
        if time.monotonic() < self.due and not last:
            return
        self.due = time.monotonic() + EVERY_SECONDS
        update_progress_artifact(
            self.bar, round(100 * self.watch.fraction(), 1), description=self.watch.headline()
        )
        if looked_at():
            self._page()
            self._previews()

    def _page(self) -> None:
        said = now(self.watch, occupied(self.home))
        if self.page is None:
            made = create_markdown_artifact(
                said, key="campaign-now", description="What is going on"
            )
            self.page = cast("UUID", made)
        else:
            update(self.page, said)

    def _previews(self) -> None:
        for name, (done, total, jpeg) in self.watch.previews().items():
            said = f"{name}, as it looked at step {done} of {total}"
            if name in self.looks:
                update(self.looks[name], inline(jpeg), said)
            else:
                key = keyed("preview", name)
                made = create_image_artifact(inline(jpeg), key=key, description=said)
                self.looks[name] = cast("UUID", made)


def update(artifact: UUID, data: str, description: str | None = None) -> None:
    """Put other data into an artifact."""
    told = {"data": data} | ({"description": description} if description else {})
    with get_client(sync_client=True) as client:
        client.update_artifact(artifact, ArtifactUpdate.model_validate(told))


def inline(jpeg: bytes) -> str:
    """Return a picture as an address that holds it: shown whether or not a gallery site runs."""
    return f"data:image/jpeg;base64,{base64.b64encode(jpeg).decode()}"


def keyed(kind: str, name: str) -> str:
    """Return an artifact's key: Prefect takes lower-case letters, digits and dashes."""
    return re.sub(r"[^a-z0-9]+", "-", f"{kind}-{name}".lower()).strip("-")


def table(run: Run, files: Mapping[str, Path]) -> None:
    """Create the final table: a row for every delivery, with its file or its reason.

    Args:
        run: what became of every node.
        files: deliveries under their names for people, by node key.
    """
    rows = [
        {
            "shot": entry.place.shot,
            "delivery": entry.place.delivery,
            "state": entry.state,
            "file": str(files.get(entry.key, "")),
            "reason": entry.error,
        }
        for entry in run.entries
        if entry.key in files or (entry.place.delivery and entry.error)
    ]
    gallery = os.environ.get(GALLERY)
    said = f"Run {run.id}" + (f": {gallery}/runs/{run.id}" if gallery else "")
    create_table_artifact(rows, key="campaign-deliveries", description=said)
    if looked_at():
        pictures([files[row] for row in dict.fromkeys(e.key for e in run.entries) if row in files])


def pictures(files: Sequence[Path]) -> None:
    """Create an image artifact for each finished file: itself, or its cover."""
    for path in files[:MOST_PICTURES]:
        still = path if path.suffix != ".mp4" else path.with_name(f"{path.stem}-cover.jpg")
        if still.exists():
            product, name = path.parent.name, path.stem
            create_image_artifact(
                inline(small_jpeg(open_photo(still), 480)),
                key=keyed("picture", f"{path.parent.parent.name}-{product}-{name}"),
                description=f"{product}, {name}: {path}",
            )
