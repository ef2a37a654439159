"""Tests of Triton kernels, run on the CPU by Triton's interpreter: `make test-kernels`."""

from __future__ import annotations

import importlib.util
import os

import pytest

interpreted = pytest.mark.skipif(
    importlib.util.find_spec("triton") is None or os.environ.get("TRITON_INTERPRET") != "1",
    reason="needs triton and TRITON_INTERPRET=1: `make test-kernels`",
)
"""pip's CPU build of torch brings no triton, and with it a few tests would install 1 GB."""
