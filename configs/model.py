"""Models and profiles: which weights draw, and which device runs which of them."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from configs.base import Aspect, Declaration, Json, Words

Size = tuple[Annotated[int, Field(ge=16, le=8192)], Annotated[int, Field(ge=16, le=8192)]]


class Model(Declaration):
    """One entry of models.yaml."""

    makes: Literal["picture", "clip"]
    pipeline: Literal["ZImagePipeline", "WanImageToVideoPipeline"]
    folder: str
    """Inside `gpu/mini/weights` for shipped models, else inside the home's `models/`."""
    shipped: bool = False
    dialect: Literal["mini", "z-image", "wan"]
    sizes: dict[Aspect, Size]
    """Width and height in pixels for each aspect."""
    multiple: int = 16
    """Sides must divide by this."""
    steps: int
    max_steps: int = 50
    guidance: float = 0.0
    max_guidance: float = 0.0
    """0: the model was trained without; asking for guidance or a negative is an error."""
    max_tokens: int = 512
    frames: int = 0
    """Frames of a clip: 4k+1, as the video autoencoder packs four to a latent frame."""
    max_frames: int = 0
    fps: int = 0
    memory_gb: float = 0
    seconds: float = 1.0
    """A first guess of the time one picture or clip takes, until executions are recorded."""
    megabytes: float = 1.0
    note: Words = Words()


class Profile(Declaration):
    """What a device runs."""

    device: Literal["cpu", "cuda"]
    min_memory_gb: float = 0
    picture: str
    clip: str
    dtype: Literal["auto", "bfloat16", "float32"] = "auto"
    budget_gb: float
    """Loaded weights above this are evicted, least recently used first."""
    settings: dict[str, Json] = {}
    note: Words = Words()
