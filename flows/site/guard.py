"""What stands before every page: who asks, how often, from where, how much; and safe headers.

Nothing but the login page and the style is given to a stranger. A route may only ask for more:
`need(role)`.
"""

from __future__ import annotations

import hmac
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Annotated
from urllib.parse import parse_qsl, quote, urlsplit

from fastapi import Depends, HTTPException, Request
from limits import RateLimitItem, parse
from limits.storage import MemoryStorage
from limits.strategies import SlidingWindowCounterRateLimiter
from starlette.datastructures import MutableHeaders
from starlette.requests import HTTPConnection
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from flows.site.session import Sessions, Visitor
from flows.site.tokens import Role

MOST_BODY = 64 << 10
"""Bytes of a request: the longest is a prompt with its note."""
MOST_FIELDS = 40
PUBLIC = ("/login", "/static/", "/api/v1/openapi.json")
FILES = ("/files/", "/posters/", "/static/")
NO_HEADERS: Mapping[str, str] = MappingProxyType({})
SAFE = {"GET", "HEAD", "OPTIONS"}

Limits = Mapping[str, RateLimitItem]
LIMITS: Limits = {
    "login": parse("10/minute"),
    "write": parse("120/minute"),
    "read": parse("1200/minute"),
    "files": parse("12000/minute"),  # a page of a hundred shots shows some hundred files
}

HEADERS = {
    "content-security-policy": "default-src 'none'; img-src 'self'; media-src 'self'; "
    "style-src 'self'; script-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=()",
}


class Guard:
    """ASGI middleware.

    Args:
        app: what it stands before.
        sessions: tell who asks.
        limits: how often a token may ask, by kind of request; a kind that is not there may always.
    """

    def __init__(self, app: ASGIApp, sessions: Sessions, *, limits: Limits) -> None:
        self.app, self.sessions, self.limits = app, sessions, limits
        self.limiter = SlidingWindowCounterRateLimiter(MemoryStorage())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or answer it here."""
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        connection = HTTPConnection(scope)
        visitor = self.sessions.visitor(connection)
        extra: dict[str, str] = {}
        answer = self._limit(connection, visitor, extra) or refuse(connection, visitor)
        scope.setdefault("state", {})["visitor"] = visitor
        if visitor.cookie and not connection.url.path.startswith((*FILES, "/api/")):
            secure = connection.url.scheme == "https"
            extra["set-cookie"] = self.sessions.header(visitor, secure=secure)

        async def dressed(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in (HEADERS | extra).items():
                    headers.setdefault(name, value)
            await send(message)

        await (answer or self.app)(scope, _capped(receive), dressed)

    def _limit(
        self, connection: HTTPConnection, visitor: Visitor, extra: dict[str, str]
    ) -> Response | None:
        """Count a request; return an answer where there were too many.

        The headers are those of draft-ietf-httpapi-ratelimit-headers.
        """
        name = kind(connection)
        if (most := self.limits.get(name)) is None:
            return None
        client = connection.client.host if connection.client else ""
        who = visitor.token.id if visitor.token and name != "login" else client
        allowed = self.limiter.hit(most, name, who)
        stats = self.limiter.get_window_stats(most, name, who)
        left = max(1, round(stats.reset_time - time.time()))
        window = most.get_expiry()
        extra["ratelimit-policy"] = f'"{name}";q={most.amount};w={window}'
        extra["ratelimit"] = f'"{name}";r={stats.remaining};t={left}'
        if allowed:
            return None
        extra["retry-after"] = str(left)
        return said(connection, 429, f"too many requests; try again in {left} s")


def kind(connection: HTTPConnection) -> str:
    """Return which limit a request counts against."""
    path = connection.url.path
    if connection.scope["method"] not in SAFE:
        return "login" if path == "/login" else "write"
    return "files" if path.startswith(FILES) else "read"


def refuse(connection: HTTPConnection, visitor: Visitor) -> Response | None:
    """Return an answer where a request goes no further, else None."""
    path, method = connection.url.path, connection.scope["method"]
    length = connection.headers.get("content-length", "0")
    if not length.isdecimal() or int(length) > MOST_BODY:
        return said(connection, 413, f"a request has at most {MOST_BODY} bytes")
    if method not in SAFE and visitor.session and not same_origin(connection):
        return said(connection, 403, "this request comes from another site's page")
    if visitor.token or path.startswith(PUBLIC):
        return None
    if path.startswith(("/api/", *FILES)) or method not in SAFE:
        return said(connection, 401, "give a token: Authorization: Bearer keyreel_…")
    return RedirectResponse(f"/login?next={quote(path)}", 303)


def same_origin(connection: HTTPConnection) -> bool:
    """Say whether a browser sent this from one of our own pages.

    Every browser of today says so itself; an older one names the page's origin.
    """
    headers = connection.headers
    if (site := headers.get("sec-fetch-site")) is not None:
        return site in ("same-origin", "none")
    origin = headers.get("origin")
    return origin is None or urlsplit(origin).netloc == headers.get("host")


def said(
    connection: HTTPConnection, status: int, message: str, headers: Mapping[str, str] = NO_HEADERS
) -> Response:
    """Return a refusal in the asker's manner: RFC 9457 for programs, a line for people."""
    headers = {**headers, **({"www-authenticate": "Bearer"} if status == 401 else {})}
    if connection.url.path.startswith("/api/"):
        return JSONResponse(
            {"status": status, "title": message}, status, headers, "application/problem+json"
        )
    return PlainTextResponse(f"{message}\n", status, headers)


def _capped(receive: Receive) -> Receive:
    """Return `receive` that ends a body without a length where it gets too long."""
    total = 0

    async def capped() -> Message:
        nonlocal total
        message = await receive()
        total += len(message.get("body", b""))
        if total > MOST_BODY:
            raise HTTPException(413, f"a request has at most {MOST_BODY} bytes")
        return message

    return capped


def visitor_of(request: Request) -> Visitor:
    """Return who sends this request."""
    found: Visitor = request.state.visitor
    return found


def need(role: Role) -> Callable[[Request], Visitor]:
    """Return a dependency that lets only `role` and those above it through."""

    def check(request: Request) -> Visitor:
        visitor = visitor_of(request)
        if visitor.token is None or not visitor.token.may(role):
            raise HTTPException(403, f"this needs a token of the role {role}")
        return visitor

    return check


@dataclass(frozen=True, slots=True)
class Form:
    """The fields of a form that one of our own pages sent."""

    fields: dict[str, str]

    def text(self, name: str, longest: int = 2000) -> str:
        """Return a field, without the space around it; empty where it is not there.

        Raises:
            HTTPException: 422 where it is longer than `longest` letters.
        """
        value = self.fields.get(name, "").strip()
        if len(value) > longest:
            raise HTTPException(422, f"{name}: at most {longest} letters")
        return value


async def form(request: Request) -> Form:
    """Read a form, and see that it brings back what its page was given.

    Raises:
        HTTPException: 403 where it does not; 422 where it is no form.
    """
    body = await request.body()
    try:
        pairs = parse_qsl(
            body.decode(), keep_blank_values=True, strict_parsing=bool(body),
            max_num_fields=MOST_FIELDS,
        )  # fmt: skip
    except (ValueError, UnicodeDecodeError):
        raise HTTPException(422, "not a form") from None
    fields = dict(pairs)
    if not hmac.compare_digest(fields.pop("csrf", "").encode(), visitor_of(request).csrf.encode()):
        raise HTTPException(403, "this form is out of date: load its page again")
    return Form(fields)


Sent = Annotated[Form, Depends(form)]
