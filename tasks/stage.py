"""What a stage is: the ports it takes and gives, what it decides at plan time, how it runs.

`decide` is pure: no clock, disk or GPU. `run` makes files and knows nothing of plans or Prefect.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, NamedTuple

from catalogs.node import Input, InputFile, Node, NodeOutput
from catalogs.store import Store
from configs.base import Json, Language
from configs.campaign import Campaign, Product
from configs.delivery import Delivery
from configs.errors import Interrupted
from configs.home import Home
from configs.model import Model
from configs.settings import Settings

PortType = Literal["text", "image", "clip", "overlay", "titles", "sound", "file"]
Lane = Literal["plan", "gpu", "cpu"]
"""`plan`: its value is known at plan time (text); `gpu`: one at a time on each; `cpu`: side by
side."""


class Photo(NamedTuple):
    """An input picture or clip as `decide` sees it: size in pixels, and the point to keep."""

    width: int
    height: int
    focus: tuple[float, float] | None = None
    fps: float = 0.0
    """Of a clip: frames a second."""
    frames: int = 0
    """Of a clip: how many it has."""
    until: float | None = None
    """Of a label: the second at which it goes; None: it stands throughout."""
    settled: float = 0.0
    """Of titles: the second at which all of them stand, which covers and stills show."""
    box: tuple[int, int, int, int] | None = None
    """Of an overlay: left, top, right, bottom of what can be seen of it; other layers keep off."""
    own: bool = False
    """The user's own picture, as it came: no model had a hand in it."""


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file of the home that a setting names: its hash, and what the plan must know of it."""

    file: InputFile
    told: object
    """What its reader says: a sound's length in seconds, a `Font`, a tuple of `Caption`."""


@dataclass(frozen=True, slots=True)
class Cell:
    """All that a stage may look at to decide one node."""

    campaign: Campaign
    product: Product
    shot: str
    seed: int
    settings: Settings
    texts: Mapping[str, str]
    """Text ports that are wired in, by this stage's port name."""
    pictures: Mapping[str, Photo]
    """Size and focus of the picture, clip and layer inputs, by port."""
    inputs: Mapping[str, Input]
    """What is wired in and read, by port."""
    aspect: str = ""
    delivery: Delivery | None = None
    delivery_id: str = ""
    model: Model | None = None
    """The picture or clip model this stage would use."""
    files: Mapping[str, InputFile] = field(default_factory=dict)
    """Hashed brand files by role: `logo`, `logo_on_dark`, `certificate`."""
    logo: tuple[int, int] | None = None
    """Width and height of what can be seen of the brand's logo."""
    loras: Mapping[str, InputFile] = field(default_factory=dict)
    """Hashed adapters by their path in `models/loras/`."""
    attached: Mapping[str, Attachment] = field(default_factory=dict)
    """The files that settings name, by the path they give."""
    expansions: Mapping[str, str] = field(default_factory=dict)
    """What language models wrote, by the key of what they were asked (`tasks.wish`)."""
    names: Callable[[Language], Mapping[str, object]] = lambda _: {}
    """What templates see of the shot (`tasks.views.view`), in a language."""


@dataclass(frozen=True, slots=True)
class Decision:
    """What a stage decided: the params that go into the key, and files it reads besides."""

    params: Mapping[str, Json]
    files: Mapping[str, InputFile] = field(default_factory=dict)
    uses_model: bool = False
    notes: Mapping[str, Json] = field(default_factory=dict)
    gives: Mapping[str, Photo] = field(default_factory=dict)
    """Size and focus of the pictures or clips it will make, for the stages after it."""


@dataclass(frozen=True, slots=True)
class Draft:
    """A finished file in the workspace, before the store takes it."""

    path: Path
    kind: Literal["image", "clip", "overlay", "cover", "text", "sound"]
    mime: str
    width: int = 0
    height: int = 0
    frames: int = 0
    fps: float = 0.0
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Made:
    """One node's files and what making them took."""

    node: Node
    drafts: Mapping[str, Draft]
    seconds: float
    facts: Mapping[str, Json] = field(default_factory=dict)
    """Recorded: load seconds, peak memory, device, fallbacks."""


@dataclass(frozen=True, slots=True)
class Progress:
    """Step `done` of `total` of the node at `node.address`."""

    node: Node
    done: int
    total: int
    preview: bytes = b""
    """A small JPEG of how it will look, where one was asked for."""


def ran(really: Mapping[str, str], key: str) -> str:
    """Return the key of what ran in place of `key`: an input's fallback and its own both change it.

    Args:
        really: `Studio.really`.
        key: as planned.
    """
    while key in really:
        key = really[key]
    return key


@dataclass(frozen=True, slots=True)
class Studio:
    """What a stage works with while it runs."""

    home: Home
    store: Store
    models: Mapping[str, Model]
    dtype: str = "auto"
    budget_gb: float = 4.0
    offload: str = "auto"
    """The profile's: it changes no pixel, so no key says it."""
    priority: int = 0
    """In a resident process's queue (`gpu.service.ask.Ask.priority`)."""
    on_progress: Callable[[Progress], None] = lambda _: None
    previews: bool = False
    """Somebody looks on: progress brings small pictures of what is in the making."""
    cancelled: Callable[[], bool] = lambda: False
    seen: dict[str, str] = field(default_factory=dict)
    """Fingerprints of this run's pictures and their shots: no two shots may look the same."""
    really: dict[str, str] = field(default_factory=dict)
    """By planned key, the key of what ran in its place: memory had run out, and pixels differ."""

    def has(self, key: str) -> bool:
        """Whether the node planned as `key` is finished, as planned or as it really ran."""
        return self.store.has(ran(self.really, key))

    def heed(self, stage: str) -> None:
        """Raise Interrupted where the run was cancelled, in `stage`'s name."""
        if self.cancelled():
            raise Interrupted(f"{stage} was cancelled; what was finished is kept")

    def follow(self, node: Node) -> Node:
        """Return the node with inputs as they really ran: what it is made from is in its key."""
        inputs = {
            port: NodeOutput(ran(self.really, source.key), source.port)
            if isinstance(source, NodeOutput)
            else source
            for port, source in node.inputs.items()
        }
        if inputs == node.inputs:
            return node
        followed = replace(node, inputs=inputs)
        self.really[node.key] = followed.key
        return followed

    def path(self, node: Node, port: str) -> Path:
        """Return the file behind an input port: an asset of the store, or the user's own file."""
        source = node.inputs[port]
        if isinstance(source, InputFile):
            return self.home.inside(source.path)
        return self.store.output(source.key, source.port)


@dataclass(frozen=True, slots=True)
class Stage:
    """One word of the pipeline."""

    id: str
    version: int
    takes: Mapping[str, PortType]
    gives: Mapping[str, PortType]
    lane: Lane
    decide: Callable[[Cell], Decision | None]
    """None where there is nothing to do: no node, and its ports are as if unwired."""
    run: Callable[[Sequence[Node], Studio, Path], Iterator[Made]]
    """`run(nodes, studio, workspace)`: nodes of one shot, cheap to make together; yields each
    as soon as it is done, its drafts inside `workspace`."""
    uses: Literal["picture", "clip"] | None = None
    """Which of the profile's models it draws with."""
    optional: frozenset[str] = frozenset()
    """Input ports that a pipeline may leave unwired."""
    pictured: frozenset[str] = frozenset()
    """Input ports of a picture, which a clip from words alone has not."""
    measured: frozenset[str] = frozenset()
    """Input ports of which it asks only what `Cell.pictures` says: their files are not its inputs,
    and what is in them changes no key."""
    worded: bool = False
    """What it decides depends on the shot's own words (product, day), not on pictures and settings
    alone: it is asked for every shot."""
    asked: Callable[[Settings], bool] = lambda _: True
    """Whether a shot's settings want it at all; where they do not, nothing is wired or decided."""

    def spares(self, port: str, *, words_alone: bool) -> bool:
        """Return whether it can do without an input, in a shot whose clip is from words alone."""
        return port in self.optional or (words_alone and port in self.pictured)
