"""What every route works with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request

from configs.home import Home
from flows.site.files import Shelf
from flows.site.jobs import Jobs
from flows.site.ledger import Ledger
from flows.site.reading import Reading
from flows.site.render import Renderer
from flows.site.session import Sessions


@dataclass(frozen=True, slots=True)
class Site:
    """One home's site, while it runs."""

    home: Home
    ledger: Ledger
    sessions: Sessions
    reading: Reading
    renderer: Renderer
    shelf: Shelf
    jobs: Jobs


def site_of(request: Request) -> Site:
    """Return the site that this request came to."""
    site: Site = request.app.state.site
    return site


Here = Annotated[Site, Depends(site_of)]
