"""The base of every declaration: frozen, unknown keys forbidden; and text in two languages."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    JsonValue,
    StringConstraints,
    model_validator,
)
from pydantic_core import CoreSchema

Language = Literal["zh", "en"]
Aspect = Literal["portrait", "square", "landscape"]
Json = JsonValue

SLUG = r"^[a-z0-9]([a-z0-9._-]{0,62}[a-z0-9])?$"
Slug = Annotated[str, StringConstraints(pattern=SLUG)]
"""A name that is safe as a folder name on every filesystem."""

Fraction = Annotated[float, Field(ge=0, le=1)]


class Declaration(BaseModel):
    """A frozen declaration read from YAML; a key it does not know is an error."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        strict=False,
        allow_inf_nan=False,
    )


def aspect_of(width: int, height: int) -> Aspect:
    """Return the shape whose pictures are cut to this size: its neighbours lie on one side of 1:1.

    Portrait is 9:16 to 4:5, landscape 4:3 and wider.
    """
    ratio = width / height
    return "square" if 0.9 < ratio < 1 / 0.9 else "portrait" if ratio < 1 else "landscape"


class Words(Declaration):
    """One phrase in Chinese and English; plain text in YAML stands for both."""

    zh: str = ""
    en: str = ""

    @model_validator(mode="before")
    @classmethod
    def _plain_text_is_both(cls, value: object) -> object:
        return {"zh": value, "en": value} if isinstance(value, str) else value

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return {"anyOf": [{"type": "string"}, handler(core)]}

    def say(self, language: Language) -> str:
        """Return the phrase in `language`, or in the other one where it was left out."""
        return (self.zh or self.en) if language == "zh" else (self.en or self.zh)
