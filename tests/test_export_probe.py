"""What an MP4 file says of itself, however broken, and whether that was asked for."""

from __future__ import annotations

import contextlib
import dataclasses
import struct

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from configs.errors import BadFile, Rejected
from tasks import export, ffmpeg
from tasks.encode import ClipFile
from tasks.probe import check, probe
from tasks.stage import Photo
from tests.export_data import clip, delivery, make_cell


@pytest.fixture(scope="module")
def master(tmp_path_factory):
    return clip(tmp_path_factory.mktemp("probe") / "m.mp4", (64, 112), frames=9, fps=8)


@pytest.fixture(scope="module")
def asked() -> ClipFile:
    photo = Photo(64, 112, fps=8, frames=9)
    decision = export.decide(make_cell(delivery(64, 112), {"clip": photo}))
    return ClipFile.model_validate(decision.params)


def test_a_clip_says_what_it_is(master):
    """Size, rate, length, format, tags and layout are read from the boxes."""
    facts = probe(master)
    assert dataclasses.asdict(facts) == {
        "width": 64,
        "height": 112,
        "fps": 8.0,
        "frames": 9,
        "seconds": 1.125,
        "codec": "h264",
        "pixel_format": "yuv420p",
        "colour": (1, 1, 1),
        "full_range": False,
        "index_first": True,
        "edit_list": True,
        "audio": None,
        "bytes": master.stat().st_size,
    }


@pytest.mark.parametrize(
    ("options", "fact", "value"),
    [
        (["-pix_fmt", "yuv444p"], "pixel_format", "yuv444p"),
        (["-profile:v", "baseline"], "pixel_format", "yuv420p"),
        (["-vf", "setparams=colorspace=smpte170m"], "colour", (1, 1, 6)),
        (["-vf", "scale=out_range=pc,setparams=range=pc"], "full_range", True),
        (["-use_editlist", "0"], "edit_list", False),
    ],
)
def test_what_differs_is_seen(master, tmp_path, options, fact, value):
    """A file that platforms would show wrongly is told apart."""
    path = tmp_path / "other.mp4"
    ffmpeg.run(["-i", str(master), "-c:v", "libx264", *options, str(path)])
    assert getattr(probe(path), fact) == value
    assert not probe(path).index_first


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"width": 66}, "width is 66, not 64"),
        ({"frames": 8}, "frames is 8, not 9"),
        ({"colour": (1, 2, 2)}, r"colour is \(1, 2, 2\), not \(1, 1, 1\)"),
        ({"index_first": False}, "index_first is False"),
        ({"audio": ("aac", 2, 48_000)}, r"audio is \('aac', 2, 48000\), not None"),
    ],
)
def test_a_file_that_is_not_what_was_asked_for_is_rejected(master, asked, change, words):
    """Everything that differs is named with both values."""
    check(probe(master), asked)
    with pytest.raises(Rejected, match=words):
        check(dataclasses.replace(probe(master), **change), asked)


def test_an_edit_list_is_refused_only_where_the_platform_does(master, asked):
    """A platform without that rule takes both."""
    check(probe(master), asked)
    with pytest.raises(Rejected, match="edit_list is True, not False"):
        check(probe(master), asked.model_copy(update={"edit_list": False}))


@pytest.mark.parametrize("content", [b"", b"not a clip at all", struct.pack(">I4s", 8, b"moov")])
def test_what_is_no_clip_is_a_bad_file(tmp_path, content):
    """Empty, text, or an empty index: one error."""
    path = tmp_path / "x.mp4"
    path.write_bytes(content)
    with pytest.raises(BadFile, match=r"x\.mp4: not a readable MP4 clip"):
        probe(path)


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(at=st.integers(0, 1200), value=st.integers(0, 255), cut=st.booleans())
def test_a_damaged_file_never_crashes_the_reader(master, tmp_path, at, value, cut):
    """Any byte of the index changed, or the file cut there: facts or a BadFile, nothing else."""
    content = bytearray(master.read_bytes())
    content[at] = value
    path = tmp_path / "x.mp4"
    path.write_bytes(content[:at] if cut else content)
    with contextlib.suppress(BadFile):
        probe(path)
