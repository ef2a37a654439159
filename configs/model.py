"""Models and profiles: which weights draw, and which device runs which of them."""

from __future__ import annotations

from typing import Annotated, Literal, Self, get_args

from pydantic import Field, StringConstraints, model_validator

from configs.base import Aspect, Declaration, Json, Slug, Words
from configs.lora import SEGMENT, Loras

FOLDER = r"^[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9][A-Za-z0-9._-]*)*$"
Folder = Annotated[str, StringConstraints(pattern=FOLDER)]
Count = Annotated[int, Field(ge=1)]
Amount = Annotated[float, Field(ge=0)]
Size = tuple[Annotated[int, Field(ge=16, le=8192)], Annotated[int, Field(ge=16, le=8192)]]


WeightFile = Annotated[
    str,
    StringConstraints(
        pattern=rf"^({SEGMENT}/)*{SEGMENT}\.(safetensors|safetensors\.index\.json|gguf|pth)$"
    ),
]
"""A path inside `files.root`, e.g. `diffusion_models/z_image_turbo_bf16.safetensors`."""

PIPELINES = {
    "z-image-turbo": "ZImagePipeline",
    "z-image": "ZImagePipeline",
    "wan2.1-t2v-1.3b": "WanPipeline",
    "wan2.1-t2v-14b": "WanPipeline",
    "wan2.1-i2v-14b-480p": "WanImageToVideoPipeline",
    "wan2.1-i2v-14b-720p": "WanImageToVideoPipeline",
    "wan2.2-ti2v-5b": "WanImageToVideoPipeline",
    "wan2.2-i2v-a14b": "WanImageToVideoPipeline",
}
"""What each architecture that ships its configs (`gpu/checkpoint/architectures/`) is run by."""

MORE = {
    "transformer_2": ["wan2.2-i2v-a14b"],
    "image_encoder": ["wan2.1-i2v-14b-480p", "wan2.1-i2v-14b-720p"],
}
"""Files that only some architectures have, and these must."""


TURBO = ("wan2.1-t2v-1.3b", "wan2.1-t2v-14b", "wan2.2-i2v-a14b")
"""The architectures of which TurboDiffusion has distilled models; there is no other."""

TURBO_STEPS = 4
"""The most steps that they were distilled for."""

MAKES = {
    "ZImagePipeline": "picture",
    "WanImageToVideoPipeline": "clip",
    "WanPipeline": "text-clip",
}
"""What the pipelines make."""


class Files(Declaration):
    """Single weight files, such as those in ComfyUI's models folder."""

    architecture: Literal[
        "z-image-turbo",
        "z-image",
        "wan2.1-t2v-1.3b",
        "wan2.1-t2v-14b",
        "wan2.1-i2v-14b-480p",
        "wan2.1-i2v-14b-720p",
        "wan2.2-ti2v-5b",
        "wan2.2-i2v-a14b",
    ]
    """The published model that they are of: its configs ship with keyreel."""
    root: str = ""
    """The folder they lie in, e.g. `/opt/ComfyUI/models`; a relative one is in `models/`."""
    transformer: WeightFile
    transformer_2: WeightFile | None = None
    """The low-noise expert, of models with two."""
    text_encoder: WeightFile
    image_encoder: WeightFile | None = None
    """CLIP's, of models that also look at the first frame through it."""
    vae: WeightFile
    keep_packed: bool = False
    """Weights of 8 bits or fewer stay so in memory: the same pixels, slower, in half of it."""


class Turbo(Declaration):
    """How a model of TurboDiffusion's is sampled and attends; all of it changes pixels."""

    sampler: Literal["rcm-sde", "rcm-ode"] = "rcm-sde"
    """`rcm-sde` draws new noise in each step; `rcm-ode` walks straight on: sharper, less robust."""
    sigma_max: Annotated[float, Field(ge=15, le=10_000)]
    """Noise to picture at the start: 80 for text-to-video, 200 for image-to-video."""
    sla_share: Annotated[float, Field(gt=0, le=1)] = 0.1
    """Of all blocks of keys, those that a query attends to; 0.15 is slower and better."""


class Source(Declaration):
    """Where a model is published: what `keyreel models fetch` downloads, byte for byte."""

    repo: Annotated[str, StringConstraints(pattern=r"^[\w-][\w.-]*/[\w-][\w.-]*$")]
    """On the Hugging Face Hub; ModelScope has these models under the same names."""
    revision: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{40}$")]
    """The commit: a branch would be another model tomorrow."""
    licence: str
    gigabytes: Amount
    """Of 1e9 bytes, about; a fetch asks the publisher and says the exact size."""
    only: Annotated[tuple[str, ...], Field(min_length=1)] = ("*",)
    """Patterns of what to take, e.g. `tokenizer/*`; of it weights, configs and word lists."""


class Model(Declaration):
    """One entry of models.yaml."""

    makes: Literal["picture", "clip", "text-clip"]
    """A `clip` starts from a picture, a `text-clip` from words alone."""
    pipeline: Literal["ZImagePipeline", "WanImageToVideoPipeline", "WanPipeline"]
    folder: Folder
    """Inside `gpu/mini/weights` for shipped models, else inside the home's `models/`.

    Beside `files` it holds what no weight file does: tokenizer/tokenizer.json.
    """
    files: Files | None = None
    """The networks' weights, where they are single files; else all is in `folder`."""
    turbo: Turbo | None = None
    """For files of TurboDiffusion's, which are of no use without it."""
    loras: Loras = ()
    """Adapters that belong to the model, such as those that teach it to need four steps."""
    shipped: bool = False
    source: Source | None = None
    """Where `folder` can be downloaded from."""
    dialect: Literal["mini", "z-image", "wan"]
    sizes: dict[Aspect, Size]
    """Width and height in pixels for each aspect."""
    multiple: Count = 16
    """Sides must divide by this."""
    steps: Count
    min_steps: Count = 1
    """2 where the schedule ends at a noise of its own, which a single step cannot reach."""
    max_steps: Count = 50
    guidance: Amount = 0.0
    max_guidance: Amount = 0.0
    """0: the model was trained without; asking for guidance or a negative is an error."""
    max_tokens: Count = 512
    """A longer prompt is refused at plan time: the pipeline would cut it without a word."""
    frames: Annotated[int, Field(ge=0)] = 0
    """Frames of a clip: 4k+1, as the video autoencoder packs four to a latent frame."""
    max_frames: Annotated[int, Field(ge=0)] = 0
    euler_shift: Annotated[float, Field(gt=0, le=20)] | None = None
    """Plain Euler steps on a grid of this shift, which adapters for few steps were trained for.

    Left out: the sampler that comes with the weights. Only for clips.
    """
    fps: Annotated[int, Field(ge=0, le=120)] = 0
    """Frames a second that the clip was trained at."""
    memory_gb: Amount = 0
    """What the weights and their work take together."""
    fp8_memory_gb: Amount = 0
    """The same with `quantisation: fp8`; 0: not measured, and taken to be no less."""
    seconds: Amount = 1.0
    """A first guess of the time one picture or clip takes, until executions are recorded."""
    megabytes: Amount = 1.0
    """A first guess of the file's size."""
    note: Words = Words()

    def memory(self, quantisation: str) -> float:
        """Return the gigabytes that the weights and their work take, with this quantisation."""
        return (quantisation == "fp8" and self.fp8_memory_gb) or self.memory_gb

    @model_validator(mode="after")
    def _agrees_with_itself(self) -> Self:
        for problem in (
            self._sizes_wrong(),
            self._work_wrong(),
            self._clip_wrong(),
            self._files_wrong(),
            self._turbo_wrong(),
        ):
            if problem:
                raise ValueError(problem)
        return self

    def _sizes_wrong(self) -> str:
        missing = [aspect for aspect in get_args(Aspect) if aspect not in self.sizes]
        if missing:
            return f"sizes has no {missing[0]}; give all of {', '.join(get_args(Aspect))}"
        for aspect, (width, height) in self.sizes.items():
            if width % self.multiple or height % self.multiple:
                return f"sizes.{aspect}: {width}x{height} does not divide by {self.multiple}"
        return ""

    def _work_wrong(self) -> str:
        if self.steps > self.max_steps:
            return f"steps {self.steps} is above max_steps {self.max_steps}"
        if self.steps < self.min_steps:
            return f"steps {self.steps} is below min_steps {self.min_steps}"
        if self.guidance > self.max_guidance:
            return f"guidance {self.guidance:g} is above max_guidance {self.max_guidance:g}"
        if MAKES[self.pipeline] != self.makes:
            return f"{self.pipeline} does not make a {self.makes}"
        return ""

    def _clip_wrong(self) -> str:
        if self.makes == "picture":
            clips = self.frames or self.fps or self.euler_shift
            return "a picture has no frames, fps or euler_shift" if clips else ""
        if self.frames % 4 != 1 or self.max_frames % 4 != 1 or self.frames > self.max_frames:
            return "frames and max_frames are 4k+1, and frames at most max_frames; e.g. 81"
        return "" if self.fps else "is missing `fps`"

    def _files_wrong(self) -> str:
        if not self.files:
            return ""
        architecture = self.files.architecture
        if PIPELINES[architecture] != self.pipeline:
            return f"files.architecture: {self.pipeline} does not run {architecture}"
        for name, architectures in MORE.items():
            if (architecture in architectures) != bool(getattr(self.files, name)):
                has = "needs" if architecture in architectures else "has no"
                return f"files.{name}: {architecture} {has} {name}"
        return "shipped models have no `files`" if self.shipped else ""

    def _turbo_wrong(self) -> str:
        if not self.turbo:
            return ""
        if not self.files or self.files.architecture not in TURBO:
            return f"turbo: is for TurboDiffusion's `files`, of {', '.join(TURBO)}"
        if self.max_steps > TURBO_STEPS:
            return f"max_steps {self.max_steps}: `turbo` models were made for 1 to {TURBO_STEPS}"
        if self.euler_shift:
            return "euler_shift: `turbo` has a sampler of its own; leave one of them out"
        return "max_guidance: `turbo` models know no guidance" if self.max_guidance else ""


Attention = Literal[
    "native",
    "_native_cudnn",
    "_native_efficient",
    "_native_flash",
    "_native_math",
    "flex",
    "flash",
    "_flash_3",
    "sage",
    "xformers",
]
"""Backends of diffusers that download nothing; those after `flex` need a package of their own."""


Quantisation = Literal["none", "fp8"]
"""fp8: products of 8-bit floats, one scale for each token and output channel."""


class Profile(Declaration):
    """What a device runs."""

    device: Literal["cpu", "cuda"]
    min_memory_gb: Amount = 0
    """A card with less than this does not take the profile by itself."""
    picture: Slug
    """The model of keyframes, an id of models.yaml."""
    clip: Slug
    """The model of clips, which start from a picture."""
    text_clip: Slug | None = None
    """The model of clips from words alone; left out: a picture is drawn first, and animated."""
    dtype: Literal["auto", "bfloat16", "float32"] = "auto"
    budget_gb: Annotated[float, Field(gt=0)]
    """Loaded weights above this are evicted, least recently used first."""
    offload: Literal["auto", "none", "model", "group"] = "auto"
    """Weights wait in main memory: `model` moves in one network at a time, `group` one layer at a
    time; `auto` is `none` where the model's memory_gb fits. Changes no pixel."""
    vae_tiling: bool = False
    """The autoencoder works on tiles: less memory, other pixels at the seams."""
    attention: Attention = "native"
    """A backend of diffusers; another one gives other pixels."""
    compile: bool = False
    """Compile the networks' repeated parts: a minute once, then faster steps; other pixels."""
    quantisation: Quantisation = "none"
    """How transformers multiply: fp8 takes half the memory and time, and a card of 2022 or later;
    other pixels."""
    settings: dict[str, Json] = {}
    """Settings for all campaigns run with this profile, nested or dotted."""
    note: Words = Words()

    @property
    def models(self) -> tuple[str, ...]:
        """The ids of all models that it draws with."""
        return tuple(name for name in (self.picture, self.clip, self.text_clip) if name)
