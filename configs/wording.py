"""What is wrong with a value, in one sentence a person can act on.

Turns pydantic's errors into: what stands there, what to write instead, the nearest right word.
"""

from __future__ import annotations

import re
import types
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from itertools import islice
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from configs.base import SLUG, Declaration, Json
from configs.campaign import CLOCK, COLOUR, LOCALE, REASON
from configs.errors import BadField
from configs.lora import LORA_FILE
from configs.marks import Marks, Part, Place
from configs.model import FOLDER

MOST_TOLD = 50
"""Errors of one file: a hostile one has as many as it has values, and each costs a comparison."""
MOST_COMPARED = 2000
MOST_LISTED = 24

_PATTERNS = {
    SLUG: "lower-case letters, digits, `.`, `_` and `-`, 64 at most, the ends a letter or digit",
    LOCALE: "language and territory, `zh_CN`",
    FOLDER: "a folder inside models/, letters, digits, `.`, `_` and `-`",
    COLOUR: "`#RRGGBB` or a colour's name",
    REASON: "a reason of 4 to 400 characters, on one line",
    CLOCK: 'a time of day in quotes, "18:30"',
    LORA_FILE: "a .safetensors file inside models/loras/",
}
_WANTED = {
    "string_type": "text (in quotes where it looks like a number)",
    "int_": "a whole number",
    "float_": "a number",
    "finite_number": "a number",
    "bool_": "true or false",
    "dict_type": "keys with values, `{{key: value}}`",
    "model_type": "keys with values, `{{key: value}}`",
    "tuple_type": "a list, `[a, b]`",
    "date_": "a date, `2026-03-02`",
    "literal_error": "{expected}",
    "greater_than_equal": "a value of at least {ge}",
    "greater_than": "a number above {gt}",
    "less_than_equal": "a value of at most {le}",
    "less_than": "a number below {lt}",
    "multiple_of": "a multiple of {multiple_of}",
    "too_short": "at least {min_length} item",
    "too_long": "at most {max_length} items",
    "string_too_long": "at most {max_length} characters",
}


def nearest(word: object, words: Iterable[str], called: Mapping[str, str] = {}) -> str:
    """Return `; did you mean 'x'?` for the closest of `words`, or nothing where none is close.

    Args:
        word: that somebody wrote.
        words: that may be written.
        called: what else people call them, with the word that is meant.
    """
    if not isinstance(word, str):
        return ""
    if "，" in word:
        return "; items are parted by `,`, not by `，`"
    lowered = {known.lower(): known for known in islice(words, MOST_COMPARED)}
    lowered = {name.lower(): meant for name, meant in called.items()} | lowered
    found = get_close_matches(word[:80].lower(), lowered, n=1, cutoff=0.6)
    return f"; did you mean {lowered[found[0]]!r}?" if found else ""


def unknown(what: str, word: object, words: Iterable[str], called: Mapping[str, str] = {}) -> str:
    """Return the sentence for a name that is not among `words`; see `nearest` for `called`."""
    known = sorted(words)
    chinese = {meant: f" ({name})" for name, meant in called.items() if not name.isascii()}
    some = ", ".join(each + chinese.get(each, "") for each in known[:MOST_LISTED])
    listed = some + (", …" if len(known) > MOST_LISTED else "")
    hint = f"; known: {listed}" if known else "; there is none"
    return f"no {what} {short(word)}{nearest(word, known, called) or hint}"


def short(value: object) -> str:
    """Return a value's repr, cut to what fits a message."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:40]}…{text[-12:]}"


def problems(
    error: ValidationError,
    declaration: Any,  # noqa: ANN401  (annotations have no common type)
    marks: Marks,
    at: Place = (),
) -> list[BadField]:
    """Return what pydantic found wrong with the values under `at`, each at its own place.

    Args:
        error: pydantic's.
        declaration: the class, or the annotation, of the value at `at`.
        marks: of the file.
        at: path to the value.
    """
    found = _by_place(error, marks, at)
    made: list[BadField] = []
    strangers = {path for path, errors in found.items() if errors[0]["type"] == "extra_forbidden"}
    for path, errors in found.items():
        known = keys_at(declaration, path[len(at) : -1])
        if path in strangers:
            hint = nearest(path[-1], known) or f"; known here: {', '.join(known) or 'nothing'}"
            made.append(marks.bad(path, f"unknown key{hint}", key=True))
        elif errors[0]["type"] == "missing":
            siblings = [str(other[-1]) for other in strangers if other[:-1] == path[:-1]]
            if not any(repr(path[-1]) in nearest(sibling, known) for sibling in siblings):
                made.append(marks.bad(path, f"is missing; add `{path[-1]}: …`"))
        elif wrong := [each for each in errors if each["loc"][-1:] == ("[key]",)]:
            made.append(marks.bad(path, sentence(wrong, path[-1]), key=True))
        else:
            made.append(marks.bad(path, sentence(errors, marks.spot(path).value)))
    return made


def _by_place(
    error: ValidationError, marks: Marks, at: Place
) -> dict[tuple[Part, ...], list[ErrorDetails]]:
    """Group errors by the written value they speak of; a union's branches become one group.

    A branch that got further into the value says more than the ones that stopped before it.
    """
    found: dict[tuple[Part, ...], list[ErrorDetails]] = {}
    for detail in error.errors(include_url=False):
        found.setdefault(_written(detail, marks, at), []).append(detail)
    first = sorted(found, key=marks.at)[:MOST_TOLD]
    return {
        path: found[path]
        for path in first
        if not any(len(other) > len(path) and other[: len(path)] == path for other in first)
    }


def _written(detail: ErrorDetails, marks: Marks, at: Place) -> tuple[Part, ...]:
    """Return the path of the value in the file; pydantic puts a union's branch names between."""
    path, spot = list(at), marks.spot(at)
    for part in detail["loc"]:
        if part in spot.parts:
            path.append(part)
            spot = spot.parts[part]
    if detail["type"] == "missing":
        path.append(detail["loc"][-1])
    return tuple(path)


def sentence(errors: Sequence[ErrorDetails], value: Json) -> str:
    """Return what is wrong with one value, where each of `errors` is one way it does not fit."""
    for error in errors:
        if error["type"] == "value_error":
            return str(error["ctx"]["error"])
    wanted = " or ".join(dict.fromkeys(_want(error) for error in errors))
    if value is None:
        return f"is empty; write {wanted}"
    if type(value) is int and wanted.startswith("text"):
        wanted = f'"{value}", in quotes'
    hint = nearest(value, [word for error in errors for word in _words(error)])
    return f"{short(value)} does not fit{hint}{'' if hint.endswith('?') else ';'} write {wanted}"


def _want(error: ErrorDetails) -> str:
    context: Mapping[str, Any] = error.get("ctx", {})
    if error["type"] == "string_pattern_mismatch":
        return _PATTERNS.get(context["pattern"], f"text like {context['pattern']}")
    if context.get("class_name") == "Words":
        return "text, or `{zh: …, en: …}`"
    for start, phrase in _WANTED.items():
        if error["type"].startswith(start):
            return phrase.format(**context)
    return error["msg"]


def _words(error: ErrorDetails) -> list[str]:
    expected = error.get("ctx", {}).get("expected", "") if error["type"] == "literal_error" else ""
    return re.findall(r"'([^']*)'", expected)


def keys_at(declaration: Any, path: Place) -> list[str]:  # noqa: ANN401
    """Return the keys that may stand in the mapping at `path`, in the order of declaration."""
    kinds = _branches(declaration)
    for part in path:
        kinds = [inner for kind in kinds for inner in _inside(kind, part)]
    return [
        info.alias or name
        for kind in kinds
        if _declares(kind)
        for name, info in kind.model_fields.items()
    ]


def _inside(kind: Any, part: Part) -> list[Any]:  # noqa: ANN401  (annotations have no common type)
    if _declares(kind):
        for name, info in kind.model_fields.items():
            if part in (name, info.alias):
                return _branches(info.annotation)
        return []
    return [branch for inner in get_args(kind)[-1:] for branch in _branches(inner)]


def _branches(kind: Any) -> list[Any]:  # noqa: ANN401
    if get_origin(kind) is Annotated:
        return _branches(get_args(kind)[0])
    if get_origin(kind) in (Union, types.UnionType):
        return [branch for inner in get_args(kind) for branch in _branches(inner)]
    if get_origin(kind) is tuple and get_args(kind)[-1] is Ellipsis:
        return [tuple[get_args(kind)[0]]]  # type: ignore[misc]
    return [kind]


def _declares(kind: Any) -> bool:  # noqa: ANN401
    return isinstance(kind, type) and issubclass(kind, Declaration)
