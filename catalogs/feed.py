"""From records, runs and reviews to rows: the same rows whatever the order, however often.

The work is SQL of `queries/feed_*.sql`; this hands it JSON. Knows nothing of locks and copies.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

import duckdb

from catalogs.migrations import sql
from catalogs.record import Record, Review, Run
from catalogs.store import Store
from configs.errors import BadFile

log = logging.getLogger(__name__)

SIZE = 2000
"""Records in one transaction: about 4 MB of JSON."""

OF_RECORDS = (
    "feed_nodes",
    "feed_assets",
    "feed_fingerprints",
    "feed_lineage",
    "feed_executions",
)
OF_A_RUN = ("feed_runs", "feed_campaigns", "feed_entries", "feed_prompts", "feed_deliveries")


@dataclass(frozen=True, slots=True)
class Batch:
    """Records and reviews that become rows in one transaction."""

    held: list[Record] = field(default_factory=list)
    collected: list[Record] = field(default_factory=list)
    """Records whose assets `keyreel gc` took."""
    reviews: dict[str, Review] = field(default_factory=dict)

    def names(self) -> list[str]:
        """Return the names under which the inbox has them."""
        return [record.key for record in (*self.held, *self.collected)] + list(self.reviews)


def batches(store: Store, names: Sequence[str]) -> Iterator[Batch]:
    """Yield what `names` stand for; an inbox entry may come before its record."""
    for start in range(0, len(names), SIZE):
        batch = Batch()
        for name in names[start : start + SIZE]:
            try:
                _look_up(store, name, batch)
            except BadFile as error:
                log.warning("left out of the catalog: %s", error)
        yield batch


def _look_up(store: Store, name: str, batch: Batch) -> None:
    try:
        record = store.recall(name)
        (batch.held if store.has(name) else batch.collected).append(record)
    except KeyError:
        with suppress(KeyError):
            batch.reviews[name] = store.reviews.read(name)


def index(connection: duckdb.DuckDBPyConnection, batch: Batch) -> None:
    """Insert the batch's rows, in place of earlier ones of the same keys."""
    if batch.held:
        _index_records(connection, batch.held, held=True)
    if batch.collected:
        _index_records(connection, batch.collected, held=False)
    if batch.reviews:
        reviews = [{**review.model_dump(), "id": name} for name, review in batch.reviews.items()]
        connection.execute(sql("feed_reviews"), {"reviews": json.dumps(reviews)})


def _index_records(
    connection: duckdb.DuckDBPyConnection, records: Iterable[Record], *, held: bool
) -> None:
    rows = ",".join(record.model_dump_json() for record in records)
    connection.execute(sql("feed_batch"), {"records": f"[{rows}]", "held": held})
    for name in OF_RECORDS:
        connection.execute(sql(name))


def index_run(connection: duckdb.DuckDBPyConnection, run: Run) -> None:
    """Insert the rows that a run file tells, in place of earlier ones of the same run."""
    connection.execute(sql("feed_told"), {"run": run.model_dump_json()})
    for name in OF_A_RUN:
        connection.execute(sql(name))
