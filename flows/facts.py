"""All that a plan stands on, gathered before it: what was declared, and what was found.

Plain data. `flows/resolve.py` gathers it; `flows/plan.py` asks nothing else.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass, field

from catalogs.node import Address, InputFile
from catalogs.record import Review
from configs.base import Json
from configs.campaign import Campaign
from configs.layers import Layers
from configs.library import Library
from configs.load import Loaded
from configs.marks import Marks
from configs.model import Profile
from configs.pipeline import Pipeline
from configs.prompt import Template
from configs.settings import Settings
from configs.tokens import Counter
from configs.vocabulary import Vocabulary
from flows.shots import Shot
from tasks.stage import Attachment
from tasks.stages import STAGES

Recipe = Mapping[str, Json]
"""`Node.recipe()` as a record kept it."""


@dataclass(frozen=True, slots=True)
class Picture:
    """A user's own picture: its hash, and its size in pixels as it is seen upright."""

    file: InputFile
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Cost:
    """What one node takes."""

    seconds: float
    bytes: float


@dataclass(frozen=True, slots=True)
class Facts:
    """What was found on this machine, on this day, in this home."""

    today: dt.date
    """In the campaign's timezone."""
    seed: int
    logos: Mapping[str, InputFile]
    """The brand's files by role: `logo`, `logo_on_dark`, `certificate`."""
    logo: tuple[int, int] | None
    """Width and height of what can be seen of the brand's logo."""
    photos: Mapping[str, Picture]
    """By product id, where the product has an own photo."""
    fingerprints: Mapping[str, str]
    """By model id, of the models that the campaign draws with."""
    pixels: Mapping[str, str]
    """Device kind, dtype and whatever else of the profile changes pixels."""
    held: Set[str]
    """Keys of finished nodes."""
    previous: Mapping[Address, str]
    """The key that each address had when it was last made."""
    recipe: Callable[[str], Recipe | None]
    """Reads a finished node's recipe; asked only for what went stale, as there may be 100,000."""
    costs: Mapping[tuple[str, str], Cost]
    """Medians of what was recorded, by kind of stage and model fingerprint."""
    expansions: Mapping[str, str]
    """What a language model made of the prompts, by the key of what it was asked."""
    loras: Mapping[str, InputFile] = field(default_factory=dict)
    """The adapters that models or shots name, by their path in `models/loras/`."""
    attached: Mapping[str, Attachment] = field(default_factory=dict)
    """The files that shots' settings name, by the path they give."""
    verdicts: Mapping[str, Review] = field(default_factory=dict)
    """The last verdict on each keyframe that has one, by its key."""


@dataclass(frozen=True, slots=True)
class Resolved:
    """A campaign with everything it names looked up."""

    loaded: Loaded
    pipeline: Pipeline
    pipeline_marks: Marks
    profile_id: str
    profile: Profile
    library: Library
    layers: Layers
    templates: Mapping[str, Template]
    vocabulary: Vocabulary | None
    """The words that a small picture model was taught."""
    counters: Mapping[str, Counter]
    """Counts tokens, by model folder."""
    shots: tuple[Shot, ...]
    facts: Facts

    @property
    def campaign(self) -> Campaign:
        """The brief itself."""
        return self.loaded.campaign

    def words_alone(self, shot: Shot) -> str:
        """Return the model that makes a shot's clip from words alone; "" where none does."""
        if not self.pipeline.from_words:
            return ""
        return words_alone(shot, self.settings(shot), self.profile, self.library)

    def settings(self, shot: Shot, stage: str = "") -> Settings:
        """Return a shot's settings, or those of a stage that is not named like its kind."""
        return self.layers.settings(shot.axes, stage)


def words_alone(shot: Shot, settings: Settings, profile: Profile, library: Library) -> str:
    """Return the model that can make a shot's clip from words alone; "" where none does.

    An own photo always comes first, and a model that makes clips of pictures has one drawn.
    """
    name = settings.animate.model or profile.text_clip
    if shot.product.image or name is None or library.models[name].makes != "text-clip":
        return ""
    return name


def model_of(kind: str, settings: Settings, profile: Profile, alone: str = "") -> str:
    """Return the id of the model that a kind of stage draws with; "" where it uses none.

    Args:
        kind: of the stage.
        settings: the shot's, for this stage.
        profile: whose models are used where the settings name none.
        alone: the model that makes the shot's clip from words alone, if one does.
    """
    uses = STAGES[kind].uses
    if uses is None:
        return ""
    own: str | None = getattr(settings, kind).model
    return own or (profile.picture if uses == "picture" else alone or profile.clip)
