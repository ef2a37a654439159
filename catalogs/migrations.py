"""Changes of the catalog's tables: named, in order, each once and in a transaction.

A view is applied again whenever its file changes. Knows nothing of what the rows mean.
"""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

import duckdb

from configs.errors import BadFile

QUERIES = Path(__file__).parent / "queries"

MIGRATIONS = ("m001_tables", "m002_fingerprints", "m003_verdicts")
"""Files of `queries/`, oldest first; one that was released never changes."""


@cache
def sql(name: str) -> str:
    """Return the query `name` of the folder `queries/`."""
    return (QUERIES / f"{name}.sql").read_text(encoding="utf-8")


@cache
def views() -> tuple[str, ...]:
    """Return the names of all views."""
    return tuple(sorted(path.stem for path in QUERIES.glob("v_*.sql")))


def migrate(connection: duckdb.DuckDBPyConnection) -> None:
    """Bring the catalog up to this version.

    Raises:
        BadFile: where a newer keyreel made it.
    """
    connection.execute(
        "CREATE TABLE IF NOT EXISTS migrations (name VARCHAR PRIMARY KEY, digest VARCHAR)"
    )
    done = dict(connection.execute("SELECT name, digest FROM migrations").fetchall())
    if unknown := sorted(name for name in done.keys() - {*MIGRATIONS} if name.startswith("m")):
        raise BadFile(
            f"a newer keyreel made this catalog ({unknown[0]}): "
            "upgrade keyreel, or run `keyreel catalog rebuild`"
        )
    for name in MIGRATIONS:
        if name not in done:
            _apply(connection, name)
    for name in views():
        if done.get(name) != _digest(name):
            _apply(connection, name)


def _apply(connection: duckdb.DuckDBPyConnection, name: str) -> None:
    connection.begin()
    connection.execute(sql(name))
    connection.execute("INSERT OR REPLACE INTO migrations VALUES (?, ?)", [name, _digest(name)])
    connection.commit()


def _digest(name: str) -> str:
    return hashlib.sha256(sql(name).encode()).hexdigest()[:16]
