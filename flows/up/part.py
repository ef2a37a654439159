"""The processes of `keyreel up` that are programs of others: `python -m flows.up.part NAME …`.

Each ends with whoever started it, so that a killed supervisor leaves none behind.
"""

from __future__ import annotations

import sys
from pathlib import Path

from flows.up.pool import POOL
from gpu.service.starter import end_with_the_starter


def worker(name: str) -> None:
    """Work off flow runs; each is a process of its own."""
    from prefect.cli import app

    words = ["worker", "start", "--pool", POOL, "--type", "process", "--name", name]
    sys.argv[1:] = ["--no-prompt", *words]
    app()


def site(home: str, port: str, host: str) -> None:
    """Serve the gallery."""
    from configs.home import Home
    from flows.site.serve import listen

    listen(Home.find(Path(home)), host, int(port))


if __name__ == "__main__":
    end_with_the_starter()
    (worker if sys.argv[1] == "worker" else site)(*sys.argv[2:])
