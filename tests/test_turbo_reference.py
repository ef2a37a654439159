"""TurboDiffusion's own code beside ours: runs where a checkout of it is named."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator

import pytest
import torch

from benchmarks.figures import Figure
from benchmarks.turbo_parity import COMPARISONS
from benchmarks.turbo_reference import missing


@pytest.mark.slow
@pytest.mark.timeout(300)  # triton's interpreter
@pytest.mark.skipif(bool(missing()), reason=missing() or "can be run")
@torch.no_grad()
@pytest.mark.parametrize("compare", COMPARISONS, ids=lambda compare: compare.__name__)
def test_equals_the_reference(compare: Callable[[], Iterator[Figure]]):
    """In float32 to 1e-5; in bfloat16 our error is at most 1.1 times the reference's."""
    with warnings.catch_warnings():  # of the reference and of triton, not ours
        warnings.simplefilter("ignore")
        figures = list(compare())
    assert figures
    assert [figure for figure in figures if not figure.met] == []
