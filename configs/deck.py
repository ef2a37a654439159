"""Which variants a shot gets: dealt from decks shuffled by seed, so that none comes twice in a row.

Every part of a template is a deck. A shot's rank says where each deck is cut, and its combination
of cards is its own until all combinations have been dealt. Rank comes from the day and the axes'
values alone, so a shot inserted between two others changes neither. The price: two shots far
apart may be cut at the same place; the one that comes second is then dealt another rank (`taken`
of `tasks.expand.expand_shot`), and is the only one that an insertion may ever change.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from functools import lru_cache
from math import lcm
from typing import TypeVar

T = TypeVar("T")


def deal(decks: Mapping[str, Sequence[T]], seed: str, rank: int) -> dict[str, T]:
    """Return one card of each deck.

    As many ranks in a row as there are combinations get one each. Neighbouring ranks get
    different cards of the first deck always, and of the others but for a step in lcm(M, n): with
    M combinations of the decks before, the next one of n cards is cut at k + k // lcm(M, n), where
    k is the rank modulo M * n. That pairs each of the M with each of the n once.

    Args:
        decks: By name; the first ones turn fastest.
        seed: Shuffles each deck in its own way.
        rank: 0 or more.
    """
    dealt: dict[str, T] = {}
    before = 1
    for name, cards in decks.items():
        count = len(cards)
        turn = rank % (before * count)
        cut = (turn + turn // lcm(before, count)) % count
        dealt[name] = cards[_order(f"{seed}\n{name}", count)[cut]]
        before *= count
    return dealt


@lru_cache(maxsize=16384)
def _order(seed: str, count: int) -> tuple[int, ...]:
    """Return 0 to count - 1 in an order that only `seed` decides, on any Python."""
    digests = [hashlib.sha256(f"{seed}\n{number}".encode()).digest() for number in range(count)]
    return tuple(sorted(range(count), key=digests.__getitem__))
