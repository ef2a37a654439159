"""Reads `tests/manifests/`: what published weight files hold, by their publishers' own code.

Each was made by building the publisher's module on the meta device, at full size and at a small
one; `source` names the code and its commit. A size is a number, a name of `sizes`, a multiple
(`3*dim`) or a quotient rounded up (`dim/128`); `{layers}` stands for each index below that size.
"""

from __future__ import annotations

import itertools
import json
import re
from pathlib import Path

import torch

FOLDER = Path(__file__).parent / "manifests"
NAMES = sorted(path.stem for path in FOLDER.glob("*.json"))
FORMATS = {
    "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16, "I8": torch.int8,
    "U8": torch.uint8,
}  # fmt: skip


def manifest(name):
    return json.loads((FOLDER / f"{name}.json").read_text("utf-8"))


def entries(name, *, small=False, **other):
    """Return number format and shape of each key, some sizes being other ones."""
    told = manifest(name)
    sizes = told["small" if small else "sizes"] | other
    return {
        key: (dtype, tuple(side(each, sizes) for each in shape))
        for pattern, (dtype, *shape) in told["tensors"].items()
        for key in keys(pattern, sizes)
    }


def keys(pattern, sizes):
    names = re.findall(r"\{(\w+)\}", pattern)
    for numbers in itertools.product(*(range(sizes[name]) for name in names)):
        yield pattern.format(**dict(zip(names, numbers, strict=True)))


def side(told, sizes):
    if isinstance(told, int):
        return told
    if found := re.fullmatch(r"(\d+)\*(\w+)", told):
        return int(found[1]) * sizes[found[2]]
    if found := re.fullmatch(r"(\w+)/(\d+)", told):
        return -(-sizes[found[1]] // int(found[2]))
    return sizes[told]


def tensors(name, seed=0, **other):
    """Return random tensors of the small size, as small numbers as weights are."""
    generator = torch.Generator().manual_seed(seed)

    def draw(key, dtype, shape):
        if dtype in ("I8", "U8"):
            shape = [min(each, 4096) for each in shape]
            return torch.randint(-127, 127, shape, generator=generator).to(FORMATS[dtype])
        scale = 1e-3 if key.endswith(".scale") else 0.1
        return (torch.randn(shape, generator=generator) * scale).to(FORMATS[dtype])

    return {key: draw(key, *entry) for key, entry in entries(name, small=True, **other).items()}
