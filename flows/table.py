"""A table of clips, CSV or JSONL: a prompt, a picture or both in each row."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated

from pydantic import Field

from configs.base import Declaration, Json, Slug
from configs.errors import BadField, BadInput
from configs.fill import fill
from configs.library import Library
from configs.marks import MAX_BYTES, Marks, Spot, shown
from configs.model import Profile
from configs.settings import Motion, Seed, Steps
from flows.forms import Form, ImageToVideo, TextToVideo

MOST_ROWS = 1000
"""A thousand clips are a day's work of a card; a form's typo should not begin more."""
COMMON = ("shape", "resolution", "model", "look", "motion", "seconds", "steps")
"""What a row takes from the form where it says nothing itself."""


class Row(Declaration):
    """One line of the table."""

    name: Slug | None = None
    """In the file's name; left out: the line's number."""
    prompt: Annotated[str, Field(max_length=4000)] = ""
    """What to show; beside a picture, what happens in it."""
    picture: Annotated[str, Field(max_length=400)] = ""
    """A file of the home."""
    motion: Motion | None = None
    seconds: Annotated[float, Field(gt=0, le=60)] | None = None
    steps: Steps | None = None
    seed: Seed | None = None

    def form(self, common: Form, seed: int) -> Form:
        """Return the row as a filled-in form.

        Args:
            common: what holds for all rows.
            seed: where the row has none.

        Raises:
            BadInput: where it has neither a prompt nor a picture.
        """
        own = self.model_dump(include={"motion", "seconds", "steps"}, exclude_none=True)
        told = {**common.model_dump(include=set(COMMON)), **own}
        told["seed"] = seed if self.seed is None else self.seed
        if self.picture:
            return ImageToVideo(picture=self.picture, movement=self.prompt, **told)
        if not self.prompt:
            raise BadInput("has neither a prompt nor a picture; write one of them")
        return TextToVideo(prompt=self.prompt, **told)


def read_table(
    path: Path, common: Form, library: Library, profile: Profile
) -> dict[str, tuple[int, Form]]:
    """Return the line and the form of every row, by its name.

    Args:
        path: a .csv with a line of column names, or a .jsonl.
        common: the form with a seed; its fields hold where a row says nothing.
        library: knows the models.
        profile: this machine's.

    Raises:
        BadField: naming every row that is wrong, at its line.
    """
    found: dict[str, tuple[int, Form]] = {}
    errors: list[BadField] = []
    for line, values in _lines(path):
        try:
            row = fill(Marks(shown(path), Spot.of(dict(values), line)), Row)
            name = row.name or f"row-{line}"
            if name in found:
                raise BadInput(f"name: {name!r} stands on line {found[name][0]} already")
            form = row.form(common, _seed(common, name))
            form.check(library, form.clip_model(profile))
            found[name] = line, form
        except BadField as error:
            errors += error.errors
        except BadInput as error:
            errors.append(BadField(str(error), shown(path), line))
    if errors:
        raise BadField.several(errors)
    if not found:
        raise BadField("has no rows; write one for each clip", shown(path))
    return found


def _seed(common: Form, name: str) -> int:
    """Return a row's seed: from the batch's and its name, so that a row inserted changes none."""
    from flows.resolve import first_seed

    return first_seed(None, None, f"{common.seed}\n{name}")


def _lines(path: Path) -> Iterator[tuple[int, Mapping[str, Json]]]:
    name, kind = shown(path), path.suffix.lower()
    if kind not in (".csv", ".jsonl"):
        raise BadField("is no table that is read: save it as .csv or .jsonl", name)
    rows = _csv(_text(path), name) if kind == ".csv" else _jsonl(_text(path), name)
    for count, row in enumerate(rows):
        if count == MOST_ROWS:
            raise BadField(f"has more than {MOST_ROWS:,} rows; split it", name, row[0])
        yield row


def _text(path: Path) -> str:
    name = shown(path)
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise BadField(f"cannot be read: {error.strerror}", name) from None
    if len(raw) > MAX_BYTES:
        raise BadField(f"is larger than {MAX_BYTES >> 10} KiB; split it", name)
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise BadField("is not UTF-8; save it as “CSV UTF-8”", name, line) from None


def _csv(text: str, name: str) -> Iterator[tuple[int, Mapping[str, Json]]]:
    reader, line = csv.DictReader(io.StringIO(text), strict=True), 0
    try:
        reader.fieldnames  # noqa: B018  (reads the first line)
        line = reader.line_num
        for cells in reader:
            if None in cells:
                raise BadField("has more cells than there are column names", name, line + 1)
            filled = {key.strip(): cell.strip() for key, cell in cells.items() if cell}
            if any(filled.values()):
                yield line + 1, {key: cell for key, cell in filled.items() if cell}
            line = reader.line_num
    except csv.Error as error:
        raise BadField(f"is not CSV: {error}", name, line + 1) from None


def _jsonl(text: str, name: str) -> Iterator[tuple[int, Mapping[str, Json]]]:
    for line, said in enumerate(text.split("\n"), 1):
        if not said.strip():
            continue
        try:
            row = json.loads(said)
        except (ValueError, RecursionError) as error:
            raise BadField(f"is not JSON: {error}", name, line) from None
        if not isinstance(row, dict):
            raise BadField('is no object; write {"prompt": …}', name, line)
        yield line, row
