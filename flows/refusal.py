"""A flow that cannot do what was asked says so in one sentence: in its log, and as its run's state.

A bug keeps its traceback: that is for whoever mends it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, TypeVar

from prefect import get_run_logger
from prefect.client.schemas.objects import State
from prefect.exceptions import Abort, ParameterTypeError
from prefect.runtime import deployment
from prefect.states import Failed

from configs.errors import KeyreelError

T = TypeVar("T")


def in_words(work: Callable[[], T]) -> T | State[Any]:
    """Return what the work of a flow run gives; a refusal ends the run with the error's own words.

    Called inside the flow: Prefect reads a flow's annotations where its function stands.
    """
    try:
        return work()
    except KeyreelError as error:
        get_run_logger().error("%s", error)
        return Failed(message=str(error), data=_raised(error))


def in_a_state(work: Callable[[], T]) -> T | State[Any]:
    """Return what the work of a task run gives; a refusal becomes its state, which Prefect logs."""
    try:
        return work()
    except KeyreelError as error:
        return Failed(message=str(error), data=error)


def _raised(error: KeyreelError) -> BaseException:
    """Return what Prefect raises once the run has ended.

    A worker's process ends with it, and Prefect logs any error's traceback, twice; an Abort's, not.
    """
    return error if deployment.get_id() is None else Abort(str(error))


def _without_trace(record: logging.LogRecord) -> bool:
    """Let a log record say what is wrong with a run's parameters, and not where in Prefect.

    Prefect checks their types before it calls the flow.
    """
    if record.exc_info and isinstance(error := record.exc_info[1], ParameterTypeError):
        record.msg, record.args, record.exc_info = str(error), (), None
    return True


for _name in ("prefect.flow_runs", "prefect.engine"):
    logging.getLogger(_name).addFilter(_without_trace)
