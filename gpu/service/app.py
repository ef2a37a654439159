"""What a resident process answers over HTTP, all of it behind a token.

POST   /asks        an `Ask`; answers with a line of JSON for each piece of news, then the end
DELETE /asks/ID     ?client=…: this client wants it no more
GET    /status      the queue, what the worker says of itself, and whether it holds ?needs=…
"""

from __future__ import annotations

import asyncio
import hmac
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from pydantic import ValidationError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from configs.errors import Passing
from gpu.service.ask import MOST_BYTES, Ask
from gpu.service.engine import Engine, Job, News

BEAT = 0.25
"""Seconds after which one who waits hears that the process lives; a cancel is looked for then."""
ENDS = ("made", "failed")

Answer = Callable[[Request], Awaitable[Response]]


def create(engine: Engine, token: str) -> Starlette:
    """Return the application: the engine works for as long as it is served."""

    @asynccontextmanager
    async def serving(_: Starlette) -> AsyncIterator[None]:
        engine.start()
        yield
        await asyncio.to_thread(engine.stop, 5.0)

    async def work(request: Request) -> Response:
        body = await _read(request)
        if body is None:
            return _refuse(413, f"a request is at most {MOST_BYTES} bytes")
        try:
            ask = Ask.model_validate_json(body)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            return _refuse(422, f"{'.'.join(map(str, first['loc']))}: {first['msg']}")
        news: asyncio.Queue[News] = asyncio.Queue()
        loop = asyncio.get_running_loop()

        def listen(one: News) -> None:
            loop.call_soon_threadsafe(news.put_nowait, one)

        try:
            job = engine.join(ask, listen)
        except Passing as error:
            return _refuse(503, str(error), kind="Passing")
        return StreamingResponse(
            _tell(engine, job, listen, news), media_type="application/x-ndjson"
        )

    async def cancel(request: Request) -> Response:
        engine.cancel(request.path_params["key"], request.query_params.get("client", ""))
        return JSONResponse({})

    async def status(request: Request) -> Response:
        needs = request.query_params.get("needs", "")
        return JSONResponse(await asyncio.to_thread(engine.status, needs))

    routes = [
        Route("/asks", _guarded(work, token), methods=["POST"]),
        Route("/asks/{key}", _guarded(cancel, token), methods=["DELETE"]),
        Route("/status", _guarded(status, token), methods=["GET"]),
    ]
    return Starlette(routes=routes, lifespan=serving)


async def _tell(
    engine: Engine, job: Job, listen: Callable[[News], None], news: asyncio.Queue[News]
) -> AsyncIterator[bytes]:
    """Yield what becomes of a piece of work, and a sign of life where nothing does."""
    try:
        while True:
            try:
                one = await asyncio.wait_for(news.get(), BEAT)
            except TimeoutError:
                one = {}
            yield json.dumps(one).encode() + b"\n"
            if any(end in one for end in ENDS):
                return
    finally:
        engine.leave(job, listen)


async def _read(request: Request) -> bytes | None:
    """Return the body, or None where it is too long."""
    parts: list[bytes] = []
    async for part in request.stream():
        parts.append(part)
        if sum(map(len, parts)) > MOST_BYTES:
            return None
    return b"".join(parts)


def _guarded(answer: Answer, token: str) -> Answer:
    """Return what answers only who brings the token."""
    wanted = f"Bearer {token}".encode()

    async def guarded(request: Request) -> Response:
        given = request.headers.get("authorization", "").encode()
        if not hmac.compare_digest(given, wanted):
            return _refuse(401, "bring the token of this process's address file")
        return await answer(request)

    return guarded


def _refuse(code: int, said: str, kind: str = "") -> Response:
    """Answer as work that failed does: the client raises `kind` of keyreel's errors."""
    return JSONResponse({"failed": kind, "said": said}, code)
