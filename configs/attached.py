"""Settings that name a file of the home: a sound, subtitles, a font.

A setting says what kind of file it wants; whoever resolves the campaign finds, hashes and reads it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import BaseModel, StringConstraints
from pydantic.fields import FieldInfo

Kind = Literal["sound", "font", "subtitles"]


@dataclass(frozen=True, slots=True)
class Attached:
    """Marks a text setting as the path of a file inside the home."""

    kind: Kind


_Path = StringConstraints(min_length=1, max_length=400)
SoundFile = Annotated[str, _Path, Attached("sound")]
"""Music or a voice: anything that ffmpeg reads."""
FontFile = Annotated[str, _Path, Attached("font")]
"""A TTF or OTF file."""
SubtitleFile = Annotated[str, _Path, Attached("subtitles")]
"""An SRT file."""


def attached_in(settings: BaseModel, prefix: str) -> Iterator[tuple[str, Kind, str]]:
    """Yield each file that settings name: the setting's path, the file's kind and path.

    Args:
        settings: of one stage, or a declaration inside them.
        prefix: the path of `settings` themselves, such as `sound`.
    """
    for name, field in type(settings).model_fields.items():
        value, path = getattr(settings, name), f"{prefix}.{name}"
        for each in value if isinstance(value, tuple) else (value,):
            if isinstance(each, BaseModel):
                yield from attached_in(each, path)
            elif isinstance(each, str) and (kind := _kind(field)):
                yield path, kind, each


def _kind(field: FieldInfo) -> Kind | None:
    """Return the kind of file that a setting names; also where it may be left out."""
    marks = [*field.metadata, *(mark for part in _parts(field.annotation) for mark in part)]
    return next((mark.kind for mark in marks if isinstance(mark, Attached)), None)


def _parts(annotation: object) -> Iterator[tuple[object, ...]]:
    """Yield the metadata of each part of a union."""
    for part in getattr(annotation, "__args__", ()):
        yield getattr(part, "__metadata__", ())
