"""The forms of single clips, as Prefect draws them: titles and descriptions are for marketers.

What a model can do is asked of models.yaml, and told in the form's own words.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field

from configs.base import Declaration, Json
from configs.errors import BadInput
from configs.library import Library
from configs.model import Model, Profile
from configs.settings import Motion, Seed
from configs.wording import unknown
from flows.offers import Blank, Offers, campaigns, models

Shape = Literal["9:16", "3:4", "1:1", "4:3", "16:9"]
Resolution = Literal["model's own", "480p", "720p"]

AREAS: dict[str, tuple[int, int]] = {"480p": (330_000, 500_000), "720p": (750_000, 1_050_000)}
"""Pixels of a frame: 640x480 to 832x480 and a little around it, and 960x720 to 1280x720."""

PictureModel = Annotated[str, Offers(models("picture"), ("auto",))]
ClipModel = Annotated[str, Offers(models("clip"), ("auto",))]
AnyClipModel = Annotated[str, Offers(models("text-clip", "clip"), ("auto",))]
Movement = Annotated[
    str,
    Field(
        max_length=4000,
        title="What happens",
        description="What moves besides the camera, in your words, Chinese or English. Empty: the "
        "camera alone. The small built-in model knows camera moves only.",
    ),
]
Look = Annotated[str, Offers(campaigns, ("none",))]


def _drawn(schema: dict[str, Any], form: type[Declaration]) -> None:
    """Put what only this form asks for first, and leave empty what is not filled in.

    A default of null would be sent, and refused as no number.
    """
    fields = schema["properties"]
    own = {name: fields[name] for name in form.__annotations__ if name in fields}
    schema["properties"] = own | fields
    for field in fields.values():
        if field.get("default", "") is None:
            del field["default"]


class Form(Declaration):
    """What both forms ask for."""

    model_config = ConfigDict(json_schema_extra=_drawn)

    motion: Motion = Field(
        "auto",
        title="Camera",
        description="How the camera moves. “auto” chooses a move that suits; “static” holds still.",
    )
    shape: Shape = Field(
        "9:16",
        title="Shape",
        description="Width to height: 9:16 upright for phones, 1:1 square, 16:9 for wide screens.",
    )
    resolution: Resolution = Field(
        "model's own",
        title="Resolution",
        description="Size of the short side. A model draws at the size it was made for: 480p or "
        "720p is refused where that is another one.",
    )
    seconds: Annotated[float | None, Blank()] = Field(
        None,
        gt=0,
        le=60,
        title="Length in seconds",
        description="Empty: the model's usual length.",
    )
    model: ClipModel = Field(
        "auto",
        title="Clip model",
        description="Which model makes the picture move. “auto”: what suits this machine.",
    )
    steps: Annotated[int | None, Blank()] = Field(
        None,
        ge=1,
        le=100,
        title="Steps of the clip",
        description="More steps take longer and may look cleaner. Empty: what the model needs.",
    )
    seed: Annotated[Seed | None, Blank()] = Field(
        None,
        title="Seed",
        description="The number that chance starts from: the same form with the same seed gives "
        "the same clip. Empty: a new one is drawn and kept with the run. 0 is a seed.",
    )
    look: Look = Field(
        "none",
        title="Brand of",
        description="A campaign whose brand name, logo and signature the clip bears. “none”: "
        "no logo.",
    )

    def check(self, library: Library, name: str) -> None:
        """Hold what is asked for against what the clip model can do.

        Args:
            library: which knows all models.
            name: the clip model's.

        Raises:
            BadInput: in the form's words.
        """
        if message := library.misfit("clip", name, words=isinstance(self, TextToVideo)):
            raise BadInput(f"Clip model: {message}")
        _check_clip(self, name, library.models[name])

    def clip_model(self, profile: Profile) -> str:
        """Return the model that makes the clip on a machine of this profile."""
        return profile.clip if self.model == "auto" else self.model

    def words(self) -> dict[str, Json]:
        """Return what the models are told of it, as it stands."""
        return {}


def _check_clip(form: Form, name: str, model: Model) -> None:
    if form.steps and not model.min_steps <= form.steps <= model.max_steps:
        much = "more" if form.steps > model.max_steps else "less"
        raise BadInput(
            f"Steps of the clip: {form.steps} is {much} than {name} takes; write {model.min_steps} "
            f"to {model.max_steps}, or leave it empty for its {model.steps}"
        )
    longest = model.max_frames / model.fps
    if form.seconds and form.seconds > longest:
        raise BadInput(
            f"Length in seconds: {form.seconds:g} is longer than {name} can make; write up to "
            f"{longest:.1f}"
        )
    if form.resolution != "model's own":
        able = [size for size, area in AREAS.items() if _within(model, area)]
        if form.resolution not in able:
            own = able[0] if able else "x".join(map(str, model.sizes["landscape"]))
            raise BadInput(
                f"Resolution: {name} draws at {own}, not {form.resolution}; choose "
                f"{' or '.join([*able, 'model’s own'])}, or another clip model"
            )


def _within(model: Model, area: tuple[int, int]) -> bool:
    return all(area[0] <= width * height <= area[1] for width, height in model.sizes.values())


class TextToVideo(Form):
    """A clip from words: from them alone, or by a picture that is drawn first and then moves."""

    prompt: str = Field(
        min_length=1,
        max_length=4000,
        title="What to show",
        description="In Chinese or English. The model that draws gets exactly these words.",
    )
    movement: Movement = ""
    model: AnyClipModel = Field(
        "auto",
        title="Clip model",
        description="Which model makes the clip: some from words alone, others of a picture that "
        "is drawn first. “auto”: what suits this machine, from words alone if it can.",
    )
    picture_model: PictureModel = Field(
        "auto",
        title="Picture model",
        description="Name one to have a picture drawn first, which then moves. “auto”: what suits "
        "this machine, where the clip is not made from words alone.",
    )

    def check(self, library: Library, name: str) -> None:
        """Hold the form against the models; see `Form.check`."""
        super().check(library, name)
        if self.picture_model == "auto":
            return
        known = library.making("picture")
        if self.picture_model not in known:
            raise BadInput(f"Picture model: {unknown('model', self.picture_model, known)}")
        if library.models[name].makes == "text-clip":
            raise BadInput(
                f"Picture model: {name} makes clips from words alone; leave this “auto”, or choose "
                "another clip model"
            )

    def clip_model(self, profile: Profile) -> str:
        """Return the model that makes the clip: from words alone where nothing else is asked."""
        if self.model == self.picture_model == "auto" and profile.text_clip:
            return profile.text_clip
        return super().clip_model(profile)

    def words(self) -> dict[str, Json]:
        """Return what the models are told of it, as it stands."""
        return {"picture": self.prompt, "movement": self.movement or None}


class ImageToVideo(Form):
    """A clip from a picture of your own: it moves."""

    picture: str = Field(
        min_length=1,
        max_length=400,
        title="Picture",
        description="A file of the home, such as brand/mug.jpg.",
    )
    movement: Movement = ""

    def words(self) -> dict[str, Json]:
        """Return what the models are told of it, as it stands."""
        return {"movement": self.movement or None}
