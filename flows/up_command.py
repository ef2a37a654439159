"""`keyreel up`: everything that a team's machine runs, until Ctrl-C."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from configs.errors import BadInput
from configs.home import Home


def up(
    context: typer.Context,
    join: Annotated[
        str, typer.Option(metavar="ADDRESS", help="Work for the server of another machine.")
    ] = "",
    host: Annotated[
        str, typer.Option(help="Listen here; beyond loopback only with a password.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Of Prefect's pages.", min=1, max=65535)] = 4200,
    site_port: Annotated[int, typer.Option(help="Of the gallery.", min=1, max=65535)] = 4300,
) -> None:
    """Run Prefect's server, a worker, a resident GPU process and the gallery; Ctrl-C ends all.

    Prefect's API asks for the user:password in PREFECT_SERVER_API_AUTH_STRING, where that is set.
    """
    from flows import screen
    from flows.up.up import Place
    from flows.up.up import up as run

    auth = os.environ.get("PREFECT_SERVER_API_AUTH_STRING", "")
    auth = auth or os.environ.get("PREFECT_API_AUTH_STRING", "")
    home = Home.find(context.obj)
    run(Place(home, host, port, site_port, auth, _api(join)), screen.say)


def _api(join: str) -> str:
    """Return the address of an API as Prefect wants it.

    Raises:
        BadInput: where it is none.
    """
    if join and not join.startswith(("http://", "https://")):
        raise BadInput(f"--join {join}: write an address such as http://studio:4200")
    return f"{join.rstrip('/').removesuffix('/api')}/api" if join else ""
