"""Approval: which keyframes wait for a person, what was said of them, and what may be made.

A verdict is about a keyframe's content key: drawn the same again, a picture keeps it; drawn with
another seed or other words, it is to be judged again. Knows nothing of Prefect, terminals or pages.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from zoneinfo import ZoneInfo

from catalogs import reviews
from catalogs.node import Node, NodeOutput
from catalogs.record import Record, Review, Run, Verdict
from catalogs.reviews import Judged
from catalogs.runs import NAME, campaign_of, read_run
from catalogs.store import Store
from configs.base import Json
from configs.errors import BadFile, BadInput
from configs.home import Home
from configs.load import load_campaign
from flows.shots import first_day

GATE = "keyframe"
"""The kind of stage whose pictures are judged."""
PORT = "image"
MOST_RUNS = 8
"""Of one campaign, looked at: weeks that nobody judged for so long are history."""
KEY = re.compile("[0-9a-f]{64}")
"""Keys become file names: those from a page are hostile until checked."""


@dataclass(frozen=True, slots=True)
class Keyframe:
    """A keyframe of a campaign's latest run, as a reviewer sees it."""

    campaign: str
    run: str
    shot: str
    shape: str
    """Its aspect; its delivery where a pipeline draws one for each."""
    key: str
    path: Path
    """The picture, a PNG in the store: read it, never write it."""
    told: Mapping[str, Json]
    """What the run file says of the shot: product, day, texts, template, seed."""
    review: Review | None
    """The last verdict on it, if there is one."""
    waits: bool
    """Whether the campaign goes on only when it is judged."""
    file: str
    """The campaign's file, without its `.yaml`."""
    again: str
    """The words after `keyreel` that go on with its run."""

    @property
    def prompt(self) -> str:
        """The words that it was drawn from."""
        texts = self.told.get("texts")
        return str(texts.get("picture", "")) if isinstance(texts, dict) else ""

    @property
    def name(self) -> str:
        """What a person calls it: `rouge-01/2026-03-02:portrait`."""
        return f"{self.shot}:{self.shape}"


def verdicts(home: Home) -> dict[str, Review]:
    """Return the last verdict on each keyframe that has one, by the keyframe's key.

    Raises:
        BadFile: where one is damaged.
    """
    return reviews.latest(Store(home.store))


def judge(
    home: Home,
    key: str,
    verdict: Verdict,
    note: str = "",
    by: str = "",
    at: dt.datetime | None = None,
) -> Review:
    """Keep a verdict on a keyframe: on the disk when this returns; the last one counts.

    Args:
        home: the workspace.
        key: of the keyframe.
        verdict: `approved`, `rejected` (with a note), or `reseeded`: drawn again with another seed.
        note: at most 400 characters.
        by: who judges, at most 64 characters.
        at: aware; left out: now. The same verdict of the same moment is kept once.

    Raises:
        BadInput: where no finished keyframe has this key, or note or name are not as above.
        BadFile: where its record is damaged.
        OutOfSpace: where the disk is full.
    """
    store = Store(home.store)
    if (
        not KEY.fullmatch(key)
        or not store.has(key)
        or not _is_keyframe(record := store.record(key))
    ):
        raise BadInput(f"{key[:64]!r}: no finished keyframe has this key")
    return reviews.judge(
        store, record, PORT, Judged(verdict, note, by), at or dt.datetime.now(dt.UTC)
    )


def keyframes(home: Home, campaign: str = "") -> list[Keyframe]:
    """Return the finished keyframes of each campaign's latest runs, with their verdicts.

    Of each first day the newest run counts.

    Args:
        home: the workspace.
        campaign: only this one's.
    """
    store, said = Store(home.store), verdicts(home)
    return [found for run in _latest_runs(home, campaign) for found in _of_run(run, store, said)]


def awaiting(home: Home, campaign: str = "") -> list[Keyframe]:
    """Return the keyframes that wait for a verdict, as `keyframes` does."""
    return [one for one in keyframes(home, campaign) if one.waits]


def settled(home: Home, name: str, start: dt.date | None, moment: dt.datetime) -> dt.date | None:
    """Return the first day; none where it is the campaign's own, whenever that is looked at.

    Where a person must approve, it stays that of the run's beginning: the run that goes on after
    the verdicts makes the shots that were judged.

    Args:
        home: the workspace.
        name: of a file in its `campaigns/`.
        start: first day, in place of the campaign's own.
        moment: aware; when the run began.
    """
    campaign = load_campaign(home.find_campaign(name), home).campaign
    if campaign.approve is None:
        return start
    today = moment.astimezone(ZoneInfo(campaign.calendar.timezone)).date()
    return start or first_day(campaign.calendar, today)


def _latest_runs(home: Home, campaign: str) -> Iterator[Run]:
    """Yield the newest run of each first day of each campaign; ids tell whose they are."""
    ids = sorted((path.parent.name for path in home.runs.glob(f"*/{NAME}")), reverse=True)
    whose = [(name, campaign_of(name)) for name in ids]
    for each in dict.fromkeys(its for _, its in whose if campaign in ("", its)):
        days: set[object] = set()
        for name in islice((name for name, its in whose if its == each), MOST_RUNS):
            with suppress(BadFile):  # a damaged one is another page's news
                run = read_run(home.runs, name)
                if run.parameters.get("start") not in days:
                    days.add(run.parameters.get("start"))
                    yield run


def _of_run(run: Run, store: Store, said: Mapping[str, Review]) -> Iterator[Keyframe]:
    told = run.parameters
    options = [f"--{name} {told[name]}" for name in ("start", "seed", "profile") if name in told]
    asked = told.get("approve") == "keyframes"
    kinds: dict[str, bool] = {}  # by stage: reading each node's record would take 0.2 ms
    for entry in {entry.key: entry for entry in run.entries}.values():
        place = entry.place
        if not store.has(entry.key):
            continue
        if place.stage not in kinds:
            kinds[place.stage] = _is_keyframe(store.record(entry.key))
        if kinds[place.stage]:
            review = said.get(entry.key)
            yield Keyframe(
                campaign=run.campaign,
                run=run.id,
                shot=place.shot,
                shape=place.aspect or place.delivery,
                key=entry.key,
                path=store.output(entry.key, PORT),
                told=run.shots.get(place.shot, {}),
                review=review,
                waits=asked and review is None,
                file=run.asked,
                again=" ".join(["run", run.asked, *options]),
            )


def _is_keyframe(record: Record) -> bool:
    return record.recipe["stage"] == GATE


def redrawn(node: Node, said: Mapping[str, Review]) -> Node:
    """Return the node, with another seed where a reviewer asked for one: each verdict names it."""
    seen: set[str] = set()  # verdicts that someone wrote by hand might run in a circle
    while node.key in said and node.key not in seen:
        seen.add(node.key)
        if (seed := said[node.key].seed) is not None:
            node = replace(node, params={**node.params, "seed": seed})
    return node


def held_back(nodes: Mapping[str, Node], said: Mapping[str, Review]) -> dict[str, str]:
    """Return the nodes that may not be made yet, each with the key of a keyframe not approved.

    Args:
        nodes: of a whole plan, each after those it reads.
        said: verdicts by key.
    """
    held: dict[str, str] = {}
    for key, node in nodes.items():
        for source in node.inputs.values():
            if not isinstance(source, NodeOutput):
                continue
            if source.key in held:
                held[key] = held[source.key]
            elif nodes[source.key].kind == GATE and not _approved(said.get(source.key)):
                held[key] = source.key
    return held


def verdict_on(node: Node, review: Review | None) -> str:
    """Return in one sentence why nothing may be made of a keyframe."""
    if review is None:
        return f"{node.address} waits for approval"
    return f"{node.address} was {review.verdict} by {review.reviewer}: {review.note or 'no note'}"


def _approved(review: Review | None) -> bool:
    return review is not None and review.verdict == "approved"
