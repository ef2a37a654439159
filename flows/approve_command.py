"""`keyreel approve`: a reviewer's verdicts from a terminal."""

from __future__ import annotations

import getpass
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from configs.errors import BadInput
from configs.home import Home
from configs.wording import unknown

if TYPE_CHECKING:
    from catalogs.record import Verdict
    from flows.approval import Keyframe

Shots = Annotated[
    list[str] | None,
    typer.Option(
        metavar="SHOT", help="`all`, a shot, or one shape of it as SHOT:portrait; may be repeated."
    ),
]


def approve(
    context: typer.Context,
    campaign: Annotated[str, typer.Argument(help="A file in campaigns/, without its .yaml.")],
    accept: Shots = None,
    reject: Shots = None,
    reseed: Shots = None,
    note: Annotated[str, typer.Option(help="Why; a rejection needs one.")] = "",
    by: Annotated[str, typer.Option(help="Who judges; left out: your login name.")] = "",
) -> None:
    """Accept or reject a campaign's keyframes, or ask for another seed; without options, show them.

    With `approve: keyframes` in the campaign, clips and files are made of accepted ones only.
    """
    from configs.load import load_campaign
    from flows import screen
    from flows.approval import judge, keyframes

    given = context.obj
    home = Home.find(given if isinstance(given, Path) else None)
    name = load_campaign(home.find_campaign(campaign), home).campaign.name
    found = keyframes(home, name)
    if not found:
        raise BadInput(f"{campaign}: has no keyframes yet; say `keyreel run {campaign}` first")
    asked: dict[Verdict, list[str] | None] = {
        "approved": accept,
        "rejected": reject,
        "reseeded": reseed,
    }
    chosen = {verdict: _chosen(found, words or []) for verdict, words in asked.items()}
    _check_once([key for keys in chosen.values() for key in keys])
    for verdict, keys in chosen.items():
        for key in keys:
            judge(home, key, verdict, note, by or getpass.getuser())
    screen.judged(home, keyframes(home, name))
    if "PREFECT_API_URL" in os.environ:
        _go_on(home)


def _go_on(home: Home) -> None:
    """Let flow runs go on that waited for these verdicts; `keyreel up` does so by itself."""
    from prefect.client.orchestration import get_client

    from flows import screen
    from flows.approval_form import resume

    with get_client(sync_client=True) as client:
        for words in resume(client, home):
            screen.say(words)


def _chosen(found: Sequence[Keyframe], words: Sequence[str]) -> list[str]:
    """Return the keys that words name: `all` stands for what waits."""
    keys: dict[str, None] = {}
    for word in words:
        named = [
            one for one in found if word in (one.shot, one.name) or (word == "all" and one.waits)
        ]
        if not named and word != "all":
            raise BadInput(unknown("shot", word, dict.fromkeys(one.shot for one in found)))
        keys |= dict.fromkeys(one.key for one in named)
    return list(keys)


def _check_once(keys: Sequence[str]) -> None:
    if len(keys) != len(set(keys)):
        raise BadInput("one keyframe is given two verdicts; name it once")
