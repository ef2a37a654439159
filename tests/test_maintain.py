"""What looks after a home: models loaded and put out in the resident process, deliveries anew."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest

from configs.errors import BadInput
from flows import resident
from flows.maintain import kept
from flows.plan import prepare
from flows.rerender import latest, without_gpu
from gpu.service.client import Client
from tests.campaigns import home_with, run_plainly

pytestmark = pytest.mark.slow


@pytest.fixture
def process(tmp_path):
    """A home whose resident process runs."""
    home = home_with(tmp_path / "home")
    words = ["-m", "gpu.service", str(resident.folder(home)), "gpu-0", resident.ENTRY]
    running = subprocess.Popen([sys.executable, *words, str(home.root)], stdin=subprocess.PIPE)
    client = Client(resident.folder(home))
    end = time.monotonic() + 50
    while not client.found() and time.monotonic() < end:
        time.sleep(0.1)
    yield home, client
    running.terminate()
    running.communicate(timeout=20)


@pytest.mark.timeout(120)
def test_models_are_loaded_once_and_given_back(process):
    """Warmed twice they are loaded once; released, nothing is held."""
    home, client = process
    (first,) = resident.warm(home, "mini")
    (again,) = resident.warm(home, "mini")
    assert first[1] == again[1] > 0
    assert first[2] > 0
    assert again[2] == 0
    assert client.statuses()[0]["worker"]["loads"] == 2
    ((_, freed),) = resident.release(home)
    assert freed == pytest.approx(first[1])
    assert client.statuses()[0]["worker"]["bytes"] == 0


def test_without_a_resident_process_nothing_is_warmed_in_vain(tmp_path):
    """A flow run's own process ends with it: its weights would be of no use."""
    home = home_with(tmp_path / "home")
    for ask in (lambda: list(resident.warm(home, "mini")), lambda: list(resident.release(home))):
        with pytest.raises(BadInput, match="keyreel up"):
            ask()


def test_deliveries_are_made_anew_without_drawing(tmp_path):
    """A changed watermark is put on finished pictures; what is not drawn yet is left out."""
    home = home_with(tmp_path / "home")
    fresh = prepare(home, "stills").plan
    left = without_gpu(fresh)
    assert {node.address.shot for node in left.work() if node.kind == "export"} == {
        "mug-01/2026-03-02"
    }
    assert not [node for node in left.nodes.values() if node.kind == "keyframe"]
    with pytest.raises(BadInput, match="has not run yet"):
        latest(home, "stills")
    run_plainly(home)
    brief = home.campaigns / "stills.yaml"
    changed = brief.read_text("utf-8").replace(
        "logo: brand/lumiere.png", "logo: brand/lumiere.png\n  watermark: {opacity: 0.3}"
    )
    brief.write_text(changed, "utf-8")
    prepared = latest(home, "stills")
    work = without_gpu(prepared.plan).work()
    assert prepared.plan.work() == work
    assert {node.kind for node in work} >= {"watermark", "export", "sign"}


def test_maintenance_says_what_it_would_delete_before_it_does(tmp_path):
    """Old stills are counted, then deleted; the catalog is built anew from what is kept."""
    home = home_with(tmp_path / "home")
    run_plainly(home)
    brief = home.campaigns / "stills.yaml"
    brief.write_text(brief.read_text("utf-8").replace("seed: 7", "seed: 8"), "utf-8")
    run_plainly(home)
    told = dict(kept(home, delete=False, rebuild=False))
    assert told["Files that could be deleted"] > 0
    done = dict(kept(home, delete=True, rebuild=True))
    assert done["Files deleted"] == told["Files that could be deleted"]
    assert done["Nodes in the catalog, built anew"] >= done["Finished nodes kept"]
