"""The mark's code: forty bits to signs and back, through noise, and nothing out of noise."""

from __future__ import annotations

import numpy as np
import pytest

from gpu.mark import code

PAYLOADS = (0, 1, 0x5AA5C3F00F, (1 << code.BITS) - 1)


def noisy(payload: int, wrong: float, seed: int) -> code.Floats:
    """Cells of which about a share `wrong` has the other sign, unsure ones more often."""
    random = np.random.RandomState(seed)
    spread = 1 / 1.2816 if wrong == 0.1 else 1 / 1.6449
    return (code.write(payload) + spread * random.randn(code.CELLS)).astype(np.float32)


@pytest.mark.parametrize("payload", PAYLOADS)
def test_a_payload_comes_back(payload):
    """Through clean cells every payload is read, all of its bits right."""
    assert code.read(code.gathered(code.write(payload))) == (payload, 1.0)


def test_the_words_lie_far_apart():
    """The generator divides x^127 - 1, and no word of two thousand has fewer than 21 ones."""
    rest, generator = (1 << 127) | 1, code._GENERATOR
    while rest.bit_length() >= generator.bit_length():
        rest ^= generator << (rest.bit_length() - generator.bit_length())
    assert rest == 0
    data = np.random.RandomState(1).randint(0, 2, (2000, code.DATA))
    assert (data @ code._matrix() % 2).sum(1).min() >= 21


def test_a_tenth_of_the_cells_may_be_wrong():
    """With one cell in ten wrong, each of forty payloads is still read."""
    for seed in range(40):
        found = code.read(code.gathered(noisy(seed << 20, 0.1, seed)))
        assert found is not None
        assert found[0] == seed << 20


def test_noise_is_no_payload():
    """Of 300 random readings none passes the check."""
    random = np.random.RandomState(2)
    odds = random.randn(300, code.CELLS).astype(np.float32)
    assert [code.read(one) for one in code.gathered(odds)] == [None] * 300


def test_a_lost_quarter_does_not_matter():
    """Where the cells of four rows say nothing, their copies tell the bits."""
    cells = code.write(0x0123456789)
    cells[:64] = 0
    assert code.read(code.gathered(cells)) == (0x0123456789, 1.0)


def test_every_bit_has_a_copy_in_each_half():
    """Each half of the cells holds each bit once, and no cell holds two."""
    places, signs = code.layout()
    assert places[0].max() < 128 <= places[1].min()
    assert len(np.unique(places)) == places.size == 254
    assert set(np.unique(signs)) == {-1.0, 1.0}
