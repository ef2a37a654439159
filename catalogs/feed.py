"""From records and runs to rows: the same rows whatever the order, however often.

The work is SQL of `queries/feed_*.sql`; this hands it JSON. Knows nothing of files and locks.
"""

from __future__ import annotations

import json
from collections.abc import Iterable

import duckdb

from catalogs.migrations import sql
from catalogs.record import Record

OF_RECORDS = ("feed_nodes", "feed_assets", "feed_lineage", "feed_executions")


def index_records(
    connection: duckdb.DuckDBPyConnection, records: Iterable[Record], *, held: bool = True
) -> None:
    """Insert the rows of finished nodes, in place of earlier ones of the same keys."""
    rows = [{**record.model_dump(mode="json"), "held": held} for record in records]
    connection.execute(sql("feed_batch"), {"records": json.dumps(rows, ensure_ascii=False)})
    for name in OF_RECORDS:
        connection.execute(sql(name))
