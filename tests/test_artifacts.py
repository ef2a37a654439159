"""What people look at in Prefect fails no work."""

from __future__ import annotations

import time

import pytest

from configs.home import Home

pytestmark = [
    pytest.mark.slow,  # its imports take seconds
    pytest.mark.filterwarnings("ignore:Artifact creation outside:FutureWarning"),
]


def test_a_server_that_is_gone_fails_no_run(tmp_path):
    """Work goes on while it is started again: neither waits for it nor ends with its error."""
    from prefect.artifacts import create_progress_artifact
    from prefect.settings import PREFECT_API_URL, temporary_settings

    from flows import artifacts
    from flows.progress import Totals

    with temporary_settings({PREFECT_API_URL: "http://127.0.0.1:9/api"}):
        assert not artifacts._heard(lambda: create_progress_artifact(0.0, key="campaign-progress"))
        began = time.monotonic()
        with artifacts.live(Totals(), Home.create(tmp_path / "home")):
            entered = time.monotonic() - began
        left = time.monotonic() - began
    assert entered < 10  # Prefect's client would try for a minute
    assert left < artifacts.LAST_SECONDS
