"""Telling people: work is finished, failed, late, or waits for them.

Addresses hold passwords: they are read where they are used, and stand in no parameter, log or
error. A message that cannot be delivered never fails a run.
"""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Any

from prefect import get_run_logger
from prefect.blocks.system import Secret
from prefect.client.schemas.objects import FlowRun, State
from prefect.exceptions import MissingContextError
from prefect.flows import Flow

from configs.errors import BadInput, KeyreelError
from configs.home import Home
from configs.notice import Notice, Occasion, notices

TITLES: dict[Occasion, str] = {
    "finished": "已完成 finished",
    "failed": "出错 failed",
    "approval": "等待审核 waits for approval",
    "late": "晚了 late",
}
QUOTING = ("apprise", "urllib3.connectionpool")
"""Loggers that quote addresses: a flow's log is a page that anybody reads."""
LONGEST = 1000
"""Characters; WeCom takes 2048 bytes."""


def tell(home: Home, occasion: Occasion, subject: str, text: str) -> list[str]:
    """Tell all who want to know.

    Args:
        home: whose `notify.yaml` says who that is.
        occasion: what happened.
        subject: the campaign.
        text: in a sentence or two.

    Returns:
        A sentence for each who could not be told; it names where the address is kept, not it.

    Raises:
        BadField: where the file is wrong.
    """
    title = f"keyreel {subject}: {TITLES[occasion]}"
    told = [each for each in notices(home) if occasion in each.on]
    said = (_send(each, title, text[:LONGEST]) for each in told)
    return [f"{each.to} was not told: {why}" for each, why in zip(told, said, strict=True) if why]


def _send(notice: Notice, title: str, text: str) -> str:
    """Send one message; return why it could not be, "" where it was."""
    from apprise import Apprise

    for name in QUOTING:
        logging.getLogger(name).disabled = True
    address = _address(notice.to)
    if not address:
        return "no address is kept there"
    to = Apprise()
    if not to.add(address):
        return "what is kept there is no address that Apprise knows"
    return "" if to.notify(title=title, body=text) else "it did not take the message"


def _address(kept: str) -> str:
    where, _, name = kept.partition(":")
    if where == "env":
        return os.environ.get(name, "")
    try:
        block = Secret.load(name)
    except ValueError:  # Prefect's word for a block that is not there
        return ""
    return str(block.get()) if isinstance(block, Secret) else ""


def say(home: Home, occasion: Occasion, subject: str, text: str) -> None:
    """Tell all who want to know, from inside a flow run; whom it does not reach is logged."""
    try:
        problems = tell(home, occasion, subject, text)
    except KeyreelError as error:
        problems = [str(error)]
    for problem in problems:
        _logger().warning("%s", problem)


def at_the_end(flow: Flow[..., Any], flow_run: FlowRun, state: State[Any]) -> None:
    """Tell how a flow run ended: Prefect calls it, by these names, when that is certain."""
    named = flow_run.parameters.get("home")
    try:
        home = Home.locate(Path(str(named)) if named else None)
    except BadInput:  # then its file is not found either; the run's state says so
        return
    whole = state.is_completed() and state.name == "Completed"
    subject = str(flow_run.parameters.get("campaign", f"{flow.name} {flow_run.name}"))
    say(home, "finished" if whole else "failed", subject, state.message or str(state.name))


def _logger() -> Any:  # noqa: ANN401  (a logger or an adapter: Prefect's own annotation is a union)
    try:
        return get_run_logger()
    except MissingContextError:  # a hook after a crash runs in the worker
        return logging.getLogger("prefect.keyreel")


TROUBLE: dict[str, Any] = {"on_failure": [at_the_end], "on_crashed": [at_the_end]}
"""For `@flow(**TROUBLE)`. A cancel tells nobody: somebody asked for it."""
TELLING: dict[str, Any] = {"on_completion": [at_the_end], **TROUBLE}
"""For the flows that make something."""
