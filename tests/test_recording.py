"""Frames reach the encoder while later ones are made, and the file is the one written at once."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from configs.errors import StageFailed
from tasks.ffmpeg import write_clip
from tasks.recording import Recording


def some_frames(count: int = 9) -> np.ndarray:
    rng = np.random.default_rng(0)
    return rng.integers(0, 255, (count, 48, 64, 3), dtype=np.uint8)


def test_the_file_is_the_same_as_written_at_once(tmp_path):
    """However the frames were grouped."""
    frames = some_frames()
    write_clip(tmp_path / "whole.mp4", frames, size=(64, 48), fps=8)
    with Recording(
        lambda given: write_clip(tmp_path / "groups.mp4", given, size=(64, 48), fps=8)
    ) as recording:
        for first, last in ((0, 1), (1, 5), (5, 9)):
            recording.take(first, frames[first:last])
    assert (tmp_path / "groups.mp4").read_bytes() == (tmp_path / "whole.mp4").read_bytes()


def test_the_writer_has_frames_before_the_last_is_made():
    """The first group is written while the second does not exist yet."""
    seen, there = [], threading.Event()

    def write(groups):
        for group in groups:
            seen.append(len(group))
            there.set()

    with Recording(write) as recording:
        recording.take(0, some_frames(1))
        assert there.wait(5)
        assert seen == [1]
        recording.take(1, some_frames(4))
    assert seen == [1, 4]


def test_a_clip_that_begins_anew_is_written_anew():
    """Where memory ran out half-way, the frames come again from number 0."""
    clips: list[list[int]] = []

    def write(groups):
        clips.append([])
        clips[-1].extend(len(group) for group in groups)

    with Recording(write) as recording:
        recording.take(0, some_frames(1))
        recording.take(0, some_frames(1))
        recording.take(1, some_frames(2))
    assert clips == [[1], [1, 2]]


def test_the_writers_error_is_raised_where_frames_are_given(tmp_path):
    """At the next group, or at the end: work is not gone on with for a file that can't be."""

    def write(groups):
        write_clip(tmp_path / "no folder" / "clip.mp4", groups, size=(64, 48), fps=8)

    with pytest.raises(StageFailed, match="No such file"), Recording(write) as recording:
        recording.take(0, some_frames())


def test_an_error_inside_ends_the_writer():
    """And is the one that is raised."""
    ended = []

    def write(groups):
        ended.append(len(list(groups)))
        raise OSError("never mind")

    def work():
        with Recording(write) as recording:
            recording.take(0, some_frames())
            raise ValueError("no more")

    with pytest.raises(ValueError, match="no more"):
        work()
    assert ended == [1]
