"""Asking a resident process for work, and asking again where it dies of it."""

from __future__ import annotations

import json
import secrets
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from configs import errors
from configs.base import Json
from configs.errors import Interrupted, KeyreelError, Passing, StageFailed
from gpu.service.address import Address, living
from gpu.service.ask import Ask

if TYPE_CHECKING:
    import httpx

DEATHS = 3
"""Of the process, over one piece of work: then the work is to blame."""
RESTART_SECONDS = 60.0
"""A supervisor starts a dead process again at once; importing torch takes 5 s on a cold disk."""
CHOOSING = threading.Lock()
"""Held from looking at the queues until one has the work: two threads see each other's choice."""
SILENCE_SECONDS = 60.0
"""It says that it lives four times a second, but for a library that holds Python's lock."""

News = dict[str, Json]


class Gone(Passing):
    """No resident process lives, nor came back."""


class Client:
    """Asks the processes of one folder.

    Args:
        folder: where they tell their addresses.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def found(self) -> bool:
        """Say whether one lives."""
        return bool(living(self.folder))

    def statuses(self) -> list[News]:
        """Return what each says of itself, by name; one that dies just now is left out."""
        return [told for address in living(self.folder) if (told := _status(address))]

    def do(
        self,
        ask: Ask,
        on_news: Callable[[News], None] = lambda _: None,
        cancelled: Callable[[], bool] = lambda: False,
    ) -> News:
        """Return what the worker tells of the work, once that is done.

        Args:
            ask: asked again under its id where a process dies.
            on_news: told of progress.
            cancelled: looked at several times a second; once true, the process is told so.

        Raises:
            Interrupted: where `cancelled` said so.
            Passing: where it lives, but says nothing.
            Gone: where no process lives and none comes back in time.
            KeyreelError: what the worker raised.
        """
        import httpx

        dead: set[int] = set()
        while len(dead) < DEATHS:
            try:
                with ExitStack() as stack:
                    with CHOOSING:
                        address = self._address(ask, cancelled)
                        told = stack.enter_context(_asked(address, ask))
                    return _heard(*told, ask, on_news, cancelled)
            except httpx.TimeoutException:
                silent = f"the resident process was silent for {SILENCE_SECONDS:.0f} s"
                raise Passing(f"{silent}; end process {address.pid} if it stays so") from None
            except httpx.HTTPError:
                dead.add(address.pid)  # its lock may outlive it for a moment
                time.sleep(0.05)
        raise StageFailed(f"the resident process died {DEATHS} times over this; see its log")

    def each(self, body: Mapping[str, Json]) -> Iterator[tuple[Address, News]]:
        """Ask every process the same, before what waits; yield what each tells of it.

        Raises:
            KeyreelError: what a worker raised.
        """
        for address in living(self.folder):
            ask = Ask(id=secrets.token_hex(32), client="orders", priority=100, body=dict(body))
            with _asked(address, ask) as told:
                yield address, _heard(*told, ask, lambda _: None, lambda: False)

    def _address(self, ask: Ask, cancelled: Callable[[], bool]) -> Address:
        """Return the process to ask, waiting for one that is being started again."""
        deadline = time.monotonic() + RESTART_SECONDS
        while time.monotonic() < deadline:
            if cancelled():
                raise Interrupted("cancelled while its process was started again")
            found = living(self.folder)
            if found:
                return found[0] if len(found) == 1 else min(found, key=lambda one: _load(one, ask))
            time.sleep(0.1)
        raise Gone(f"no resident process of {self.folder} came back in {RESTART_SECONDS:.0f} s")


def _load(address: Address, ask: Ask) -> tuple[bool, int, bool]:
    """Return how little a process is suited: it has not this work, how many wait, what it lacks."""
    status = _status(address, ask.needs)
    queue = status.get("queue", [])
    assert isinstance(queue, list)
    ids = [one["id"] for one in queue if isinstance(one, dict)]
    return ask.id not in ids, len(ids), not status.get("holds")


@contextmanager
def _asked(address: Address, ask: Ask) -> Iterator[tuple[httpx.Client, httpx.Response]]:
    """Give the connection and the answer that has begun: the work is in the queue."""
    with (
        _connected(address) as client,
        client.stream("POST", "/asks", content=ask.model_dump_json()) as answer,
    ):
        yield client, answer


def _heard(
    client: httpx.Client,
    answer: httpx.Response,
    ask: Ask,
    on_news: Callable[[News], None],
    cancelled: Callable[[], bool],
) -> News:
    if answer.status_code != 200:
        answer.read()
    for line in answer.iter_lines():
        news = json.loads(line)
        if "made" in news:
            return dict(news["made"])
        if "failed" in news:
            raise _error(news)
        if news:
            on_news(news)
        if cancelled():
            client.delete(f"/asks/{ask.id}", params={"client": ask.client})
            raise Interrupted("cancelled")
    raise _cut()


def _cut() -> httpx.HTTPError:
    import httpx

    return httpx.RemoteProtocolError("the answer ended before the work did")


@contextmanager
def _connected(address: Address) -> Iterator[httpx.Client]:
    import httpx

    with httpx.Client(
        base_url=address.url,
        headers={"Authorization": f"Bearer {address.token}"},
        timeout=SILENCE_SECONDS,
        verify=False,  # plain HTTP: reading certificates would take 30 ms
        trust_env=False,  # a proxy of the environment is not for loopback
    ) as client:
        yield client


def _status(address: Address, needs: str = "") -> News:
    import httpx

    try:
        with _connected(address) as client:
            return dict(client.get("/status", params={"needs": needs}).json())
    except httpx.HTTPError:
        return {}


def _error(news: News) -> KeyreelError:
    """Return the error that a worker raised, of its own kind where that is one of keyreel's."""
    said, kind = str(news.get("said")), getattr(errors, str(news["failed"]), None)
    if isinstance(kind, type) and issubclass(kind, KeyreelError) and kind is not errors.BadField:
        return kind(said)
    return KeyreelError(said)
