"""Every error a user can meet, and the exit code it ends with.

KeyreelError            anything below; exit code 1
├── BadInput            the user's files or words are wrong; exit code 2
│   ├── BadField        one value in one YAML file, with its line
│   ├── BadPlan         the campaign is well-formed but cannot be planned
│   └── BadFile         an image, logo, model folder or asset is missing or broken
├── StageFailed         a stage could not make its files; the run goes on with other shots
│   ├── Rejected        the quality gate refused what was made
│   ├── Passing         a fault that may pass: an encoder was killed, a file was busy; tried again
│   └── OutOfSpace      the disk or its quota is full
├── FetchFailed         a model could not be downloaded: network, licence, disk or checksum
└── Interrupted         Ctrl-C or a cancel arrived; exit code 130
"""

from __future__ import annotations

from collections.abc import Iterable

MOST_SHOWN = 20
"""A message stays on one screen."""


class KeyreelError(Exception):
    """Something keyreel can explain in one sentence."""

    exit_code = 1


class BadInput(KeyreelError):
    """The user's files or words are wrong."""

    exit_code = 2


class BadField(BadInput):
    """One value in one YAML file is wrong.

    The message reads: FILE:LINE:COLUMN: FIELD: what is wrong with VALUE; what to write instead.
    """

    def __init__(
        self, message: str, file: str, line: int = 0, column: int = 0, field: str = ""
    ) -> None:
        super().__init__(message, file, line, column, field)  # as given, so that it pickles
        self.message, self.file = message, file
        self.line, self.column, self.field = line, column, field
        self.others: tuple[BadField, ...] = ()

    @classmethod
    def several(cls, errors: Iterable[BadField]) -> BadField:
        """Return one error that says all of `errors`, in the order of their lines."""
        flat = [inner for error in errors for inner in error.errors]
        first, *rest = sorted(flat, key=lambda error: (error.file, error.line, error.column))
        made = cls(first.message, first.file, first.line, first.column, first.field)
        made.others = tuple(rest)
        return made

    @property
    def errors(self) -> tuple[BadField, ...]:
        """All that is wrong: this and the `others`, each alone."""
        alone = BadField(self.message, self.file, self.line, self.column, self.field)
        return (alone, *self.others)

    def __str__(self) -> str:
        where = ":".join(str(part) for part in (self.file, self.line, self.column) if part)
        said = ": ".join(part for part in (where, self.field, self.message) if part)
        lines = [said, *map(str, self.others[: MOST_SHOWN - 1])]
        more = len(self.others) - MOST_SHOWN + 1
        return "\n".join([*lines, f"… and {more} more"] if more > 0 else lines)


class BadPlan(BadInput):
    """The campaign is well-formed but cannot be planned: miswired, empty, or against a rule."""


class BadFile(BadInput):
    """A file that the campaign names is missing, broken, too large or outside the home."""


class StageFailed(KeyreelError):
    """A stage could not make its files."""


class Rejected(StageFailed):
    """The quality gate refused what was made."""


class Passing(StageFailed):
    """A fault that may pass, such as an encoder killed for memory: worth trying again."""


class OutOfSpace(StageFailed):
    """The disk, or the home's quota, is full."""


class FetchFailed(KeyreelError):
    """A model could not be downloaded; what has arrived is kept, and the next fetch goes on."""


class Interrupted(KeyreelError):
    """Ctrl-C or a cancel arrived; what was finished is kept."""

    exit_code = 130
