"""From values to pages: templates, and the pages of a moment kept until the home changes.

A page is the same for all of one role but for its language and the token of its forms, which are
put in last: so a page is made once, and a browser that has it is told so (304).
"""

from __future__ import annotations

import hashlib
import secrets
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any

from fastapi import Request
from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
from starlette.responses import HTMLResponse, Response

from catalogs.gallery import words
from flows.site.guard import visitor_of
from flows.site.session import Visitor

KEPT_BYTES = 8 << 20
"""Of pages in memory: some hundred, or a dozen of a hundred shots each."""
_BOOT = secrets.token_hex(8)
CSRF, LANGUAGE = f"csrf-{_BOOT}", f"language-{_BOOT}"
"""What stands in a kept page until it is sent; drawn anew at each start."""


class Renderer:
    """Makes pages, and keeps them.

    Args:
        stamp: changes whenever a page may.
    """

    def __init__(self, stamp: Callable[[], str]) -> None:
        self.stamp = stamp
        self.pages: OrderedDict[tuple[str, str], tuple[str, str]] = OrderedDict()
        self.lock = threading.Lock()
        self.templates = Environment(
            loader=ChoiceLoader(
                [PackageLoader("flows.site", "templates"), PackageLoader("catalogs.gallery", "")]
            ),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self.templates.filters.update(
            size=words.size, term=words.term, day=words.day, took=words.duration
        )
        self.templates.globals.update(csrf=CSRF, language=LANGUAGE)

    def page(
        self, request: Request, template: str, values: Callable[[], Mapping[str, Any]]
    ) -> Response:
        """Answer with a page whose values are only asked for where they may have changed.

        Raises:
            Exception: what `values` raises.
        """
        visitor, stamp = visitor_of(request), self.stamp()
        role = visitor.token.role if visitor.token else ""
        address = f"{request.url.path}?{request.url.query}"
        tag = _hash(stamp, _BOOT, address, role, visitor.csrf, language(request))
        headers = {
            "etag": f'W/"{tag}"',
            "cache-control": "private, no-cache",
            "vary": "cookie, accept-language",
        }
        if request.headers.get("if-none-match") == headers["etag"]:
            return Response(status_code=304, headers=headers)
        text = self._kept((address, role), stamp)
        if text is None:
            text = self.text(template, visitor, request, values())
            self._keep((address, role), stamp, text)
        return HTMLResponse(dressed(text, visitor, request), headers=headers)

    def text(
        self, template: str, visitor: Visitor, request: Request, values: Mapping[str, Any]
    ) -> str:
        """Return a page that still lacks its language and the token of its forms."""
        return self.templates.get_template(template).render(
            token=visitor.token, path=request.url.path, **values
        )

    def once(
        self, request: Request, template: str, values: Mapping[str, Any], status: int = 200
    ) -> Response:
        """Answer with a page that is not kept: a login, a refusal."""
        visitor = visitor_of(request)
        text = dressed(self.text(template, visitor, request, values), visitor, request)
        return HTMLResponse(text, status, {"cache-control": "no-store"})

    def _kept(self, name: tuple[str, str], stamp: str) -> str | None:
        with self.lock:
            found = self.pages.get(name)
            if found is None or found[0] != stamp:
                return None
            self.pages.move_to_end(name)
            return found[1]

    def _keep(self, name: tuple[str, str], stamp: str, text: str) -> None:
        with self.lock:
            self.pages[name] = (stamp, text)
            while sum(len(page) for _, page in self.pages.values()) > KEPT_BYTES:
                self.pages.popitem(last=False)


def dressed(text: str, visitor: Visitor, request: Request) -> str:
    """Return a page with its language and the token of its forms put in."""
    return text.replace(CSRF, visitor.csrf).replace(LANGUAGE, language(request))


def language(request: Request) -> str:
    """Return `zh` or `en`: what was chosen on a page before, else what the browser reads."""
    chosen = request.cookies.get("language", "")
    if chosen in ("zh", "en"):
        return chosen
    return "zh" if request.headers.get("accept-language", "").lower().startswith("zh") else "en"


def _hash(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:24]
