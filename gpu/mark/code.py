"""Forty bits to the signs of a picture's cells and back; knows nothing of pixels.

40 payload bits and 24 check bits make the 64 bits of the BCH code (127, 64), whose words differ in
at least 21 places. Each of the 127 bits is written into two cells far from each other, with random
signs, so that copies agree only where the cells were found. Reading weighs every cell by how sure
it is and takes the likeliest word (ordered statistics, Fossorier & Lin 1995); the check bits
decide whether it was one.
"""

from __future__ import annotations

import zlib
from functools import cache
from itertools import combinations
from typing import Final

import numpy as np
from numpy.typing import NDArray

BITS: Final = 40
"""Of a payload."""
CHECK: Final = 24
WORD: Final = 127
DATA: Final = BITS + CHECK
COPIES: Final = 2
CELLS: Final = 256
"""Of a picture; two stay unused."""

_GENERATOR: Final = 0o1206534025570773100045
"""Of the BCH code (127, 64), which corrects 10 errors by rule (Lin & Costello, table 6.1)."""
_SEED: Final = 6
"""Of the cells' order and signs: part of the format, as every picture marked before has it."""

Floats = NDArray[np.float32]
Bits = NDArray[np.uint8]


@cache
def _matrix() -> Bits:
    """The code's generator [64, 127] in systematic form: the data come first."""
    shifted = [_GENERATOR << i for i in reversed(range(DATA))]
    rows = np.array([[(row >> bit) & 1 for bit in reversed(range(WORD))] for row in shifted])
    return _eliminated(rows.astype(np.uint8), np.arange(WORD))[0]


def _eliminated(rows: Bits, order: NDArray[np.intp]) -> tuple[Bits, NDArray[np.intp]]:
    """Rows with a unit column each, and those columns: the first independent ones of `order`."""
    rows = rows.copy()
    taken: list[int] = []
    for column in order:
        at = len(taken)
        if at == len(rows):
            break
        found = np.flatnonzero(rows[at:, column])
        if not found.size:
            continue
        rows[[at, at + found[0]]] = rows[[at + found[0], at]]
        others = rows[:, column].astype(bool)
        others[at] = False
        rows[others] ^= rows[at]
        taken.append(int(column))
    return rows, np.array(taken)


@cache
def layout() -> tuple[NDArray[np.intp], Floats]:
    """The cell of each copy of each bit [2, 127], and its sign [2, 127].

    Both halves of the picture hold each bit once.
    """
    random = np.random.RandomState(_SEED)
    half = CELLS // COPIES
    cells = np.stack([random.permutation(half)[:WORD] + i * half for i in range(COPIES)])
    return cells, random.choice([-1.0, 1.0], cells.shape).astype(np.float32)


def write(payload: int) -> Floats:
    """Return the sign of each cell, -1 or 1 [256]; unused cells get 1."""
    told = payload.to_bytes(BITS // 8, "big")
    check = zlib.crc32(told) >> (32 - CHECK)
    data = np.unpackbits(np.frombuffer(told + check.to_bytes(CHECK // 8, "big"), np.uint8))
    word = data @ _matrix() % 2
    cells, signs = layout()
    out = np.ones(CELLS, np.float32)
    out[cells] = (1 - 2.0 * word) * signs
    return out


def gathered(cells: Floats) -> Floats:
    """Log-odds of cells [..., 256] to those of the word's bits [..., 127]; above 0 means bit 0."""
    places, signs = layout()
    found: Floats = (cells[..., places] * signs).sum(-2)
    return found


def likeliest(odds: Floats) -> Bits:
    """Return the code word [127] that fits the bits' log-odds best, or nearly.

    The 64 surest independent bits are taken as read, and with every one or two of them wrong.
    """
    sure = np.argsort(-np.abs(odds), kind="stable")
    rows, basis = _eliminated(_matrix(), sure)
    first = (odds[basis] < 0).astype(np.uint8) @ rows % 2
    pairs = np.array(list(combinations(range(DATA), 2)))
    flips = np.concatenate(
        [np.zeros((1, WORD), np.uint8), rows, rows[pairs[:, 0]] ^ rows[pairs[:, 1]]]
    )
    words = first ^ flips
    best: Bits = words[np.argmin(words @ odds)]
    return best


def read(odds: Floats) -> tuple[int, float] | None:
    """Return the payload and the share of bits that were right, or None where the check fails.

    Args:
        odds: of the word's bits [127], as `gathered` gives them.
    """
    word = likeliest(odds)
    told = np.packbits(word[:DATA]).tobytes()
    payload, check = told[: BITS // 8], told[BITS // 8 :]
    if zlib.crc32(payload) >> (32 - CHECK) != int.from_bytes(check, "big"):
        return None
    return int.from_bytes(payload, "big"), float(np.mean((odds < 0) == word))
