"""What people do on the site: judge keyframes, try a change, pack zips, stop a job."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Depends, HTTPException, Request
from fastapi import Path as InPath
from starlette.responses import FileResponse, RedirectResponse, Response

from catalogs.record import Verdict
from configs.errors import BadInput
from flows import approval
from flows.offers import campaigns
from flows.package import package
from flows.site.guard import Sent, need
from flows.site.pages import Digest, Word, known
from flows.site.place import Here, Site
from flows.site.session import Visitor
from flows.variant import CHANGES, parse

routes = APIRouter(include_in_schema=False)

Name = Annotated[str, InPath(max_length=255)]
Reviewer = Annotated[Visitor, Depends(need("reviewer"))]
Admin = Annotated[Visitor, Depends(need("admin"))]
VERDICTS: dict[str, Verdict] = {
    "approve": "approved", "reject": "rejected", "reseed": "reseeded",
}  # fmt: skip


@routes.get("/approve")
def approve(request: Request, site: Here, campaign: Word = "") -> Response:
    """Show keyframes that wait for a verdict, then those of the latest runs that have one."""

    def values() -> Mapping[str, Any]:
        found = approval.keyframes(site.home, campaign)
        found.sort(key=lambda one: (not one.waits, one.review is not None))
        cards = [(one, site.reading.digest_of(one.key, approval.PORT)) for one in found]
        return {"cards": cards, "waiting": sum(one.waits for one in found), "campaign": campaign}

    return site.renderer.page(request, "approve.html.j2", values)


@routes.post("/approve/{key}")
def judge(site: Here, key: Digest, form: Sent, visitor: Reviewer) -> Response:
    """Keep a verdict on a keyframe."""
    verdict = VERDICTS.get(form.text("verdict"))
    if verdict is None:
        raise HTTPException(422, "verdict: approve, reject or reseed")
    approval.judge(site.home, key, verdict, form.text("note", 400), name_of(visitor))
    site.reading.catalog.refresh()
    return RedirectResponse(f"/approve?campaign={quote(form.text('campaign'))}", 303)


def name_of(visitor: Visitor) -> str:
    """Return who judges: the token's name."""
    return (visitor.token.name or visitor.token.id)[:64] if visitor.token else ""


@routes.post("/assets/{digest}/variant")
def vary(site: Here, digest: Digest, form: Sent, visitor: Reviewer) -> Response:
    """Make an asset with a change, and anew all that its run made of it."""
    row = known(site.reading, digest)
    old = site.reading.changes(row)
    given = {name: form.text(name, 4000) for name in CHANGES if name in form.fields}
    changes = {name: value for name, value in parse(given).items() if old.get(name) != value}
    if not changes:
        raise BadInput("nothing is changed: give another seed, prompt or number of steps")
    return _asked(site, visitor, {"kind": "variant", "asset": digest, "changes": changes})


@routes.post("/campaigns/{name}/run")
def again(site: Here, name: Name, form: Sent, visitor: Admin) -> Response:
    """Run a campaign of the home: what is not made yet."""
    if name not in campaigns(site.home):
        raise HTTPException(404, "no such campaign")
    return _asked(site, visitor, {"kind": "campaign", "campaign": name})


def _asked(site: Site, visitor: Visitor, asked: dict[str, Any]) -> Response:
    assert visitor.token is not None
    site.jobs.submit(visitor.token.id, asked)
    return RedirectResponse("/", 303)


@routes.post("/jobs/{name}/cancel")
def cancel(site: Here, name: str, form: Sent, visitor: Admin) -> Response:
    """Ask a job to end."""
    try:
        site.jobs.cancel(name)
    except KeyError:
        raise HTTPException(404, "no such job") from None
    return RedirectResponse("/", 303)


@routes.post("/packages/{campaign}")
def pack(site: Here, campaign: Name, form: Sent, visitor: Reviewer) -> Response:
    """Zip what the campaign's newest run finished, and show the zips."""
    if campaign not in campaigns(site.home):
        raise HTTPException(404, "no such campaign in this home")
    package(site.home, campaign, site.home.packages / campaign)
    return RedirectResponse(f"/packages/{campaign}", 303)


@routes.get("/packages/{campaign}")
def packed(request: Request, site: Here, campaign: Name) -> Response:
    """Show a campaign's zips."""
    files = _zips(site, campaign)
    rows = [(name, path.stat().st_size) for name, path in sorted(files.items())]
    return site.renderer.once(request, "packages.html.j2", {"campaign": campaign, "rows": rows})


@routes.get("/packages/{campaign}/{name}")
def zipped(site: Here, campaign: Name, name: Name) -> Response:
    """Give a zip, or the publish calendar."""
    path = _zips(site, campaign).get(name)
    if path is None:
        raise HTTPException(404, "no such file")
    return FileResponse(path, filename=name, headers={"cache-control": "private, no-cache"})


def _zips(site: Site, campaign: str) -> dict[str, Path]:
    """Return the files that `keyreel package` wrote for a campaign of the home, by their names."""
    if campaign not in campaigns(site.home):
        raise HTTPException(404, "no such campaign in this home")
    found = (site.home.packages / campaign).glob("*")
    return {
        path.name: path
        for path in found
        if path.suffix in (".zip", ".ics") and path.is_file() and not path.is_symlink()
    }
