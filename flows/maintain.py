"""Flows that look after a home and its GPU: weights loaded or put out, catalog and disk kept."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Annotated, Any

from prefect import flow, get_run_logger
from prefect.artifacts import create_table_artifact
from prefect.client.schemas.objects import State

from configs.base import Json
from configs.home import Home
from flows import resident
from flows.notify import TROUBLE
from flows.offers import Offers, profiles, titled
from flows.refusal import in_words
from flows.upkeep import collect, rebuild_catalog


@flow(name="gpu-prewarm", persist_result=False, **TROUBLE)
def gpu_prewarm(
    profile: Annotated[str, Offers(profiles), titled("Machine")] = "auto",
) -> State[Any] | None:
    """Load the models before work arrives, into the resident GPU process.

    Args:
        profile: Which machine's models; “auto”: what suits this one.
    """
    said = "%s: %.1f GB held, loading took %.1f s"
    return in_words(lambda: _tell(said, resident.warm(Home.find(), profile)))


@flow(name="gpu-release", persist_result=False, **TROUBLE)
def gpu_release() -> State[Any] | None:
    """Give the GPU's memory back: the resident process puts out what no work uses."""
    return in_words(lambda: _tell("%s: %.1f GB given back", resident.release(Home.find())))


def _tell(said: str, rows: Iterable[tuple[str | float, ...]]) -> None:
    for row in rows:
        get_run_logger().info(said, *row)


@flow(name="catalog-maintenance", persist_result=False, **TROUBLE)
def catalog_maintenance(
    delete: Annotated[bool, titled("Delete what nothing uses")] = False,
    rebuild: Annotated[bool, titled("Build the catalog anew")] = False,
) -> State[Any] | None:
    """Look after catalog and disk.

    Args:
        delete: Files that no campaign's latest run uses. Off: only say how much it is.
        rebuild: From the records on disk, where it was lost or is in doubt.
    """
    return in_words(lambda: _table(kept(Home.find(), delete, rebuild)))


def _table(found: Iterable[tuple[str, Json]]) -> None:
    rows = [{"what": what, "result": result} for what, result in found]
    for row in rows:
        get_run_logger().info("%s: %s", row["what"], row["result"])
    create_table_artifact(rows, key="catalog-maintenance", description="Catalog and disk")


def kept(home: Home, delete: bool, rebuild: bool) -> Iterator[tuple[str, Json]]:
    """Look after a home; yield what was looked at, and what came of it."""
    found = collect(home, delete=delete)
    words = "deleted" if delete else "that could be deleted"
    yield f"Files {words}", len(found.files)
    yield f"Space {words}", f"{found.bytes / 1e6:.1f} MB"
    yield "Finished nodes kept", found.kept
    if rebuild:
        yield "Nodes in the catalog, built anew", rebuild_catalog(home)
