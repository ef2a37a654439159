"""What an asset was made from, back to the user's own files. Reads records; the index only finds.

Knows nothing of how it is shown.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import duckdb

from catalogs.hashes import sha256
from catalogs.migrations import sql
from catalogs.record import Record
from catalogs.store import Store
from configs.errors import BadInput

NAME = re.compile(r"[0-9a-f]{6,64}")


@dataclass(frozen=True, slots=True)
class Ancestor:
    """A node, or a file of the user's, and what it was made from."""

    role: str
    """The input port it fills; empty for the asset that was asked for."""
    port: str
    """Its output port that was used; empty for a file."""
    record: Record | None
    """Of a node; none for a file, or where the store has lost it."""
    sha256: str
    """Of the file; the key of a node."""
    path: str
    """Of the file, relative to the home; empty for a node."""
    parents: tuple[Ancestor, ...]

    def records(self) -> Iterator[Record]:
        """Yield its record, and those of all that it was made from, one perhaps several times."""
        if self.record:
            yield self.record
        for parent in self.parents:
            yield from parent.records()


def key_of(connection: duckdb.DuckDBPyConnection, asset: str) -> tuple[str, str]:
    """Return the node's key and the output port that `asset` names.

    Args:
        connection: Of a catalog.
        asset: A file, or at least six hex digits that begin a SHA-256 or a node's key.

    Raises:
        BadInput: where nothing, or more than one thing, answers to it.
    """
    name = sha256(Path(asset)) if is_file(asset) else asset.lower()
    if not NAME.fullmatch(name):
        raise BadInput(
            f"{asset}: neither a file nor the beginning of an asset's SHA-256 or a node's key; "
            "give a path, or at least 6 hex digits"
        )
    found = connection.execute(sql("find"), {"name": name}).fetchall()
    if not found:
        raise BadInput(f"{asset}: no node made it; `keyreel query` lists v_assets")
    names = sorted({row[0] for row in found})
    if len(names) > 1:
        few = ", ".join(name[:16] for name in names[:4])
        raise BadInput(f"{asset}: {len(names)} things begin so: {few}; give more digits")
    return str(found[0][1]), str(found[0][2])


def is_file(asset: str) -> bool:
    """Say whether `asset` is the path of a file; most words are not even a path."""
    try:
        return Path(asset).is_file()
    except OSError:  # such as a name that is too long
        return False


def ancestry(store: Store, key: str, port: str, role: str = "") -> Ancestor:
    """Return the node `key` with everything it was made from."""
    try:
        record = store.recall(key)
    except KeyError:
        return Ancestor(role, port, None, key, "", ())
    parents = tuple(
        ancestry(store, source[1], source[2], name)
        if source[0] == "node"
        else Ancestor(name, "", None, source[1], record.paths.get(name, ""), ())
        for name, source in inputs(record).items()
    )
    return Ancestor(role, port, record, key, "", parents)


def inputs(record: Record) -> dict[str, list[str]]:
    """Return `["node", key, port]` or `["file", sha256]` of each input port."""
    told = record.recipe["inputs"]
    assert isinstance(told, dict)
    return {
        name: [str(part) for part in source]
        for name, source in told.items()
        if isinstance(source, list)
    }
