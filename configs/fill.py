"""From a YAML file's values to a declaration, or to one error that names every wrong line."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from configs.base import Declaration
from configs.errors import BadField
from configs.marks import Marks, Part, read
from configs.wording import problems

D = TypeVar("D", bound=Declaration)


def fill(marks: Marks, declaration: type[D], at: Sequence[Part] = ()) -> D:
    """Return the declaration that the values at `at` say.

    Raises:
        BadField: naming all wrong values; its first line is the first of them.
    """
    try:
        return declaration.model_validate(marks.spot(at).value)
    except ValidationError as error:
        raise BadField.several(problems(error, declaration, marks, at)) from None


def load(path: Path, declaration: type[D]) -> tuple[D, Marks]:
    """Read one YAML file into a declaration, with the place of each of its values.

    Raises:
        BadField: see `configs.marks.read` and `fill`.
    """
    marks = read(path)
    return fill(marks, declaration), marks
