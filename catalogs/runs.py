"""The run files: `runs/ID/run.json`, a line for every node of a run and what became of it.

With the records, all that the catalog is built from.
"""

from __future__ import annotations

import datetime as dt
import tempfile
from collections.abc import Iterator
from pathlib import Path

from pydantic import ValidationError

from catalogs.durable import sync
from catalogs.record import Run
from configs.errors import BadFile

NAME = "run.json"


def new_id(campaign: str) -> str:
    """Return the id of a run that begins now: of two of a campaign the later one sorts last.

    The four digits at its end are the second's 65,536th parts.
    """
    moment = dt.datetime.now(dt.UTC)
    return f"{since(moment)}-{campaign}-{(moment.microsecond << 16) // 1_000_000:04x}"


def since(moment: dt.datetime) -> str:
    """Return how the ids of runs begin that began in the second of `moment`; later ones sort after.

    Args:
        moment: in UTC.
    """
    return f"{moment:%Y%m%d-%H%M%S}"


def campaign_of(run_id: str) -> str:
    """Return the campaign that a run's id tells."""
    return "-".join(run_id.split("-")[2:-1])


def write_run(folder: Path, run: Run) -> Path:
    """Write `run` into `folder`/ID, replacing what stood there at once; return its folder."""
    place = folder / run.id
    place.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".", dir=place) as desk:
        draft = Path(desk) / NAME
        draft.write_text(run.model_dump_json(indent=1), encoding="utf-8")
        sync([draft])
        draft.replace(place / NAME)
    return place


def read_run(folder: Path, run_id: str) -> Run:
    """Return a run.

    Raises:
        BadFile: where there is none of this id, or its file is damaged.
    """
    path = folder / run_id / NAME
    try:
        return Run.model_validate_json(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        raise BadFile(f"{path}: no such run") from None
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise BadFile(f"{path}: {where}: {first['msg']}; delete its folder") from None


def all_runs(folder: Path) -> Iterator[Run]:
    """Yield the readable runs in `folder`, oldest first: their ids begin with their time."""
    for path in sorted(folder.glob(f"*/{NAME}")):
        try:
            yield read_run(folder, path.parent.name)
        except BadFile:
            continue


def latest_run(folder: Path, campaign: str) -> Run | None:
    """Return the newest run of `campaign`, if there is one."""
    for path in sorted(folder.glob(f"*/{NAME}"), reverse=True):
        try:
            run = read_run(folder, path.parent.name)
        except BadFile:
            continue
        if run.campaign == campaign:
            return run
    return None
