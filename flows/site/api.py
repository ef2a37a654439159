"""The JSON API, `/api/v1`: what the pages show, for programs; and work to be started from outside.

A program comes with `Authorization: Bearer TOKEN`. What it may ask for says `openapi.json`.
"""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Header, HTTPException, Query, Response, Security
from fastapi import Path as InPath
from fastapi.security import HTTPBearer
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from configs.errors import BadFile, BadInput
from configs.wording import unknown
from flows.forms import ImageToVideo, TextToVideo
from flows.offers import Blank, campaigns
from flows.site.guard import need
from flows.site.jobs import Job, State
from flows.site.pages import Asked, Digest, known
from flows.site.place import Here, Site
from flows.site.session import Visitor

RunState = Literal["running", "done", "failed", "interrupted"]
Limit = Annotated[int, Query(ge=1, le=200)]
Offset = Annotated[int, Query(ge=0, le=1_000_000)]
JobId = Annotated[str, InPath(pattern=r"^[0-9a-f]{16}$")]
RunId = Annotated[str, InPath(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,199}$")]


def _number(value: object) -> object:
    """Refuse text and truth where a number is asked for; 5.0 is a whole number in JSON.

    Raises:
        ValueError: where it is one of these.
    """
    if isinstance(value, str | bool):
        raise ValueError("must be a number, without quotes")
    return value


Number = BeforeValidator(_number)
Seed = Annotated[int, Field(ge=0, le=2**53), Number]
"""Larger ones are not exact in every program's JSON."""


class Told(BaseModel):
    """What the API says or takes: no field that is not here."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)


class Problem(Told):
    """A refusal, as RFC 9457 has it."""

    status: int
    title: str


class Campaign(Told):
    """Run a campaign of the home: all of it that is not made yet."""

    kind: Literal["campaign"]
    campaign: Annotated[str, Field(max_length=64)]
    """A file in `campaigns/`, without its `.yaml`."""
    start: dt.date | None = None
    """First day, in place of the campaign's own."""
    profile: Annotated[str, Field(max_length=64)] | None = None
    """Which models run; left out: the campaign's own, or what fits the device."""
    seed: Seed | None = None
    """In place of the campaign's own."""


class Changes(Told):
    """New values; what is left out stays as it was."""

    prompt: Annotated[str, Field(min_length=1, max_length=4000)] | None = None
    negative: Annotated[str, Field(max_length=4000)] | None = None
    seed: Seed | None = None
    steps: Annotated[int, Field(ge=1, le=200), Number] | None = None


class Variant(Told):
    """Make an asset with a change, and anew all that its run made of it."""

    kind: Literal["variant"]
    asset: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    changes: Changes


def _filled(value: object) -> object:
    """Refuse null, and text for numbers: Prefect's page sends neither, and its form takes both.

    Raises:
        ValueError: where there is one.
    """
    if not isinstance(value, dict):
        return value
    if empty := [name for name in value if value[name] is None]:
        raise ValueError(f"{empty[0]}: leave it out, or give a value")
    for name in {"seed", "steps", "seconds"} & value.keys():
        _number(value[name])
    return value


class Words(TextToVideo):
    """The form, with a seed that is exact in every program's JSON."""

    seed: Annotated[Seed | None, Blank()] = None


class Picture(ImageToVideo):
    """The form, with a seed that is exact in every program's JSON."""

    seed: Annotated[Seed | None, Blank()] = None


class Clip(Told):
    """Make one clip: the fields are those of the form in Prefect's pages."""

    kind: Literal["text-to-video"]
    request: Annotated[Words, BeforeValidator(_filled)]


class Moved(Told):
    """Make one clip of a picture of the home."""

    kind: Literal["image-to-video"]
    request: Annotated[Picture, BeforeValidator(_filled)]


class JobTold(Told):
    """One job."""

    id: str
    state: State
    asked: dict[str, Any]
    created: str
    """ISO 8601, UTC."""
    finished: str
    """Empty while it is open."""
    run: str
    """The run that it became; empty until it is known."""
    error: str

    @classmethod
    def of(cls, job: Job) -> JobTold:
        """Return what the API says of a job: who asked for it is not for everyone."""
        told = {name: getattr(job, name) for name in cls.model_fields}
        return cls(**told | {"asked": dict(job.asked)})


class RunTold(Told):
    """One run."""

    id: str
    campaign: str
    state: RunState
    started: str
    finished: str
    shots: int
    failed: int
    """Shots with a failure."""
    delivered: int
    """Finished deliveries."""


class AssetTold(Told):
    """One picture or clip."""

    sha256: str
    kind: str
    mime: str
    bytes: int
    width: int
    height: int
    seconds: float
    campaign: str
    shot: str
    stage: str
    aspect: str
    delivery: str
    node: str
    """Content key of the node that gave it."""
    run: str
    started: str
    prompt: str
    verdict: str
    tags: list[str]
    url: str
    """Its bytes, on this site."""

    @classmethod
    def of(cls, row: dict[str, Any]) -> AssetTold:
        """Return a row of the catalog as the API says it."""
        told = {name: row.get(name) for name in cls.model_fields if name != "url"}
        empty = {"campaign": "", "prompt": "", "verdict": "", "tags": [], "seconds": 0.0}
        told |= {name: told[name] or value for name, value in empty.items()}
        return cls(**told, url=f"/files/{row['sha256']}")


class Runs(Told):
    """A page of runs, newest first."""

    runs: list[RunTold]


class Assets(Told):
    """A page of assets, newest first."""

    total: int
    assets: list[AssetTold]


class JobsTold(Told):
    """A page of jobs, newest first."""

    jobs: list[JobTold]


REFUSALS: dict[int | str, dict[str, Any]] = {
    status: {
        "description": words,
        "content": {"application/problem+json": {"schema": Problem.model_json_schema()}},
    }
    for status, words in {
        401: "No token, or one that was revoked.",
        403: "The token's role may not do this.",
        404: "There is none.",
        409: "The Idempotency-Key was given to another request, too many jobs wait, or the model "
        "that is named cannot do it.",
        413: "The request is too long.",
        422: "Something of the request is wrong; the title says what.",
        429: "Too many requests; Retry-After says when.",
    }.items()
}
routes = APIRouter(
    prefix="/api/v1", responses=REFUSALS, dependencies=[Security(HTTPBearer(auto_error=False))]
)


@routes.get("/runs")
def runs(
    site: Here,
    campaign: Annotated[str, Query(max_length=200)] = "",
    limit: Limit = 50,
    offset: Offset = 0,
) -> Runs:
    """List runs, newest first."""
    return Runs(runs=[_run(row) for row in site.reading.runs(limit, offset, campaign)[:limit]])


@routes.get("/runs/{run_id}")
def run(site: Here, run_id: RunId) -> RunTold:
    """Tell of one run as it stands."""
    try:
        found = site.reading.run(run_id)
    except BadFile:
        raise HTTPException(404, "no such run") from None
    places = [entry.place for entry in found.entries if entry.state in ("failed", "skipped")]
    ended = {"made", "cached"}
    last = {(e.place.shot, e.place.delivery): e for e in found.entries if e.place.delivery}
    return RunTold(
        id=found.id, campaign=found.campaign, state=found.state, started=found.started,
        finished=found.finished, shots=len(found.shots),
        failed=len({place.shot for place in places}),
        delivered=sum(entry.state in ended for entry in last.values()),
    )  # fmt: skip


def _run(row: dict[str, Any]) -> RunTold:
    told = {name: row[name] for name in RunTold.model_fields}
    return RunTold(**told | {"finished": row["finished"] or ""})


@routes.get("/assets")
def assets(
    site: Here, asked: Annotated[Asked, Depends()], limit: Limit = 50, offset: Offset = 0
) -> Assets:
    """Search pictures and clips: those that a model drew, and finished deliveries."""
    found = site.reading.assets(limit, offset, **asked.filters())
    total = found[0]["total"] if found else 0
    return Assets(total=total, assets=[AssetTold.of(row) for row in found])


@routes.get("/assets/{digest}")
def asset(site: Here, digest: Digest) -> AssetTold:
    """Tell of one asset."""
    row = site.reading.asset(digest)
    if row is None:
        raise HTTPException(404, "no such asset")
    return AssetTold.of(row)


@routes.post(
    "/jobs",
    status_code=202,
    responses={200: {"model": JobTold, "description": "Asked for before under the same key."}},
)
def submit(
    site: Here,
    asked: Annotated[Campaign | Clip | Moved | Variant, Field(discriminator="kind")],
    response: Response,
    visitor: Annotated[Visitor, Depends(need("reviewer"))],
    idempotency_key: Annotated[str | None, Header(min_length=1, max_length=200)] = None,
) -> JobTold:
    """Ask for work. The same `Idempotency-Key` and body again give the same job."""
    assert visitor.token is not None
    if not isinstance(asked, Variant) and not visitor.token.may("admin"):
        raise HTTPException(403, "this needs a token of the role admin")
    _check(site, asked)
    told = asked.model_dump(mode="json", exclude_none=True)
    try:
        job, new = site.jobs.submit(visitor.token.id, told, idempotency_key)
    except BadInput as error:
        raise HTTPException(409, str(error)) from None
    response.status_code = 202 if new else 200
    return JobTold.of(job)


def _check(site: Site, asked: Campaign | Clip | Moved | Variant) -> None:
    """Refuse what names something that is not there, or a model for what it cannot do.

    A form that names no model is held against that of the machine which makes it, later.

    Raises:
        HTTPException: 404, with what is there; 409, with what the model can do.
    """
    library = site.reading.library
    if isinstance(asked, Variant):
        known(site.reading, asked.asset)
    elif isinstance(asked, Campaign):
        names, profiles = campaigns(site.home), library.profiles
        if asked.campaign not in names:
            raise HTTPException(404, unknown("campaign", asked.campaign, names))
        if asked.profile not in (None, "auto", *profiles):
            raise HTTPException(404, unknown("profile", str(asked.profile), profiles))
    elif asked.request.model != "auto":
        try:
            asked.request.check(library, asked.request.model)
        except BadInput as error:
            raise HTTPException(409, str(error)) from None


@routes.get("/jobs")
def jobs(site: Here, limit: Limit = 50, offset: Offset = 0) -> JobsTold:
    """List jobs, newest first."""
    return JobsTold(jobs=[JobTold.of(job) for job in site.jobs.every(limit, offset)])


@routes.get("/jobs/{job_id}")
def job(site: Here, job_id: JobId) -> JobTold:
    """Tell how a job stands."""
    try:
        return JobTold.of(site.jobs.get(job_id))
    except KeyError:
        raise HTTPException(404, "no such job") from None


@routes.post("/jobs/{job_id}/cancel", dependencies=[Depends(need("admin"))])
def cancel(site: Here, job_id: JobId) -> JobTold:
    """Ask a job to end; what it has finished is kept. One that has ended stays as it is."""
    try:
        return JobTold.of(site.jobs.cancel(job_id))
    except KeyError:
        raise HTTPException(404, "no such job") from None
