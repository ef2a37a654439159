"""What is seen of a run in the Prefect UI: progress and previews while it runs, files after."""

from __future__ import annotations

import base64
import os
import re
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import copy_context
from pathlib import Path
from typing import cast
from uuid import UUID

import httpx
from prefect import get_run_logger
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
from catalogs.store import Store
from configs.home import Home
from flows.progress import Totals
from flows.watch import now, occupied
from tasks.photo import open_photo, small_jpeg

EVERY_SECONDS = 2.0
"""An update is a request to the server; people do not look more often."""
LAST_SECONDS = 10.0
"""For the last update, when the work is done."""
GALLERY = "KEYREEL_GALLERY"
"""The environment variable with the gallery site's address, where one runs."""
MOST_PICTURES = 24
"""Finished pictures that get an artifact of their own: the gallery shows all."""


def looked_at() -> bool:
    """Say whether a deployment's page shows this run: `keyreel run` has the terminal instead."""
    return deployment.get_id() is not None


@contextmanager
def live(watch: Totals, home: Home) -> Iterator[None]:
    """Show a run while the block works.

    From a thread of its own: while a killed server is started again, Prefect's client waits up to
    62 s for it, and work is not to wait for what people look at.

    Args:
        watch: the run's totals.
        home: whose resident processes are asked for their queue.
    """
    shown, over = _Live(watch, home), threading.Event()

    def show() -> None:
        while not over.wait(EVERY_SECONDS):
            _heard(shown.show)
        _heard(shown.show)

    # Which run an artifact belongs to is known by the context, which a thread begins without.
    thread = threading.Thread(target=copy_context().run, args=(show,), daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join(LAST_SECONDS)


def _heard(write: Callable[[], None]) -> bool:
    """Say whether the server took it."""
    try:
        write()
    except httpx.HTTPError:
        return False
    return True


class _Live:
    """A run's artifacts."""

    def __init__(self, watch: Totals, home: Home) -> None:
        self.watch, self.home = watch, home
        self.bar: UUID | None = None
        self.page: UUID | None = None
        self.looks: dict[str, UUID] = {}

    def show(self) -> None:
        """Bring all up to date."""
        self._bar()
        if looked_at():
            self._page()
            self._previews()

    def _bar(self) -> None:
        if self.bar is None:
            made = create_progress_artifact(0.0, key="campaign-progress", description="Nodes made")
            self.bar = cast("UUID", made)  # the stub also covers callers in an event loop
        done = round(100 * self.watch.fraction(), 1)
        update_progress_artifact(self.bar, done, description=self.watch.headline())

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


def table(run: Run, files: Mapping[str, Path], store: Store) -> None:
    """Create the final table: a row for every delivery, with its file and page or its reason.

    Args:
        run: what became of every node.
        files: deliveries under their names for people, by node key.
        store: which knows the gallery's name of each: the digest of its bytes.
    """
    if not _heard(lambda: _table(run, files, store)):
        get_run_logger().warning("the server did not answer: this run has no table there")


def _table(run: Run, files: Mapping[str, Path], store: Store) -> None:
    gallery = os.environ.get(GALLERY)

    def page(key: str) -> str:
        if key not in files or not gallery:
            return ""
        # Prefect's pages draw Markdown in a cell.
        return f"[open]({gallery}/assets/{store.record(key).outputs['delivery'].sha256})"

    rows = [
        {
            "shot": entry.place.shot,
            "delivery": entry.place.delivery,
            "state": entry.state,
            "page": page(entry.key),
            "reason": entry.error,
            "file": str(files.get(entry.key, "")),
        }
        for entry in run.entries
        if entry.key in files or (entry.place.delivery and entry.error)
    ]
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
