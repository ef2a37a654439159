"""Adapters (LoRA): small files that teach a loaded model a brand, a style or fewer steps."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from configs.base import Declaration

SEGMENT = r"[A-Za-z0-9_(+-][A-Za-z0-9_ .()+-]*"
LORA_FILE = rf"^({SEGMENT}/)*{SEGMENT}\.safetensors$"
Expert = Literal["both", "high-noise", "low-noise"]


class Lora(Declaration):
    """One adapter over a model: `{file: brand.safetensors, weight: 0.8}`."""

    file: Annotated[str, StringConstraints(pattern=LORA_FILE, max_length=255)]
    """A path inside the home's `models/loras/`."""
    weight: Annotated[float, Field(ge=-4, le=4)] = 1.0
    """How much of it: 1 as it was trained, 0 none."""
    expert: Expert = "both"
    """Of models with two experts, such as Wan 2.2 A14B, the one that it was trained for."""


Loras = Annotated[tuple[Lora, ...], Field(max_length=8)]
