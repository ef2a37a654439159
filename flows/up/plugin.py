"""What `prefect deploy` lacks: it refuses a deployment whose work pool is not there yet.

It looks for the pool before it runs any step of prefect.yaml, so the pool is made when Prefect's
command starts. Prefect calls this hook where pyproject.toml lies in the working folder: in a clone.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from prefect.plugins import HookContext, register_hook

from flows.up.pool import make_pool


@register_hook
def setup_environment(*, ctx: HookContext) -> None:
    """Make the pool before `prefect deploy`; do nothing before anything else.

    Args:
        ctx: by this name, as Prefect gives it; not needed.
    """
    del ctx
    # Not in what this process starts: within an event loop Prefect logs its failure to ask again.
    os.environ["PREFECT_PLUGINS_ENABLED"] = "false"
    program, *words = sys.argv
    if Path(program).name == "prefect" and "deploy" in words and not {"--help", "-h"} & {*words}:
        from prefect.client.orchestration import get_client

        with get_client(sync_client=True) as client:
            make_pool(client)
