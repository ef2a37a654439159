"""Flows that look after a home and its GPU: weights loaded or put out, catalog and disk kept."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from prefect import flow, get_run_logger
from prefect.artifacts import create_table_artifact

from configs.base import Json
from configs.home import Home
from flows import resident
from flows.offers import Offers, profiles, titled
from flows.upkeep import collect, rebuild_catalog


@flow(name="gpu-prewarm", persist_result=False)
def gpu_prewarm(profile: Annotated[str, Offers(profiles), titled("Machine")] = "auto") -> None:
    """Load the models before work arrives, into the resident GPU process.

    Args:
        profile: Which machine's models; “auto”: what suits this one.
    """
    for told in resident.warm(Home.find(), profile):
        get_run_logger().info("%s: %.1f GB held, loading took %.1f s", *told)


@flow(name="gpu-release", persist_result=False)
def gpu_release() -> None:
    """Give the GPU's memory back: the resident process puts out what no work uses."""
    for name, freed in resident.release(Home.find()):
        get_run_logger().info("%s: %.1f GB given back", name, freed)


@flow(name="catalog-maintenance", persist_result=False)
def catalog_maintenance(
    delete: Annotated[bool, titled("Delete what nothing uses")] = False,
    rebuild: Annotated[bool, titled("Build the catalog anew")] = False,
) -> None:
    """Look after catalog and disk.

    Args:
        delete: Files that no campaign's latest run uses. Off: only say how much it is.
        rebuild: From the records on disk, where it was lost or is in doubt.
    """
    rows = [
        dict(zip(("what", "result"), row, strict=True))
        for row in kept(Home.find(), delete, rebuild)
    ]
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
