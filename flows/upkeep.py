"""Looking after a home: collecting what nothing uses, and building the catalog anew."""

from __future__ import annotations

from catalogs import disk
from catalogs.catalog import Catalog
from catalogs.disk import GcPlan
from catalogs.store import Store
from configs.home import Home


def collect(home: Home, *, delete: bool) -> GcPlan:
    """Return what no campaign's latest run uses, deleted where asked for.

    Raises:
        BadInput: where something is to be deleted while a run goes on.
    """
    store = Store(home.store)
    planned = disk.gc(store, home.runs)
    if not delete:
        return planned
    done = disk.collect(store, home.runs, planned)
    Catalog(home.catalog, store).refresh()
    return done


def rebuild_catalog(home: Home) -> int:
    """Build the catalog from records and run files alone; return how many nodes it has."""
    catalog = Catalog(home.catalog, Store(home.store))
    count = catalog.rebuild(home.runs)
    catalog.publish()
    return count
