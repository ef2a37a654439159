"""Whose turn it is: by priority, then by what is loaded, then by who had least.

Pure: no clock, threads or weights. What waits behind higher priorities gets a turn now and then.
Fairness is that of start-time fair queueing: each client's
seconds of work are added up, and whoever has the fewest goes next. One that comes new, or back,
begins level with the one that has the fewest, so that nobody catches up on an idle morning.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

PATIENCE = 120.0
"""Seconds that work waits for the loaded weights' work: a 14B model takes 15 to 40 s to load."""
AHEAD = 300.0
"""Seconds of work that may go ahead by priority; then what waits longest behind it has a turn."""
RECENT = 5.0
"""Seconds that one who asks for nothing is still counted as here: between two pieces of work."""


class Waiting(Protocol):
    """One piece of work that waits."""

    @property
    def client(self) -> str: ...  # noqa: D102
    @property
    def needs(self) -> str: ...  # noqa: D102
    @property
    def priority(self) -> int: ...  # noqa: D102
    @property
    def since(self) -> float: ...  # noqa: D102


W = TypeVar("W", bound=Waiting)


@dataclass(slots=True)
class Turns:
    """The seconds each client has had, and when it was last seen."""

    had: dict[str, float] = field(default_factory=dict)
    seen: dict[str, float] = field(default_factory=dict)
    ahead: float = 0.0
    """Seconds that went ahead of what waits behind its priority."""
    passing: bool = False
    """Whether the work in hand goes ahead of other."""

    def next(self, waiting: Sequence[W], holds: Callable[[str], bool], now: float) -> W:
        """Return the one of `waiting`, in order of arrival, that goes next.

        Args:
            waiting: at least one.
            holds: whether what one needs is loaded.
            now: on the clock of `since`.
        """
        self._level(waiting, now)
        top = max(one.priority for one in waiting)
        behind = [one for one in waiting if one.priority < top]
        self.passing = bool(behind) and self.ahead < AHEAD
        if not self.passing:
            self.ahead = 0.0
            if behind:
                return min(behind, key=lambda one: one.since)
        ready = [one for one in waiting if one.priority == top]
        warm = [one for one in ready if holds(one.needs)]
        tired = [one for one in ready if now - one.since > PATIENCE and not holds(one.needs)]
        if tired:
            return min(tired, key=lambda one: one.since)
        return min(warm or ready, key=lambda one: (self.had[one.client], one.since))

    def charge(self, client: str, seconds: float, now: float) -> None:
        """Note that `client` had the process for `seconds`, until `now`."""
        self.had[client] = self.had.get(client, 0.0) + seconds
        self.seen[client] = now
        self.ahead += seconds * self.passing

    def _level(self, waiting: Sequence[Waiting], now: float) -> None:
        """Forget who is gone; let who is new begin level with whoever had least."""
        self.seen = {one: last for one, last in self.seen.items() if now - last < RECENT}
        self.had = {one: had for one, had in self.had.items() if one in self.seen}
        floor = min(self.had.values(), default=0.0)
        for one in waiting:
            self.had.setdefault(one.client, floor)
            self.seen[one.client] = now
