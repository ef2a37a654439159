"""The catalog: a DuckDB index over the store that people query, and that can always be rebuilt.

One process at a time has the file open, under a lock held from connect to close; readers have a
published copy. Knows nothing of campaigns' meaning: that is in records and run files.
"""

from __future__ import annotations

import fcntl
import logging
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import duckdb

from catalogs.durable import locked
from catalogs.feed import index_records
from catalogs.migrations import migrate
from catalogs.record import Record
from catalogs.store import Store
from configs.errors import BadFile

log = logging.getLogger(__name__)

OFFLINE: dict[str, str | bool | int | float | list[str]] = {
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
}


class Catalog:
    """The index of one home.

    Args:
        folder: Where `catalog.duckdb` and its published copy lie.
        store: Whose inbox it is fed from.
    """

    def __init__(self, folder: Path, store: Store) -> None:
        self.folder, self.store = folder, store
        self.path, self.published = folder / "catalog.duckdb", folder / "published.duckdb"
        self.lock = folder / "lock"

    @contextmanager
    def _open(self) -> Iterator[duckdb.DuckDBPyConnection]:
        self.folder.mkdir(parents=True, exist_ok=True)
        with locked(self.lock, fcntl.LOCK_EX), closing(self._connect()) as connection:
            migrate(connection)
            yield connection

    def _connect(self) -> duckdb.DuckDBPyConnection:
        try:
            return duckdb.connect(self.path, config=OFFLINE)
        except duckdb.Error as error:
            raise BadFile(f"{self.path}: {error}; run `keyreel catalog rebuild`") from None

    def feed(self) -> int:
        """Index what was finished since the last feed; return how many nodes.

        The inbox entries go last: after a kill at any instant, the next feed does the same again.
        """
        keys = sorted(entry.name for entry in self.store.inbox.glob("*"))
        records = list(self._finished(keys))
        if not records:
            return 0
        with self._open() as connection:
            connection.begin()
            index_records(connection, records)
            connection.commit()
        self.store.at("indexed")
        for record in records:
            (self.store.inbox / record.key).unlink(missing_ok=True)
        return len(records)

    def _finished(self, keys: list[str]) -> Iterator[Record]:
        """Yield the records of `keys` that are there; an entry may come before its record."""
        for key in keys:
            try:
                yield self.store.record(key)
            except KeyError:
                continue
            except BadFile as error:
                log.warning("%s", error)
