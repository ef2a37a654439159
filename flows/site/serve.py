"""Listening: on this machine alone, until there is a token."""

from __future__ import annotations

from configs.errors import BadInput
from configs.home import Home
from flows.site.ledger import Ledger
from flows.site.session import LOOPBACK
from flows.site.tokens import every

GRACE = 3
"""Seconds that a download has to end after Ctrl-C."""


def listen(home: Home, host: str, port: int) -> None:
    """Serve the site of `home` until told to end.

    Raises:
        BadInput: where it would listen beyond this machine and there is no token.
    """
    check_door(home, host)
    import uvicorn  # after the refusal: these take seconds to import

    from flows.site.app import create

    uvicorn.run(
        create(home),
        host=host,
        port=port,
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=GRACE,
    )


def check_door(home: Home, host: str) -> None:
    """Refuse to listen beyond this machine before there is a token.

    Raises:
        BadInput: where there is none.
    """
    if host not in LOOPBACK and not every(Ledger(home)):
        raise BadInput(
            f"--host {host}: beyond this machine the site needs a token: "
            "run `keyreel token new --role admin`"
        )
