"""The work pool that deployments name and workers take runs from: made where there is none."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from httpx import codes

from configs.errors import BadInput

if TYPE_CHECKING:
    from prefect.client.orchestration import SyncPrefectClient

POOL = "keyreel"


def make_pool(client: SyncPrefectClient) -> None:
    """Make the pool; one that is there stays as it is: people may have changed it.

    Raises:
        BadInput: where the server asks for another password.
    """
    from prefect.client.schemas.actions import WorkPoolCreate
    from prefect.exceptions import ObjectAlreadyExists, PrefectHTTPStatusError
    from prefect.workers.process import ProcessWorker

    template = ProcessWorker.get_default_base_job_template()
    pool = WorkPoolCreate(name=POOL, type="process", base_job_template=template)
    try:
        with suppress(ObjectAlreadyExists):
            client.create_work_pool(pool)
    except PrefectHTTPStatusError as error:
        if error.response.status_code != codes.UNAUTHORIZED:
            raise
        raise BadInput(
            f"{client.api_url} asks for a password: set PREFECT_API_AUTH_STRING to user:password"
        ) from None
