"""Questions to the published catalog: one SELECT, read-only, no other file, no network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path

import duckdb

from configs.base import Json
from configs.errors import BadInput

Answer = tuple[list[str], list[tuple[object, ...]]]

OFFLINE: dict[str, str | bool | int | float | list[str]] = {
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
}
FENCED = OFFLINE | {
    "enable_external_access": False,
    "lock_configuration": True,
    "memory_limit": "1GB",
    "temp_directory": "",  # a query too large for memory fails instead of filling the disk
}
ASKING = {duckdb.StatementType.SELECT, duckdb.StatementType.EXPLAIN}


def ask(published: Path, sql: str, parameters: Sequence[Json] | Mapping[str, Json] = ()) -> Answer:
    """Return the columns and rows that `sql` asks for.

    Raises:
        BadInput: where it is not one SELECT, or DuckDB refuses it: the message points at the place.
    """
    try:
        statements = duckdb.extract_statements(sql)
        if len(statements) != 1 or statements[0].type not in ASKING:
            raise BadInput("query: give one SELECT; the catalog is only read here")
        with closing(duckdb.connect(published, read_only=True, config=FENCED)) as connection:
            answer = connection.execute(statements[0], parameters)
            return [column[0] for column in answer.description], answer.fetchall()
    except duckdb.Error as error:
        raise BadInput(f"query: {error}") from None
