"""`notify.yaml` of a home: who is told of what. It names where addresses are kept and has none."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from configs.base import Declaration
from configs.fill import load
from configs.home import Home

NAME = "notify.yaml"

Occasion = Literal["finished", "failed", "approval", "late"]
OCCASIONS: tuple[Occasion, ...] = ("finished", "failed", "approval", "late")

Kept = Annotated[str, StringConstraints(pattern=r"^(env|secret):[A-Za-z0-9_-]{1,100}$")]


class Notice(Declaration):
    """One place that is told."""

    to: Kept
    """Where its address is kept: `env:NAME`, a variable of the environment, or `secret:NAME`, a
    Secret block of Prefect. The address is one of Apprise's: `wecombot://…`, `slack://…`,
    `mailtos://…`, or `jsons://…` for a webhook."""
    on: Annotated[tuple[Occasion, ...], Field(min_length=1)] = OCCASIONS
    """`finished`, `failed` (in part too), `approval`: keyframes wait, `late`: begun long after its
    time."""


class Notices(Declaration):
    """The whole file."""

    tell: tuple[Notice, ...] = ()


def notices(home: Home) -> tuple[Notice, ...]:
    """Return who is told; nobody where there is no such file.

    Raises:
        BadField: naming all that is wrong with it.
    """
    path = home.root / NAME
    return load(path, Notices)[0].tell if path.exists() else ()
