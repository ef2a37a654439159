"""What is asked of a resident process, and what one that does the work looks like."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Protocol

from pydantic import Field

from configs.base import Declaration, Json

MOST_BYTES = 4_000_000
"""Of one request; a node with the longest prompt has 10 KB."""


class Ask(Declaration):
    """One piece of work, named by what it makes: asked for twice, it is done once."""

    id: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    """The content key."""
    client: Annotated[str, Field(min_length=1, max_length=200)]
    """Turns are fair between clients: a flow run is one."""
    needs: Annotated[str, Field(max_length=200)] = ""
    """What must be loaded for it; what is loaded already goes first."""
    priority: Annotated[int, Field(ge=-100, le=100)] = 0
    """Higher goes first, but not for ever (`turns.AHEAD`)."""
    body: dict[str, Json] = {}
    """For the worker."""


@dataclass(frozen=True, slots=True)
class Told:
    """Who is told of work in progress, and who is asked whether to go on."""

    say: Callable[[dict[str, Json]], None]
    """Is given news for whoever waits; what they mean, worker and client agree upon."""
    cancelled: Callable[[], bool]
    """Asked between steps; once true, the worker is to raise Interrupted."""


class Worker(Protocol):
    """Does the work, one piece at a time."""

    def prepare(self) -> None:
        """Do once, before the first work, what takes time: it is answered meanwhile."""

    def work(self, body: Mapping[str, Json], told: Told) -> dict[str, Json]:
        """Do one piece of work that may have been done before; return what the client is told.

        Raises:
            KeyreelError: what the client is to raise in its turn.
        """

    def holds(self, needs: str) -> bool:
        """Say whether what an `Ask.needs` names is loaded."""

    def status(self) -> dict[str, Json]:
        """Return what a person wants to know of it."""
