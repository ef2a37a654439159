"""A node: one piece of work, and the content key that names it.

The key is over what decides the pixels and nothing else: a renamed delivery, another template
with the same words or a newer library keep it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import orjson

from configs.base import Json


class Address(NamedTuple):
    """Where a node stands in a campaign; not part of its key."""

    stage: str
    shot: str
    aspect: str = ""
    delivery: str = ""

    def __str__(self) -> str:
        return " ".join(
            part for part in (self.shot, self.stage, self.aspect, self.delivery) if part
        )


@dataclass(frozen=True, slots=True)
class NodeOutput:
    """An input made by another node."""

    key: str
    port: str

    def identity(self) -> list[str]:
        """What the consumer's key says of this input."""
        return ["node", self.key, self.port]


@dataclass(frozen=True, slots=True)
class InputFile:
    """An input the user supplied: its bytes count, its path does not."""

    sha256: str
    path: str
    """Relative to the home."""

    def identity(self) -> list[str]:
        """What the consumer's key says of this input."""
        return ["file", self.sha256]


Input = NodeOutput | InputFile


@dataclass(frozen=True, slots=True)
class Node:
    """One piece of work, fully resolved."""

    address: Address
    kind: str
    """The stage of `tasks/` that makes it."""
    version: int
    """The stage's own version: raised when its code changes pixels."""
    params: Mapping[str, Json]
    """What decides the pixels: prompt text, seed, size, steps, the delivery's settings."""
    inputs: Mapping[str, Input] = field(default_factory=dict)
    model: str = ""
    """Fingerprint of the weight files."""
    pixels: Mapping[str, str] = field(default_factory=dict)
    """Profile choices that change pixels: dtype, quantisation, attention, device kind."""
    notes: Mapping[str, Json] = field(default_factory=dict)
    """Recorded, not keyed: model id, delivery id, template, campaign words."""
    key: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "key", hashlib.sha256(canonical(self.recipe())).hexdigest())

    def recipe(self) -> dict[str, Json]:
        """What the key is made of."""
        return {
            "stage": self.kind,
            "version": self.version,
            "params": dict(self.params),
            "inputs": {port: list(value.identity()) for port, value in self.inputs.items()},
            "model": self.model,
            "pixels": dict(self.pixels),
        }


# What is not plain JSON is an error, not a guess.
_PLAIN = orjson.OPT_SORT_KEYS | orjson.OPT_PASSTHROUGH_DATACLASS | orjson.OPT_PASSTHROUGH_DATETIME


def canonical(value: Json) -> bytes:
    """Return JSON with sorted keys and no spaces: equal values give equal bytes."""
    return orjson.dumps(value, option=_PLAIN)
