"""The settings of every stage, with their defaults: the lowest layer.

A pipeline's `with`, then profile, brand, campaign and shot override are laid over it.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from configs.attached import SoundFile
from configs.base import Declaration, Fraction
from configs.caption import Caption
from configs.labels import Label, Sign
from configs.lora import Loras
from configs.title import Title

Move = Literal[
    "push-in",
    "pull-out",
    "orbit-left",
    "orbit-right",
    "pan-left",
    "pan-right",
    "tilt-up",
    "tilt-down",
    "turntable",
    "static",
]
Motion = Literal["auto", Move]
Position = Literal[
    "top-left", "top", "top-right", "bottom-left", "bottom", "bottom-right", "center"
]
Seed = Annotated[int, Field(ge=0, lt=2**63)]
Steps = Annotated[int, Field(ge=1, le=100)]
Guidance = Annotated[float, Field(ge=0, le=30)]


class Expand(Declaration):
    """How a shot's intent becomes the models' prompts."""

    expander: Literal["template", "endpoint", "local"] = "template"
    """`endpoint`: any OpenAI-compatible server; `local`: a transformers causal model."""


class Keyframe(Declaration):
    """The still picture that opens a clip."""

    model: str | None = None
    """An id of models.yaml; left out: the profile's picture model."""
    steps: Steps | None = None
    """Denoising steps; left out: the model's own number."""
    guidance: Guidance | None = None
    """As diffusers counts it: 0 is off, and a ComfyUI cfg of 4 is 3 here."""
    seed: Seed | None = None
    """Left out: the shot's own."""
    negative: str = ""
    """What the picture must not show; only for models that use guidance."""
    loras: Loras = ()
    """Adapters over the model, e.g. `[{file: brand.safetensors, weight: 0.8}]`, all at once."""


class Animate(Declaration):
    """The clip made from a picture, or from words alone."""

    model: str | None = None
    """An id of models.yaml; left out: the profile's clip model, or its `text_clip` where the
    pipeline makes clips from words alone."""
    motion: Motion = "auto"
    """`auto` draws one by the shot's seed."""
    seconds: Annotated[float, Field(gt=0, le=60)] | None = None
    """Left out: the model's own length."""
    steps: Steps | None = None
    """Denoising steps; left out: the model's own number."""
    guidance: Guidance | None = None
    """Left out: the model's own; 1 and below is off."""
    seed: Seed | None = None
    """Left out: the shot's own."""
    loras: Loras = ()
    """Adapters over the model, e.g. `[{file: brand.safetensors, weight: 0.8}]`, all at once."""


class Watermark(Declaration):
    """The brand's logo over the delivery."""

    position: Position = "top-right"
    """The corner or edge of the platform's safe box."""
    width: Annotated[float, Field(gt=0, le=0.5)] = 0.10
    """Logo width as a fraction of the frame's width."""
    opacity: Fraction = 0.6
    """1 is solid."""
    margin: Annotated[float, Field(ge=0, le=0.2)] = 0.045
    """Distance to the edge as a fraction of the short side."""
    variant: Literal["auto", "light", "dark"] = "auto"
    """`auto` looks at the picture beneath."""


class Sound(Declaration):
    """What is heard: music, a voice, or both; nothing where neither is named."""

    music: SoundFile | None = None
    """A file inside the home, e.g. `brand/spring.mp3`."""
    voice: SoundFile | None = None
    """A file inside the home; it must fit into the clip."""
    voice_at: Annotated[float, Field(ge=0, le=60)] = 0
    """Seconds from the start."""
    music_gain: Annotated[float, Field(ge=-40, le=6)] = -12
    """Decibels of the music under a voice."""
    fade: Annotated[float, Field(ge=0.01, le=10)] = 0.5
    """Seconds in which the music ends."""
    loop: bool = True
    """Music that is shorter than the clip is played again."""
    loudness: Annotated[float, Field(ge=-30, le=-9)] = -14
    """LUFS; platforms play at -14 and turn down what is louder."""

    @property
    def asked(self) -> bool:
        """Whether anything is to be heard."""
        return bool(self.music or self.voice)


class Export(Declaration):
    """The file that a platform takes."""

    fit: Literal["auto", "crop", "blur", "letterbox"] = "auto"
    """`auto` crops between neighbouring shapes, and pads with a blurred copy otherwise."""
    preset: Literal["ultrafast", "veryfast", "medium", "slow"] = "veryfast"
    """Of x264; `veryfast` has the size and likeness of `medium` at 0.4 of its time."""
    crf: Annotated[int, Field(ge=0, le=40)] = 20
    """Quality of x264: smaller is better and larger, 18 looks lossless."""
    quality: Annotated[int, Field(ge=1, le=100)] = 90
    """Of JPEG and WebP stills and covers."""
    fps: Annotated[int, Field(ge=1, le=120)] | None = None
    """Left out: the smallest multiple of the clip's rate that the platform takes."""
    between: Literal["auto", "repeat", "blend", "motion"] = "auto"
    """What stands between two frames of the clip where the file has more of them: the first again,
    a mix of both, or what a search for motion draws. `auto` repeats where the rate is a multiple of
    the clip's, and mixes otherwise."""
    mark: bool = True
    """An invisible mark in stills: it leads back to the catalog where all metadata is gone."""


class Settings(Declaration):
    """All stages' settings; a dotted path such as `animate.motion` names one of them."""

    expand: Expand = Expand()
    keyframe: Keyframe = Keyframe()
    animate: Animate = Animate()
    title: Title = Title()
    watermark: Watermark = Watermark()
    label: Label = Label()
    sign: Sign = Sign()
    sound: Sound = Sound()
    export: Export = Export()
    caption: Caption = Caption()
