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
└── Interrupted         Ctrl-C or a cancel arrived; exit code 130
"""

from __future__ import annotations

from collections.abc import Sequence

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
        self, message: str, *, file: str, line: int = 0, column: int = 0, field: str = ""
    ) -> None:
        self.file, self.line, self.column, self.field = file, line, column, field
        where = ":".join(str(part) for part in (file, line, column) if part)
        self.errors: tuple[BadField, ...] = (self,)
        """All that is wrong with the file, in its order; at least this error."""
        super().__init__(f"{where}: {field}: {message}" if field else f"{where}: {message}")

    @classmethod
    def several(cls, errors: Sequence[BadField]) -> BadField:
        """Return one error that says all of `errors`, in the order of their lines."""
        first, *rest = sorted(errors, key=lambda error: (error.file, error.line, error.column))
        lines = [str(error) for error in (first, *rest)]
        if len(lines) > MOST_SHOWN:
            lines[MOST_SHOWN:] = [f"… and {len(lines) - MOST_SHOWN} more"]
        first.errors = (first, *rest)
        first.args = ("\n".join(lines),)
        return first


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


class Interrupted(KeyreelError):
    """Ctrl-C or a cancel arrived; what was finished is kept."""

    exit_code = 130
