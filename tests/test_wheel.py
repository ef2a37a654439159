"""The wheel: all that a newcomer's `pip install` gets, and nothing else."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def names(tmp_path_factory):
    """The names of all files in the wheel."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = folder.glob("keyreel-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


@pytest.mark.slow
def test_the_wheel_has_the_five_packages_with_their_data(names):
    """Code, YAML, SQL, pages, logo and weights go along."""
    assert {
        "flows/campaign.py",
        "flows/prefect.yaml",
        "tasks/stages.py",
        "configs/deliveries.yaml",
        "configs/prompts/product-closeup.yaml",
        "configs/pipelines/social-clip.yaml",
        "configs/campaigns/brand/lumiere.png",
        "catalogs/gallery/page.html.j2",
        "gpu/mini/weights/image/model_index.json",
    } <= names
    assert any(name.startswith("catalogs/queries/") and name.endswith(".sql") for name in names)
    assert any(name.endswith(".safetensors") for name in names)


@pytest.mark.slow
def test_the_wheel_has_nothing_else(names):
    """No tests, benchmarks or notes: their names would clash in site-packages."""
    tops = {name.split("/")[0] for name in names if ".dist-info" not in name}
    assert tops == {"configs", "catalogs", "gpu", "tasks", "flows"}
