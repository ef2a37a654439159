"""The catalog: a DuckDB index over the store that people query, and that can always be rebuilt.

One process at a time has the file open, under a lock held from connect to close; readers have a
published copy. Knows nothing of what a campaign means: records and run files tell.
"""

from __future__ import annotations

import fcntl
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

import duckdb

from catalogs.ancestry import Ancestor, ancestry, key_of
from catalogs.durable import locked, telling_of_space
from catalogs.feed import batches, index, index_run
from catalogs.migrations import migrate
from catalogs.query import OFFLINE, Answer, ask
from catalogs.record import Run
from catalogs.runs import all_runs
from catalogs.store import Store
from configs.base import Json
from configs.errors import BadFile, KeyreelError, OutOfSpace

DAMAGE = (
    duckdb.IOException,
    duckdb.SerializationException,
    duckdb.InternalException,
    duckdb.FatalException,
)
"""What DuckDB raises over a file that is broken, newer than itself, or in use."""


class Catalog:
    """The index of one home.

    Args:
        folder: Where `catalog.duckdb` and its published copy lie.
        store: Whose inbox it is fed from.
    """

    def __init__(self, folder: Path, store: Store) -> None:
        self.folder, self.store = folder, store
        self.path, self.published = folder / "catalog.duckdb", folder / "published.duckdb"
        self.draft = folder / "draft.duckdb"
        self._current = False
        """Whether the file has this version's views: looked at once, as opening it takes 20 ms."""

    def feed(self) -> int:
        """Index what was finished since the last feed; return how much that was.

        The inbox entries go last: after a kill at any instant, the next feed does the same again.
        A catalog that is not there yet is made with all that the store has.
        """
        with self._locked():
            if self._absent():
                return self._make(())
            names = self._index(self.path, self.store.waiting())
            self.store.seen(names)
        return len(names)

    def feed_run(self, run: Run) -> None:
        """Index what a run file tells, in place of what it told before; and what was finished."""
        self.feed()
        with self._locked(), self._open(self.path) as connection:
            index_run(connection, run)

    def rebuild(self, runs: Path) -> int:
        """Make the catalog anew from records, reviews and the run files in `runs`.

        Returns:
            How many records and reviews it holds.
        """
        with self._locked():
            count = self._make(all_runs(runs))
        self.publish()
        return count

    def publish(self) -> None:
        """Give readers a consistent copy, where anything was indexed since the last one."""
        with self._locked():
            if self._absent():
                self._make(())
            if wal(self.path).exists() or self._stale() or not self._current:
                with self._open(self.path):
                    pass  # refuses a damaged file; closing writes the log of a killed process
            if self._stale():
                shutil.copy2(self.path, self.draft)
                self.draft.replace(self.published)

    def refresh(self, run: Run | None = None) -> None:
        """Index what is new, with `run` as it stands, and publish it."""
        if run:
            self.feed_run(run)
        else:
            self.feed()
        self.publish()

    def query(self, sql: str, parameters: Sequence[Json] = ()) -> Answer:
        """Return the columns and rows that one SELECT asks of a copy that is up to date.

        Raises:
            BadInput: where it is not one SELECT, or DuckDB refuses it: the message points.
        """
        self.refresh()
        return ask(self.published, sql, parameters)

    def key_of(self, asset: str) -> str:
        """Return the key of the node that made `asset`; see `show`."""
        return self._find(asset)[0]

    def show(self, asset: str) -> Ancestor:
        """Return the node that made `asset`, with everything it was made from.

        Args:
            asset: A file, or at least six hex digits that begin a SHA-256 or a node's key.

        Raises:
            BadInput: where nothing, or more than one thing, answers to it.
        """
        return ancestry(self.store, *self._find(asset))

    def _find(self, asset: str) -> tuple[str, str]:
        self.feed()
        with self._locked(), self._open(self.path) as connection:
            return key_of(connection, asset)

    def _make(self, runs: Iterable[Run]) -> int:
        """Make the catalog beside its place, and put it there when it is whole."""
        names = self._index(self.draft, self.store.known())
        with self._open(self.draft) as connection:
            for run in runs:
                index_run(connection, run)
        wal(self.path).unlink(missing_ok=True)  # or it would be replayed into the new file
        self.draft.replace(self.path)
        self.store.seen(names)
        return len(names)

    def _index(self, path: Path, names: Sequence[str]) -> list[str]:
        """Index what `names` stand for, as far as it is there; return the names of that."""
        indexed: list[str] = []
        for batch in batches(self.store, names):
            with self._open(path) as connection:
                index(connection, batch)
            indexed += batch.names()
        self.store.at("indexed")
        return indexed

    @contextmanager
    def _locked(self) -> Iterator[None]:
        with telling_of_space(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            with locked(self.folder / "lock", fcntl.LOCK_EX):
                for left in (self.draft, wal(self.draft)):
                    left.unlink(missing_ok=True)  # of a process that was killed
                yield

    @contextmanager
    def _open(self, path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
        """Yield a connection in a transaction, under the lock that the caller holds.

        Raises:
            BadFile: where the file is damaged, or open in a program that knows no lock.
        """
        try:
            with closing(duckdb.connect(path, config=OFFLINE)) as connection:
                migrate(connection)
                self._current = True
                connection.begin()
                yield connection
                connection.commit()
        except DAMAGE as error:
            raise explain(path, error) from error

    def _absent(self) -> bool:
        """Say whether no catalog was ever made here.

        Raises:
            BadFile: where one was, and is gone: made of the store alone it would lack the runs.
        """
        if self.path.exists() and self.path.stat().st_size:
            return False
        if self.published.exists():
            raise BadFile(f"{self.path}: missing or empty; run `keyreel catalog rebuild`")
        return True

    def _stale(self) -> bool:
        """Say whether the copy is of another time than the catalog: a copy keeps its original's."""
        if not self.published.exists():
            return True
        return self.published.stat().st_mtime_ns != self.path.stat().st_mtime_ns


def explain(path: Path, error: duckdb.Error) -> KeyreelError:
    """Return what a person can do about a catalog that DuckDB cannot use."""
    if "Could not set lock" in str(error):
        return BadFile(
            f"{path}: another program has it open; close it, or have it read published.duckdb"
        )
    if "No space left" in str(error):
        return OutOfSpace(f"{path}: the disk is full; free some space or run `keyreel gc`")
    return BadFile(f"{path}: {' '.join(str(error).split())}; run `keyreel catalog rebuild`")


def wal(path: Path) -> Path:
    """Return where DuckDB keeps the log of the catalog at `path`."""
    return path.with_name(f"{path.name}.wal")
