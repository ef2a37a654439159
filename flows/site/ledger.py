"""What the site itself remembers: tokens, jobs, letters to webhooks. One SQLite file of the home.

Nothing of the campaigns is kept here: after its loss people log in anew, and no picture is gone.
"""

from __future__ import annotations

import os
import secrets
import sqlite3
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from configs.home import Home

SCHEMA = """
CREATE TABLE IF NOT EXISTS keys (name TEXT PRIMARY KEY, value BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS tokens (
    id TEXT PRIMARY KEY, digest BLOB NOT NULL, role TEXT NOT NULL, name TEXT NOT NULL,
    created TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS jobs (
    id TEXT PRIMARY KEY, owner TEXT NOT NULL, idempotency TEXT, asked TEXT NOT NULL,
    state TEXT NOT NULL, created TEXT NOT NULL, finished TEXT NOT NULL DEFAULT '',
    handle TEXT NOT NULL DEFAULT '', run TEXT NOT NULL DEFAULT '', error TEXT NOT NULL DEFAULT '',
    UNIQUE (owner, idempotency)
);
CREATE TABLE IF NOT EXISTS hooks (url TEXT PRIMARY KEY, secret BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS letters (
    id TEXT PRIMARY KEY, url TEXT NOT NULL, body TEXT NOT NULL,
    tries INTEGER NOT NULL DEFAULT 0, due REAL NOT NULL
);
"""
PATIENCE = 30.0
"""Seconds to wait for another process's write; one takes a few milliseconds."""


class Ledger:
    """The site's own database, shared by the site, its jobs and the `token` commands.

    Args:
        home: whose `site/` it lies in; made for the owner alone.
    """

    def __init__(self, home: Home) -> None:
        self.folder = home.site
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        path = self.folder / "site.db"
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))  # SQLite gives its log files this
        self._lock = threading.Lock()
        self._connection = sqlite3.connect(path, timeout=PATIENCE, check_same_thread=False)
        self._connection.row_factory = sqlite3.Row
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.executescript(SCHEMA)

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """Yield the connection in a transaction: all of it is written, or nothing."""
        with self._lock, self._connection:
            self._connection.execute("BEGIN IMMEDIATE")
            yield self._connection

    def rows(self, sql: str, parameters: Mapping[str, object] | None = None) -> list[sqlite3.Row]:
        """Return the rows that a SELECT asks for."""
        with self._lock:
            return self._connection.execute(sql, parameters or {}).fetchall()

    def stamp(self) -> str:
        """Return what changes whenever something was written, by this process or another."""
        with self._lock:
            (others,) = self._connection.execute("PRAGMA data_version").fetchone()
            return f"{others} {self._connection.total_changes}"

    def key(self, name: str) -> bytes:
        """Return 32 random bytes that stay the same for this home; drawn at the first call."""
        with self.writing() as connection:
            connection.execute(
                "INSERT OR IGNORE INTO keys VALUES (?, ?)", (name, secrets.token_bytes(32))
            )
            found = connection.execute("SELECT value FROM keys WHERE name = ?", (name,)).fetchone()
        return bytes(found["value"])

    def close(self) -> None:
        """Close the file."""
        self._connection.close()
