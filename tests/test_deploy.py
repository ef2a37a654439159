"""What `deploy/` holds, as far as one machine can say: files that parse, names that exist."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

DEPLOY = Path(__file__).parent.parent / "deploy"
OURS = ("PREFECT_HOST", "PREFECT_AUTH")
"""Of example.env."""


@pytest.fixture(scope="module")
def compose():
    return yaml.safe_load((DEPLOY / "compose.yaml").read_text("utf-8"))


def test_the_unit_is_whole(tmp_path):
    """systemd itself finds nothing wrong with the unit, once its program is there."""
    if not shutil.which("systemd-analyze"):
        pytest.skip("there is no systemd-analyze")
    text = (DEPLOY / "keyreel.service").read_text("utf-8")
    unit = tmp_path / "keyreel.service"
    unit.write_text(text.replace("/opt/keyreel/bin/keyreel", shutil.which("true")), "utf-8")
    done = subprocess.run(
        ["systemd-analyze", "verify", unit], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_the_unit_gives_the_command_time_to_end():
    """systemd waits longer than `keyreel up` takes to end its parts, and kills no part before."""
    from flows.up.supervise import STOP_SECONDS

    text = (DEPLOY / "keyreel.service").read_text("utf-8")
    assert int(re.search(r"TimeoutStopSec=(\d+)", text)[1]) > STOP_SECONDS + 2
    assert "KillMode=mixed" in text


def test_every_part_that_is_waited_for_is_there(compose):
    """No service depends on one, or mounts a volume, that the file does not have."""
    services = compose["services"]
    for name, service in services.items():
        assert set(service.get("depends_on", ())) <= services.keys(), name
        named = {mount.split(":")[0] for mount in service.get("volumes", ())}
        assert {one for one in named if not one.startswith(".")} <= compose["volumes"].keys()


def test_only_the_proxy_is_reached_from_outside(compose):
    """Prefect's API runs the code that it is given; Postgres and Redis have no business outside."""
    assert [name for name, service in compose["services"].items() if "ports" in service] == [
        "proxy"
    ]


def test_no_secret_has_a_default(compose):
    """What is to be filled in is asked for in example.env, and compose refuses to start without."""
    text = (DEPLOY / "compose.yaml").read_text("utf-8")
    asked = set(re.findall(r"\$\{(\w+):\?\}", text))
    assert asked == set(re.findall(r"\$\{(\w+)", text))
    example = (DEPLOY / "example.env").read_text("utf-8")
    assert set(re.findall(r"(?m)^(\w+)=$", example)) == asked


def test_every_setting_is_one_that_prefect_knows(compose):
    """A misspelt setting would be ignored in silence."""
    from prefect.settings import get_current_settings
    from prefect_redis.cleanup_queue import RedisWorkerCleanupQueueSettings
    from prefect_redis.client import RedisMessagingSettings

    settings = get_current_settings()
    known = set(settings.to_environment_variables(include_secrets=True)) | _names(type(settings))
    known |= _names(RedisMessagingSettings) | _names(RedisWorkerCleanupQueueSettings)
    told = {
        name
        for service in compose["services"].values()
        for name in service.get("environment", {})
        if name.startswith("PREFECT_") and not name.startswith(OURS)
    }
    assert len(told) > 8
    assert told <= known


def _names(model) -> set[str]:
    """Return every environment variable that a settings class reads."""
    prefix = (model.model_config.get("env_prefix") or "").upper()
    found = set()
    for name, field in model.model_fields.items():
        found.add(f"{prefix}{name}".upper())
        choices = getattr(field.validation_alias, "choices", ())
        found |= {choice.upper() for choice in choices if isinstance(choice, str)}
        if hasattr(field.annotation, "model_fields"):
            found |= _names(field.annotation)
    return found


def test_the_images_are_pinned(compose):
    """No part changes its major version by itself."""
    images = {service["image"] for service in compose["services"].values()}
    assert all(re.search(r":\d+$", image) for image in images - {"keyreel"})
