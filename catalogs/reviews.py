"""Verdicts on finished nodes, and the rule by which the next seed is drawn.

Files of the store, as records are: one truth, which the catalog only indexes. Knows nothing of
campaigns or of who may judge.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from dataclasses import dataclass

from catalogs.record import Record, Review, Verdict
from catalogs.store import Store
from configs.errors import BadInput

LONGEST_NOTE, LONGEST_NAME = 400, 64
"""Characters."""


@dataclass(frozen=True, slots=True)
class Judged:
    """A verdict as it is given."""

    verdict: Verdict
    note: str = ""
    by: str = ""


def latest(store: Store) -> dict[str, Review]:
    """Return the last review of each node that has one, by its key and by the one planned for it.

    Raises:
        BadFile: where one is damaged.
    """
    told = (store.reviews.read(name) for name in store.reviews.names())
    ordered = sorted(told, key=lambda one: one.reviewed)
    return {key: one for one in ordered for key in (one.planned, one.node) if key}


def judge(store: Store, record: Record, port: str, judged: Judged, now: dt.datetime) -> Review:
    """Keep a verdict on what a finished node gave; the last one counts.

    Args:
        store: which has the node.
        record: of the node.
        port: of its output.
        judged: the verdict; a rejection says why.
        now: aware.

    Raises:
        BadInput: where the note is missing, or note or name are too long.
        OutOfSpace: where the disk is full.
    """
    note = _line("note", judged.note, LONGEST_NOTE)
    if judged.verdict == "rejected" and not note:
        raise BadInput("a rejection needs a note: it tells the author what to change")
    params = record.recipe["params"]
    drawn = params.get("seed") if isinstance(params, dict) else None
    review = Review(
        asset=record.outputs[port].sha256,
        node=record.key,
        planned=str(record.facts.get("planned", "")),
        verdict=judged.verdict,
        seed=next_seed(int(str(drawn))) if judged.verdict == "reseeded" else None,
        reviewer=_line("reviewer's name", judged.by, LONGEST_NAME) or "unnamed",
        reviewed=now.astimezone(dt.UTC).isoformat(timespec="microseconds"),
        note=note,
    )
    store.review(review)
    return review


def next_seed(seed: int) -> int:
    """Return the seed to draw with after `seed`: the same for whoever asks, 0 to 2**48 - 1.

    So all shapes of a shot, whose seed is one, are drawn anew with one, and asking twice is asking
    once.
    """
    return int.from_bytes(hashlib.sha256(f"after {seed}".encode()).digest()[:6], "big")


def _line(what: str, text: str, longest: int) -> str:
    text = " ".join(text.split())
    if len(text) > longest or not text.isprintable():
        raise BadInput(f"the {what}: at most {longest} characters of plain text")
    return text
