"""The pages that people look at. Each asks the catalog and gives a template what it shows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Depends, HTTPException, Query, Request
from fastapi import Path as InPath
from starlette.responses import FileResponse, PlainTextResponse, RedirectResponse, Response

from catalogs import gallery
from configs.errors import BadFile
from flows.site import shown, tokens
from flows.site.guard import Sent
from flows.site.lineage import graph
from flows.site.place import Here
from flows.site.reading import Reading, Row
from flows.site.recipe import compared, told

routes = APIRouter(include_in_schema=False)

RUNS, TILES = 20, 60
MOST_COMPARED = 4
STATIC = {
    "gallery.css": Path(gallery.__file__).with_name("style.css"),
    "gallery.js": Path(gallery.__file__).with_name("script.js"),
    **{path.name: path for path in (Path(__file__).parent / "static").iterdir()},
}
Number = Annotated[int, Query(ge=1, le=10_000)]
Word = Annotated[str, Query(max_length=200)]
Digest = Annotated[str, InPath(pattern=r"^[0-9a-f]{64}$", description="SHA-256 of a file.")]


@routes.get("/login")
def login(request: Request, site: Here, next: str = "/") -> Response:
    """Show the login page."""
    return site.renderer.once(request, "login.html.j2", {"next": inside(next), "wrong": False})


@routes.post("/login")
def enter(request: Request, site: Here, form: Sent) -> Response:
    """Begin a session, where the token is one."""
    token = tokens.check(site.ledger, form.text("token"))
    address = inside(form.text("next"))
    if token is None:
        values = {"next": address, "wrong": True}
        return site.renderer.once(request, "login.html.j2", values, 403)
    return _with_session(request, site, token, address)


@routes.post("/logout")
def leave(request: Request, site: Here, form: Sent) -> Response:
    """End a session."""
    return _with_session(request, site, None, "/login")


def _with_session(request: Request, site: Here, token: tokens.Token | None, to: str) -> Response:
    secure = request.url.scheme == "https"
    header = site.sessions.header(site.sessions.begin(token), secure=secure)
    return RedirectResponse(to, 303, {"set-cookie": header})


def inside(address: str) -> str:
    """Return an address of this site: a login leads nowhere else."""
    plain = address.startswith("/") and not address.startswith(("//", "/\\"))
    return address if plain and address.isprintable() else "/"


@routes.get("/")
def runs(request: Request, site: Here, campaign: Word = "", page: Number = 1) -> Response:
    """Show the runs, newest first, below the jobs that were asked for here."""

    def values() -> Mapping[str, Any]:
        found = site.reading.runs(RUNS + 1, (page - 1) * RUNS, campaign)
        jobs = site.jobs.open() if page == 1 and not campaign else []
        return {
            "runs": found[:RUNS], "campaign": campaign, "page": page, "more": len(found) > RUNS,
            "jobs": jobs,
        }  # fmt: skip

    return site.renderer.page(request, "runs.html.j2", values)


@routes.get("/runs/{run_id}")
def run(request: Request, site: Here, run_id: str) -> Response:
    """Show a run: shots, failures, deliveries in phone frames."""

    def values() -> Mapping[str, Any]:
        try:
            return shown.run_page(site.reading.run(run_id), site.reading)
        except BadFile as error:
            raise HTTPException(404, str(error)) from None

    return site.renderer.page(request, "run.html.j2", values)


@dataclass(frozen=True, slots=True)
class Asked:
    """What assets are searched by; empty leaves it out."""

    q: Word = ""
    campaign: Word = ""
    product: Word = ""
    delivery: Word = ""
    stage: Word = ""
    tag: Word = ""
    verdict: Word = ""
    run: Word = ""

    def filters(self) -> dict[str, str]:
        """Return what the catalog is asked."""
        asked: dict[str, str] = asdict(self)
        return asked | {"words": " ".join(asked.pop("q").split()), "tag": self.tag.lstrip("#")}


@routes.get("/search")
def search(
    request: Request, site: Here, asked: Annotated[Asked, Depends()], page: Number = 1
) -> Response:
    """Show assets by words, campaign, product, platform, stage and tag."""

    def values() -> Mapping[str, Any]:
        found = site.reading.assets(TILES, (page - 1) * TILES, **asked.filters())
        choices: dict[str, list[tuple[str, int]]] = {}
        for row in site.reading.rows("list_choices"):
            choices.setdefault(row["name"], []).append((row["value"], row["many"]))
        total = found[0]["total"] if found else 0
        return {
            "rows": found, "total": total, "asked": asdict(asked), "choices": choices,
            "page": page, "more": page * TILES < total,
        }  # fmt: skip

    return site.renderer.page(request, "search.html.j2", values)


@routes.get("/assets/{digest}")
def asset(request: Request, site: Here, digest: Digest) -> Response:
    """Show an asset: itself, its recipe, its lineage, what was said of it."""

    def values() -> Mapping[str, Any]:
        row = known(site.reading, digest)
        return {
            "row": row,
            "recipe": told(site.reading.store, row),
            "changes": site.reading.changes(row),
            "reviews": site.reading.rows("list_reviews", {"asset": digest}),
            "graph": graph(site.reading, row["node"]),
            "same": alike(site.reading, row),
        }

    return site.renderer.page(request, "asset.html.j2", values)


def known(reading: Reading, digest: str) -> Row:
    """Return the row of an asset.

    Raises:
        HTTPException: 404 where there is none.
    """
    row = reading.asset(digest)
    if row is None:
        raise HTTPException(404, "no such asset")
    return row


def alike(reading: Reading, row: Row) -> list[Row]:
    """Return other assets of the same place in a campaign: other seeds, other words."""
    found = reading.assets(
        12, shot=row["shot"], stage=row["stage"], delivery=row["delivery"], aspect=row["aspect"]
    )
    return [other for other in found if other["sha256"] != row["sha256"]]


@routes.get("/compare")
def compare(
    request: Request, site: Here, a: Annotated[list[str] | None, Query(max_length=16)] = None
) -> Response:
    """Show up to four assets side by side, and what of their recipes differs."""

    def values() -> Mapping[str, Any]:
        digests = list(dict.fromkeys(a or ()))[:MOST_COMPARED]
        rows = [row for row in map(site.reading.asset, digests) if row]
        lines = compared([told(site.reading.store, row) for row in rows])
        return {"rows": rows, "lines": lines}

    return site.renderer.page(request, "compare.html.j2", values)


@routes.api_route("/files/{digest}", methods=["GET", "HEAD"])
def file(request: Request, site: Here, digest: Digest, name: Word = "") -> Response:
    """Give an asset's bytes, or a range of them."""
    return site.shelf.file(request, digest, name)


@routes.get("/posters/{digest}.jpg")
def poster(request: Request, site: Here, digest: Digest) -> Response:
    """Give a small JPEG of a picture."""
    return site.shelf.poster(request, digest)


@routes.get("/static/{name}")
def static(name: str) -> Response:
    """Give the site's own style and script."""
    if name not in STATIC:
        raise HTTPException(404, "no such file")
    return FileResponse(STATIC[name], headers={"cache-control": "no-cache"})


@routes.get("/shapes.css")
def shapes(site: Here) -> Response:
    """Give the style rules that depend on what is shown."""
    sizes = [(row["width"], row["height"]) for row in site.reading.rows("list_sizes")]
    headers = {"cache-control": "private, max-age=60"}
    return PlainTextResponse(shown.shapes(sizes, site.reading), 200, headers, "text/css")
