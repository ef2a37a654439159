"""How a publisher's names for tensors become a module's, as patterns; and back, for messages.

A pattern's `#` stands for a number, `*` for any part of a name; the target takes them over in
order. The first pattern that fits a name decides.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache


@dataclass(frozen=True, slots=True)
class Rule:
    """One pattern."""

    source: str
    targets: tuple[str, ...] = ()
    """Several: the tensor's rows in equal parts. None: known, and of no use to the module."""
    reshape: bool = False
    """The same numbers in another shape."""


@dataclass(frozen=True, slots=True)
class Layout:
    """One publisher's names for the tensors of one class."""

    name: str
    marks: tuple[str, ...]
    """A file with a name like any of these is of this layout."""
    rules: tuple[Rule, ...]
    prefixes: tuple[str, ...] = ()
    """What the whole file's names may begin with."""
    pickles: str = ""
    """Why a pickle is read: its publisher offers nothing else."""

    def prefix_in(self, names: list[str]) -> str | None:
        """Return what `names` begin with where they are of this layout, else None."""
        for prefix in ("", *self.prefixes):
            for mark in self.marks:
                pattern = _compiled(mark)
                if any(
                    pattern.fullmatch(name, len(prefix))
                    for name in names
                    if name.startswith(prefix)
                ):
                    return prefix
        return None

    def rule_of(self, name: str) -> tuple[Rule, tuple[str, ...]] | None:
        """Return the rule of a publisher's name, and the module's names by it."""
        for rule in self.rules:
            if found := _compiled(rule.source).fullmatch(name):
                return rule, tuple(_filled(target, found.groups()) for target in rule.targets)
        return None

    def source_of(self, target: str) -> str:
        """Return the publisher's name for a module's, or the module's own where it has none."""
        for rule in self.rules:
            for pattern in rule.targets:
                if found := _compiled(pattern).fullmatch(target):
                    name = _filled(rule.source, found.groups())
                    named = self.rule_of(name)
                    if named and target in named[1]:
                        return name
        return target


def rules(*names: tuple[str, str], reshape: bool = False) -> tuple[Rule, ...]:
    """Return a rule for each pair of names."""
    return tuple(Rule(source, (target,), reshape) for source, target in names)


AS_IS = rules(("*", "*"))
COMFY = ("model.diffusion_model.", "diffusion_model.")
"""What some files that ComfyUI reads put before a transformer's names."""


@lru_cache(maxsize=4096)
def _compiled(pattern: str) -> re.Pattern[str]:
    escaped = re.escape(pattern).replace(r"\*", "(.+)").replace(r"\#", r"(\d+)")
    return re.compile(escaped)


def _filled(pattern: str, parts: tuple[str, ...]) -> str:
    left = iter(parts)
    return re.sub(r"[*#]", lambda _: next(left), pattern)
