"""What engineers see of a run in the Prefect UI: a progress bar while it runs, a table after."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import cast
from uuid import UUID

from prefect.artifacts import (
    create_progress_artifact,
    create_table_artifact,
    update_progress_artifact,
)

from catalogs.record import Run
from flows.progress import Totals

EVERY_SECONDS = 2.0
"""An update is a request to the server; people do not look more often."""


def progress(watch: Totals) -> Callable[[], None]:
    """Create the progress artifact and return what brings it up to date, when due."""
    artifact = cast(
        "UUID",  # the stub also covers callers in an event loop
        create_progress_artifact(0.0, key="campaign-progress", description="Nodes made"),
    )
    due = time.monotonic() + EVERY_SECONDS

    def show() -> None:
        nonlocal due
        if time.monotonic() >= due:
            due = time.monotonic() + EVERY_SECONDS
            update_progress_artifact(artifact, round(100 * watch.fraction(), 1))

    return show


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
    create_table_artifact(rows, key="campaign-deliveries", description=f"Run {run.id}")
