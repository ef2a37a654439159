"""A flow that cannot do what was asked says so in one sentence: the state of its run.

Prefect's engine logs a traceback of its own after it, as after every failed run.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from prefect import get_run_logger
from prefect.client.schemas.objects import State
from prefect.states import Failed

from configs.errors import BadInput

T = TypeVar("T")


def in_words(work: Callable[[], T]) -> T | State[Any]:
    """Return what the work of a flow run gives; bad input ends the run with the error's own words.

    Called inside the flow: Prefect reads a flow's annotations where its function stands.
    """
    try:
        return work()
    except BadInput as error:
        get_run_logger().error("%s", error)
        return Failed(message=str(error), data=error)
