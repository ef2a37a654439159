from __future__ import annotations

from itertools import pairwise
from math import prod

import pytest
from hypothesis import given
from hypothesis import strategies as st

from configs.deck import deal

SIZES = [(5,), (3, 4), (6, 4), (4, 6, 9), (1, 7, 2), (34, 9, 5), (2, 2, 2, 2)]


def decks(sizes: tuple[int, ...]) -> dict[str, range]:
    return {f"deck {number}": range(size) for number, size in enumerate(sizes)}


@pytest.mark.parametrize("sizes", SIZES, ids=str)
def test_every_combination_comes_once_before_any_comes_twice(sizes: tuple[int, ...]):
    """From any first rank on."""
    count = prod(sizes)
    for first in (0, 738_000):
        ranks = range(first, first + count)
        dealt = {tuple(deal(decks(sizes), "seed", rank).values()) for rank in ranks}
        assert len(dealt) == count


@given(
    st.lists(st.integers(1, 6), min_size=1, max_size=4), st.integers(0, 10**9), st.integers(0, 9)
)
def test_a_window_of_ranks_has_no_combination_twice(sizes: list[int], first: int, seed: int):
    """Whatever the decks' sizes, common factors included."""
    cards = decks(tuple(sizes))
    window = [
        tuple(deal(cards, str(seed), first - first % prod(sizes) + n).values())
        for n in range(prod(sizes))
    ]
    assert len(set(window)) == len(window)


def test_days_in_a_row_get_different_cards():
    """The first deck never repeats within its length; the others seldom from day to day."""
    dealt = [deal(decks((34, 9, 5)), "seed", 739_000 + day) for day in range(30)]
    assert len({cards["deck 0"] for cards in dealt}) == 30
    for name in ("deck 1", "deck 2"):
        same = sum(a[name] == b[name] for a, b in pairwise(dealt))
        assert same <= 1


def test_another_seed_shuffles_otherwise():
    """And the same one deals the same, today and on any Python."""
    ones = [deal(decks((34, 9, 5)), "1", rank) for rank in range(20)]
    assert ones != [deal(decks((34, 9, 5)), "2", rank) for rank in range(20)]
    assert list(deal(decks((34, 9, 5)), "1", 739_312).values()) == FROZEN


FROZEN = [7, 7, 2]
