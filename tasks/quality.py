"""The quality gate: what was made is looked at before it is committed."""

from __future__ import annotations

from tasks.stage import Made


def gate(made: Made, seen: dict[str, str] | None = None) -> None:
    """Raise Rejected where a picture or clip is broken, or the same as another shot's."""
