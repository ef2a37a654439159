"""One ffmpeg process: fed, watched, killed, cancelled, and out of space."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from configs.errors import Interrupted, OutOfSpace, Passing, StageFailed
from tasks import export, ffmpeg
from tasks.probe import probe
from tasks.stage import Photo
from tests.export_data import Desk, clip, delivery, scene

ENDLESS = ["-f", "lavfi", "-i", "testsrc=s=320x240:r=30,realtime", "-f", "null", "-"]


def children() -> list[int]:
    """Return the ids of our own ffmpeg processes."""
    tasks = Path("/proc/self/task").glob("*/children")
    ids = [int(word) for task in tasks for word in task.read_text().split()]
    return [one for one in ids if about(one, "comm").startswith("ffmpeg")]


def about(process: int, name: str) -> str:
    """Return a file that the kernel keeps about a process, empty where it is gone."""
    try:
        return Path(f"/proc/{process}/{name}").read_text(encoding="utf-8")
    except (FileNotFoundError, ProcessLookupError):
        return ""


def wait_for(what, seconds: float = 10.0):
    """Return what `what` returns, once that is true."""
    end = time.monotonic() + seconds
    while not (found := what()):
        assert time.monotonic() < end
        time.sleep(0.01)
    return found


def test_a_cancel_ends_the_process_at_once():
    """Soon after a cancel no ffmpeg is left, and what asked for it goes on."""
    asked = threading.Event()
    threading.Timer(0.3, asked.set).start()
    started = time.monotonic()
    with pytest.raises(Interrupted):
        ffmpeg.run(ENDLESS, cancelled=asked.is_set)
    assert time.monotonic() - started < 8
    assert children() == []


def test_a_killed_process_is_worth_another_try():
    """A process that the kernel kills for memory is told apart from one that fails."""

    def kill() -> None:
        os.kill(wait_for(children)[0], signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    with pytest.raises(Passing, match="was killed by SIGKILL"):
        ffmpeg.run(ENDLESS)
    killer.join()


def test_a_full_disk_is_told_apart():
    """/dev/full refuses every byte, as a full disk does."""
    with pytest.raises(OutOfSpace):
        ffmpeg.run(["-f", "lavfi", "-i", "testsrc=d=1", "-f", "rawvideo", "/dev/full"])


def test_words_of_a_failure_name_the_cause_and_no_address():
    """The first line is the cause; memory addresses would make each message another."""
    with pytest.raises(StageFailed, match="No such file") as caught:
        ffmpeg.run(["-i", "/nowhere.mp4", "/tmp/none.mp4"])
    assert "0x" not in str(caught.value)


def test_an_error_while_frames_are_drawn_ends_the_process(tmp_path):
    """The frames' own error comes out, and no process is left waiting for more."""

    def frames():
        yield np.zeros((64, 64, 3), np.uint8)
        raise ValueError("the model failed")

    with pytest.raises(ValueError, match="the model failed"):
        ffmpeg.write_clip(tmp_path / "m.mp4", frames(), size=(64, 64), fps=8)
    assert children() == []


@pytest.mark.skipif(shutil.which("setpriv") is None, reason="setpriv is util-linux's")
def test_a_process_dies_with_us():
    """Where keyreel itself is killed, no encoder goes on behind it."""
    code = f"from tasks import ffmpeg; ffmpeg.run({ENDLESS!r})"
    parent = subprocess.Popen([sys.executable, "-c", code])
    family = f"task/{parent.pid}/children"
    child = int(wait_for(lambda: about(parent.pid, family)).split()[0])
    wait_for(lambda: about(child, "comm").startswith("ffmpeg"))
    parent.kill()
    parent.wait()
    wait_for(lambda: about(child, "stat").partition(") ")[2][:1] in {"", "Z"})


def test_a_master_clip_is_visually_lossless(tmp_path):
    """A master is above 42 dB from the frames it was made of, drift of colour included."""
    pictures = [np.asarray(scene((128, 128), 0.3 * number)) for number in range(5)]
    path = tmp_path / "m.mp4"
    ffmpeg.write_clip(path, pictures, size=(128, 128), fps=8)
    facts = probe(path)
    assert (facts.frames, facts.fps, facts.colour) == (5, 8, (1, 1, 1))
    ffmpeg.run(["-i", str(path), "-vf", ffmpeg.TO_RGB, "-frames:v", "1", str(tmp_path / "0.png")])
    with Image.open(tmp_path / "0.png") as image:
        error = np.asarray(image.convert("L"), float) - np.asarray(
            Image.fromarray(pictures[0]).convert("L"), float
        )
    assert 10 * np.log10(255**2 / np.mean(error**2)) > 42


@pytest.mark.slow
def test_an_export_whose_process_is_killed_is_made_one_by_one(tmp_path):
    """The joint process dies as for memory; the files are made all the same."""
    desk = Desk(tmp_path / "home")
    master = clip(desk.root / "m.mp4", (144, 256), frames=33, fps=16)
    photo = {"clip": Photo(144, 256, fps=16, frames=33)}
    nodes = [
        desk.node(export.STAGE, delivery(*size), {"clip": master}, photo, name=f"d{size[1]}")
        for size in [(1080, 1920), (1080, 1440)]
    ]

    def kill() -> None:
        os.kill(wait_for(children)[0], signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    made = desk.make(export.STAGE, *nodes)
    killer.join()
    assert [one.facts["encoded_together"] for one in made] == [1, 1]


def test_a_cancelled_export_is_no_failure(tmp_path):
    """A cancel comes out as Interrupted and is not taken for a reason to go on one by one."""
    desk = Desk(tmp_path / "home")
    master = clip(desk.root / "m.mp4", (144, 256))
    photo = {"clip": Photo(144, 256, fps=8, frames=9)}
    nodes = [
        desk.node(export.STAGE, delivery(*size), {"clip": master}, photo)
        for size in [(1080, 1920), (1080, 1440)]
    ]
    with pytest.raises(Interrupted):
        desk.make(export.STAGE, *nodes, cancelled=lambda: True)
    assert children() == []
