"""The site as one ASGI application, `create(home)`: pages, files and the API behind one guard."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Match

from configs.errors import BadInput, KeyreelError
from configs.home import Home
from flows.site import acts, api, letters, pages
from flows.site.deployments import Deployments
from flows.site.files import Shelf
from flows.site.guard import LIMITS, Guard, Limits, said
from flows.site.jobs import Jobs
from flows.site.ledger import Ledger
from flows.site.place import Site
from flows.site.process import Processes
from flows.site.reading import Reading
from flows.site.render import Renderer
from flows.site.session import Sessions


def create(home: Home, *, limits: Limits = LIMITS) -> FastAPI:
    """Return the site of `home`.

    Args:
        home: whose runs and assets it shows.
        limits: how often a token may ask, by kind of request; empty where speed is measured.

    Raises:
        BadInput: where the home's own YAML files are wrong.
    """
    site = open_site(home)

    @asynccontextmanager
    async def running(app: FastAPI) -> AsyncIterator[None]:
        site.jobs.start()
        mail = asyncio.create_task(letters.deliver(site.ledger))
        yield
        mail.cancel()
        with suppress(asyncio.CancelledError):
            await mail
        site.jobs.close()
        site.ledger.close()

    app = FastAPI(
        title="keyreel",
        version="1",
        description=api.__doc__ or "",
        docs_url=None,  # their pages load from elsewhere
        redoc_url=None,
        openapi_url="/api/v1/openapi.json",
        lifespan=running,
        redirect_slashes=False,
    )
    app.state.site = site
    for part in (pages, acts, api):
        app.include_router(part.routes)
    for error in (HTTPException, KeyreelError, RequestValidationError):
        app.add_exception_handler(error, refused)
    app.add_middleware(Guard, sessions=site.sessions, limits=limits)
    return app


def open_site(home: Home) -> Site:
    """Return what the routes work with."""
    ledger, reading = Ledger(home), Reading.open(home)
    runner = Deployments(home) if "PREFECT_API_URL" in os.environ else Processes(home)
    return Site(
        home=home,
        ledger=ledger,
        sessions=Sessions(home, ledger),
        reading=reading,
        renderer=Renderer(lambda: f"{reading.stamp()} {ledger.stamp()}"),
        shelf=Shelf(reading),
        jobs=Jobs(home, ledger, runner),
    )


def refused(request: Request, error: Exception) -> Response:
    """Answer with a sentence, where a request cannot be done."""
    status, message, headers = told(error)
    if status == 405:
        headers["allow"] = ", ".join(sorted(methods(request)))
    if request.url.path.startswith("/api/") or "text/html" not in request.headers.get("accept", ""):
        return said(request, status, message, headers)
    renderer = request.app.state.site.renderer
    page: Response = renderer.once(request, "refused.html.j2", {"message": message}, status)
    return page


def methods(request: Request) -> set[str]:
    """Return what may be done at an address: each of its routes knows its own methods alone."""
    return {
        method
        for part in (pages, acts, api)
        for route in part.routes.routes
        if isinstance(route, APIRoute) and route.matches(request.scope)[0] is not Match.NONE
        for method in route.methods or ()
    }


def told(error: Exception) -> tuple[int, str, dict[str, str]]:
    """Return the status, sentence and headers of what stopped a request."""
    if isinstance(error, HTTPException):
        headers = {name.lower(): value for name, value in (error.headers or {}).items()}
        return error.status_code, str(error.detail), headers
    if isinstance(error, RequestValidationError):
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"][1:])
        return 422, f"{where}: {first['msg']}" if where else str(first["msg"]), {}
    return (422 if isinstance(error, BadInput) else 500), str(error), {}
