"""How long a work may take, and whose turn it is on the GPU."""

from __future__ import annotations

import pytest
from prefect.logging import disable_run_logger

from configs.errors import Interrupted, Passing
from flows import campaign
from flows.book import Book
from flows.mend import prepare_whole
from flows.progress import Totals
from flows.turns import lock_file, turn
from tests.fault_home import new_home

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(("cancelled", "error"), [(False, Passing), (True, Interrupted)])
def test_a_work_that_takes_too_long_is_stopped(tmp_path, monkeypatch, cancelled, error):
    """At its next step it ends: to be tried again, unless somebody cancelled it."""
    monkeypatch.setattr(campaign, "LONGEST", 0.0)
    home = new_home(tmp_path / "home")
    prepared, _ = prepare_whole(home, "stills")
    watch = Totals()
    with Book.open(home, *prepared, watch) as book, disable_run_logger():
        studio = book.studio(lambda: cancelled)
        drawing = next(work for work in book.works if work.lane == "gpu")
        with pytest.raises(error):
            campaign.make_work(drawing, studio, watch, book.run.id)
        assert not studio.has(drawing.nodes[0].key)


def test_two_runs_take_turns_on_a_gpu(studio, tmp_path, monkeypatch):
    """The second waits for the first, hears a cancel while it waits, and goes on after it."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with turn("gpu", studio({})):
        with turn("cpu", studio({})):
            pass
        with pytest.raises(Interrupted), turn("gpu", studio({}, cancelled=lambda: True)):
            pass
    with turn("gpu", studio({}, cancelled=lambda: True)):
        assert lock_file().parent == tmp_path


def test_the_lock_follows_no_link(studio, tmp_path, monkeypatch):
    """Another user of the machine cannot point it at a file of ours."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    lock_file().symlink_to(tmp_path / "mine")
    with pytest.raises(OSError, match="symbolic"), turn("gpu", studio({})):
        pass
    assert not (tmp_path / "mine").exists()
