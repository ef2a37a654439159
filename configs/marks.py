"""A YAML file as plain values, each with the line and column it stood on.

Reads the part of YAML that JSON knows, plus comments and anchors. Plain words follow YAML 1.2:
`no`, `on`, `1_000`, `12:30` and `2026-03-02` are text, and a field's type decides what they mean.
Knows nothing of campaigns.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from configs.base import Json
from configs.errors import BadField
from configs.traps import COLOUR, PLAIN_COLON, PLAIN_SPACES, QUOTE_COLOUR, WIDE, advice

MAX_BYTES = 1 << 20
MAX_VALUES = 100_000
"""Counted after aliases are followed: the "billion laughs" file has ten levels of ten aliases."""
MAX_DEPTH = 32
MAX_SAID = 60
"""Characters of a key that a message repeats."""

Part = str | int
Place = Sequence[Part]

_Events = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml, where PyYAML was built with it
_INT = re.compile(r"[-+]?(0|[1-9][0-9]{0,18})$")
_FLOAT = re.compile(
    r"[-+]?([0-9]{1,18}\.[0-9]{0,18}|\.[0-9]{1,18}|[0-9]{1,18}(?=[eE]))([eE][-+]?[0-9]{1,2})?$"
)
_WORDS: dict[str, Json] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}


@dataclass(slots=True)
class Spot:
    """One value of a file, where it stands, and the values inside it."""

    line: int
    column: int
    value: Json = None
    parts: dict[Part, Spot] = field(default_factory=dict)
    keys: dict[Part, tuple[int, int]] = field(default_factory=dict)
    """Line and column of each key of a mapping."""
    size: int = 1
    """How many values it holds, itself and all aliases' targets counted."""
    height: int = 0
    """How many levels lie inside it, those of aliases' targets counted."""

    @classmethod
    def of(cls, value: Json, line: int) -> Spot:
        """Return a value as if all of it stood on one line."""
        made = cls(line, 0, value)
        parts = (
            value.items()
            if isinstance(value, dict)
            else enumerate(value if isinstance(value, list) else ())
        )
        for part, inner in parts:
            made.hold(part, cls.of(inner, line))
            made.keys[part] = (line, 0)
        return made

    def hold(self, part: Part, spot: Spot) -> Json:
        """Take a value in, and return it."""
        self.parts[part] = spot
        self.size += spot.size
        self.height = max(self.height, spot.height + 1)
        return spot.value


@dataclass(frozen=True, slots=True)
class Marks:
    """Where each value of one file stands."""

    file: str
    root: Spot

    def at(self, path: Place) -> tuple[int, int]:
        """Return line and column of a value, or of the nearest thing around it that was written."""
        spot = self.root
        for part in path:
            if part not in spot.parts:
                return spot.keys.get(part, (spot.line, spot.column))
            spot = spot.parts[part]
        return spot.line, spot.column

    def at_key(self, path: Place) -> tuple[int, int]:
        """Return line and column of a value's key, or of the value where it is a list's item."""
        *parents, last = path
        return self.spot(parents).keys.get(last, self.at(path))

    def spot(self, path: Place) -> Spot:
        """Return the innermost written value on the way to `path`."""
        spot = self.root
        for part in path:
            spot = spot.parts.get(part, spot)
        return spot

    def value(self, path: Place) -> Json:
        """Return the value written at `path`, or None."""
        spot = self.root
        for part in path:
            if part not in spot.parts:
                return None
            spot = spot.parts[part]
        return spot.value

    def where(self, path: Place) -> str:
        """Return `FILE:LINE` of a value; the file alone where no line was written."""
        line = self.at(path)[0]
        return f"{self.file}:{line}" if line else self.file

    def bad(self, path: Place, message: str, *, key: bool = False) -> BadField:
        """Return the error that says `message` of the value (or the key) at `path`."""
        line, column = self.at_key(path) if key else self.at(path)
        return BadField(message, file=self.file, line=line, column=column, field=dotted(path))


def dotted(path: Place) -> str:
    """Return a path as people write it: `products[0].name.zh`."""
    parts = (f"[{part}]" if isinstance(part, int) else f".{_name(part)}" for part in path)
    return "".join(parts).removeprefix(".")


def _name(key: str) -> str:
    """Return a key as a message may say it: on one line, with no orders to the terminal."""
    return (key if key.isprintable() else repr(key))[:MAX_SAID]


def shown(path: Path) -> str:
    """Return a file's name as a message should say it: short inside the current folder."""
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)


def read(path: Path) -> Marks:
    """Read one YAML file.

    Raises:
        BadField: where it is missing, too large, not UTF-8, not YAML, or uses tags, merge keys,
            duplicate keys or more than `MAX_VALUES` values.
    """
    name = shown(path)
    return Marks(name, _Composer(name, _text(path, name)).document())


def _text(path: Path, name: str) -> str:
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise BadField(f"cannot be read: {reason}", file=name) from None
    if len(raw) > MAX_BYTES:
        raise BadField(f"is larger than {MAX_BYTES >> 10} KiB; split it", file=name)
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise BadField("is not UTF-8 text; save it as UTF-8", file=name, line=line) from None


class _Composer:
    """Builds spots from the parser's events, refusing early what no honest file holds."""

    def __init__(self, file: str, text: str) -> None:
        self.file, self.text, self.lines = file, text, text.splitlines()
        self.anchors: dict[str | None, Spot | None] = {}
        """None while the anchored value is still being read."""

    def document(self) -> Spot:
        try:
            self.events = _Events(self.text)
            self.events.get_event()  # stream start
            if self.events.check_event(yaml.StreamEndEvent):
                return Spot(1, 1)
            self.events.get_event()  # document start
            root = self.spot(0)
            self.events.get_event()  # document end
            if not self.events.check_event(yaml.StreamEndEvent):
                raise self.bad(self.events.peek_event(), "a second document; keep one to a file")
        except yaml.MarkedYAMLError as error:
            raise self.malformed(error) from None
        except yaml.reader.ReaderError as error:
            line = self.text.count("\n", 0, _forbidden(self.text)) + 1
            message = f"holds a character YAML forbids: {error.reason}"
            raise BadField(message, file=self.file, line=line) from None
        return root

    def spot(self, depth: int) -> Spot:
        event = self.events.get_event()
        if isinstance(event, yaml.AliasEvent):
            return self.counted(event, self.target(event, event.anchor))
        if event.tag is not None:
            raise self.bad(event, f"the tag {event.tag!r} is not read; write the plain value")
        if depth > MAX_DEPTH:  # before the stack is
            raise self.bad(event, f"is nested deeper than {MAX_DEPTH} levels")
        if event.anchor is not None:
            self.anchors[event.anchor] = None
        made = Spot(*_position(event.start_mark))
        if isinstance(event, yaml.ScalarEvent):
            made.value = _plain(event.value) if event.implicit[0] else event.value
            if event.value == "" and COLOUR.match(":" + self.rest(made)):
                raise self.bad(event, f"is empty; {QUOTE_COLOUR}")
        elif isinstance(event, yaml.SequenceStartEvent):
            self.items(made, depth)
        else:
            self.pairs(made, depth)
        if event.anchor is not None:
            self.anchors[event.anchor] = made
        return self.counted(event, made)

    def rest(self, spot: Spot) -> str:
        """Return what follows a place on its line."""
        return "".join(self.lines[spot.line - 1 : spot.line])[spot.column - 1 :]

    def counted(self, event: yaml.Event, made: Spot) -> Spot:
        if made.size > MAX_VALUES:
            raise self.bad(event, f"holds more than {MAX_VALUES:,} values, its aliases followed")
        if made.height > MAX_DEPTH:
            raise self.bad(event, f"is nested deeper than {MAX_DEPTH} levels, its aliases followed")
        return made

    def target(self, event: yaml.Event, anchor: str | None) -> Spot:
        found = self.anchors.get(anchor)
        if found is None:
            problem = "stands inside itself" if anchor in self.anchors else "is not defined"
            raise self.bad(event, f"the alias *{anchor} {problem}")
        return found

    def items(self, made: Spot, depth: int) -> None:
        values: list[Json] = []
        while not self.events.check_event(yaml.SequenceEndEvent):
            values.append(made.hold(len(values), self.spot(depth + 1)))
        self.events.get_event()
        made.value = values

    def pairs(self, made: Spot, depth: int) -> None:
        values: dict[str, Json] = {}
        while not self.events.check_event(yaml.MappingEndEvent):
            event, key = self.key()
            if key in made.keys:
                line = made.keys[key][0]
                raise self.bad(event, f"the key {_name(key)} stands on line {line} already")
            made.keys[key] = _position(event.start_mark)
            values[key] = made.hold(key, self.spot(depth + 1))
            if values[key] is None and "：" in key:
                raise self.bad(event, f"{_name(key)} is empty; {PLAIN_COLON}")
        self.events.get_event()
        made.value = values

    def key(self) -> tuple[yaml.Event, str]:
        """Return a key as the text it was written with, whatever type YAML would give it."""
        event = self.events.get_event()
        if not isinstance(event, yaml.ScalarEvent) or event.tag is not None:
            template = isinstance(event, yaml.MappingStartEvent)
            cure = "; put text with `{{ … }}` in it in quotes" if template else ""
            raise self.bad(event, f"a key must be plain text{cure}")
        if event.value == "<<" and event.implicit[0]:
            raise self.bad(event, "merge keys (`<<`) are not read; write the keys out")
        if event.value.startswith(WIDE):
            raise self.bad(event, PLAIN_SPACES)
        return event, event.value

    def bad(self, event: yaml.Event, message: str) -> BadField:
        line, column = _position(event.start_mark)
        return BadField(message, file=self.file, line=line, column=column)

    def malformed(self, error: yaml.MarkedYAMLError) -> BadField:
        line, column = _position(error.problem_mark)
        context = error.context or ""
        # A key without its colon, or what was left open at the end: where it began says more.
        if "simple key" in context or not 0 < line <= len(self.lines):
            line, column = _position(error.context_mark)
        message = f"is not YAML: {error.problem or error.context}"
        if told := advice(self.lines, line, column):
            line, column, message = told.line, told.column, f"{message}; {told.text}"
        elif "flow" in context:
            opened, _ = _position(error.context_mark)
            message += f"; close the bracket of line {opened}, or part what it holds with `,`"
        return BadField(message, file=self.file, line=line, column=column)


def _position(mark: Any) -> tuple[int, int]:  # noqa: ANN401  (PyYAML and libyaml each have a class)
    return (mark.line + 1, mark.column + 1) if mark else (0, 0)


def _forbidden(text: str) -> int:
    """Return where the first character stands that YAML forbids."""
    found = yaml.reader.Reader.NON_PRINTABLE.search(text)
    return found.start() if found else 0


def _plain(text: str) -> Json:
    if text in _WORDS:
        return _WORDS[text]
    if _INT.match(text):
        return int(text)
    return float(text) if _FLOAT.match(text) else text
