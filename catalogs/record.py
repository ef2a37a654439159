"""What the store writes down: a node's record, and a run's summary. Plain JSON on disk."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import StringConstraints

from configs.base import Declaration, Json

Digest = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
"""SHA-256 in lower-case hex: safe as a file name."""

Suffix = Annotated[str, StringConstraints(pattern=r"^(\.[A-Za-z0-9]{1,8})?$")]

AssetKind = Literal["image", "clip", "overlay", "cover", "text", "sound"]

Verdict = Literal["approved", "rejected", "reseeded"]
"""`reseeded`: drawn again, with another seed."""


class Asset(Declaration):
    """A file of the store, named by the SHA-256 of its bytes."""

    sha256: Digest
    kind: AssetKind
    mime: str
    bytes: int
    width: int = 0
    height: int = 0
    frames: int = 0
    fps: float = 0.0
    seconds: float = 0.0
    suffix: Suffix = ""
    """File suffix with its dot, so that a player knows what it opens."""


class Place(Declaration):
    """Where a node stands in a campaign: `catalogs.node.Address`, as JSON."""

    stage: str
    shot: str
    aspect: str = ""
    delivery: str = ""


class Record(Declaration):
    """A finished node. Its file, named by the key, is what "done" means."""

    format: Literal[1] = 1
    key: Digest
    recipe: dict[str, Json]
    """`Node.recipe()`: what the key is the hash of."""
    place: Place
    """Where the node stood when it was first made."""
    paths: dict[str, str] = {}
    """Home-relative paths of the input files, by port: for people, not keyed."""
    notes: dict[str, Json] = {}
    """Model id, delivery id, template, campaign: recorded, not keyed."""
    outputs: dict[str, Asset]
    run: str
    """The run that made it."""
    started: str
    """ISO 8601, UTC."""
    seconds: float
    facts: dict[str, Json] = {}
    """Device, peak memory, load seconds, versions, fallbacks, and the key `planned` before them."""


class Entry(Declaration):
    """One node of one run."""

    place: Place
    key: str
    state: Literal["planned", "made", "cached", "failed", "skipped"]
    seconds: float = 0.0
    error: str = ""


class Run(Declaration):
    """One run of one campaign; `runs/ID/run.json`."""

    format: Literal[1] = 1
    id: str
    campaign: str
    title: dict[str, str] = {}
    state: Literal["running", "done", "failed", "interrupted", "waiting"]
    """`waiting`: keyframes are made, and a person has yet to say which may be used."""
    started: str
    finished: str = ""
    parameters: dict[str, Json] = {}
    """Campaign file and its hash, seed, first day, profile: enough to run it again."""
    shots: dict[str, dict[str, Json]] = {}
    """By shot id: product, day, axes, prompt texts, motion, seed."""
    entries: tuple[Entry, ...] = ()

    @property
    def asked(self) -> str:
        """What commands call the campaign: its file, without the ending."""
        return str(self.parameters.get("file", self.campaign)).removesuffix(".yaml")


class Review(Declaration):
    """What a person thought of an asset; `store/reviews/ID.json`."""

    format: Literal[1] = 1
    asset: Digest
    node: Digest | Literal[""] = ""
    """Key of the node that gave it: drawn again under the same key, it keeps its verdict."""
    planned: Digest | Literal[""] = ""
    """Key that the node was planned with, where memory ran out and other pixels were drawn."""
    verdict: Verdict
    seed: int | None = None
    """Where it is `reseeded`: the seed to draw with in its place."""
    reviewer: str
    reviewed: str
    """ISO 8601, UTC."""
    note: str = ""
