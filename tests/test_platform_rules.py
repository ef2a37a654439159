"""No platform's rule is broken: by plan or by file, whatever the shape and length of the clip."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Sequence
from itertools import product
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from configs.delivery import Delivery
from configs.errors import BadField, BadPlan
from configs.home import Home
from configs.library import SHIPPED, Library
from tasks import export, ffmpeg
from tasks.stage import Made, Photo
from tests.export_data import Desk, clip, delivery, make_cell, scene
from tests.plan_data import Desk as Demo

ROWS = Library.open(Home(SHIPPED)).deliveries
CLIPS = {name: row for name, row in ROWS.items() if row.kind == "clip"}
SHAPES = {
    "9:16": (144, 256),
    "3:4": (144, 192),
    "4:5": (160, 200),
    "1:1": (144, 144),
    "4:3": (192, 144),
    "16:9": (256, 144),
}
LENGTHS = (17, 81, 161)
"""Frames at 16 a second: 1, 5 and 10 s. The first is too short for half of the platforms."""

EIGHTH = 8
"""Files of the matrix have an eighth of a row's sides; all other rules are the row's own."""


def small(row: Delivery) -> Delivery:
    """Return a row with an eighth of its sides; the limit of bits shrinks as the pixels do."""

    def eighth(length: int) -> int:
        return round(length / EIGHTH / 2) * 2

    def size(of) -> dict[str, int]:
        return {"width": eighth(of.width), "height": eighth(of.height)}

    cover = row.cover and row.cover.model_copy(update=size(row.cover))
    box = {side: eighth(pixels) for side, pixels in row.safe.model_dump().items()}
    safe = row.safe.model_copy(update=box)
    return row.model_copy(update={**size(row), "cover": cover, "safe": safe})


def read(path: Path) -> dict[str, object]:
    """Return what ffmpeg, not our own reader, says of a file, and the order of its boxes."""
    said = subprocess.run(
        [ffmpeg.binary(), "-hide_banner", "-i", str(path)], capture_output=True, check=False
    ).stderr.decode()
    video = re.search(r"Video: (\w+) \((\w+)\).*?, (\w+)\((.*?)\), (\d+)x(\d+) \[SAR 1:1", said)
    hours, minutes, seconds = re.search(r"Duration: (\d+):(\d+):([\d.]+)", said).groups()
    raw = path.read_bytes()
    return {
        "codec": video.group(1, 2, 3),
        "colour": video.group(4),
        "size": (int(video.group(5)), int(video.group(6))),
        "fps": float(re.search(r"([\d.]+) fps", said).group(1)),
        "seconds": int(hours) * 3600 + int(minutes) * 60 + float(seconds),
        "audio": re.findall(r"Audio: (\w+ \(\w+\)).*?, (\d+) Hz, (\w+)", said),
        "index_first": raw.index(b"moov") < raw.index(b"mdat"),
        "edit_list": b"elst" in raw[: raw.index(b"mdat")],
        "bytes": len(raw),
    }


def broken_rules(made: Made, row: Delivery) -> list[str]:
    """Return the rules of `row` that a finished clip or its cover breaks."""
    says = read(made.drafts["delivery"].path)
    length = says["seconds"]
    rules = {
        "codec": says["codec"] == ("h264", "High", "yuv420p"),
        "colour": says["colour"] == "tv, bt709, progressive",
        "size": says["size"] == (row.width, row.height),
        "fps": row.fps.min - 0.01 <= says["fps"] <= row.fps.max + 0.01,
        "shortest": length >= row.min_seconds - 0.02,  # ffmpeg says hundredths
        "longest": row.max_seconds is None or length <= row.max_seconds + 0.05,
        "bytes": row.max_bytes is None or says["bytes"] <= row.max_bytes,
        "bits": row.max_bitrate is None or 8 * says["bytes"] / length <= row.max_bitrate,
        "audio": row.audio == "none" or says["audio"] == [("aac (LC)", "48000", "stereo")],
        "index": says["index_first"],
        "edit list": row.edit_list or not says["edit_list"],
        "cover": cover_fits(made.drafts["cover"].path, row),
    }
    return [name for name, kept in rules.items() if not kept]


def cover_fits(path: Path, row: Delivery) -> bool:
    """Say whether a cover has its row's size, format and bytes."""
    with Image.open(path) as image:
        right = (image.format, image.size) == ("JPEG", (row.cover.width, row.cover.height))
    return right and (not row.cover.max_bytes or path.stat().st_size <= row.cover.max_bytes)


def make_all(desk: Desk, rows: Sequence[str], shape: str, frames: int) -> list[tuple[str, str]]:
    """Export one clip to all `rows`; return each broken rule as (row, rule)."""
    size = SHAPES[shape]
    path = clip(desk.root / f"{size[0]}x{size[1]}-{frames}.mp4", size, frames=frames, fps=16)
    photo = Photo(*size, fps=16, frames=frames)
    targets = {name: small(CLIPS[name]) for name in rows}
    nodes = {
        name: desk.node(export.STAGE, row, {"clip": path}, {"clip": photo}, name=name)
        for name, row in targets.items()
    }
    unique = {node.key: node for node in nodes.values()}
    made = {one.node.key: one for one in desk.make(export.STAGE, *unique.values())}
    return [
        (name, rule)
        for name, node in nodes.items()
        for rule in broken_rules(made[node.key], targets[name])
    ]


def test_the_matrix_is_what_was_promised():
    """Twelve platforms' rows for clips or more, six shapes, three lengths."""
    assert (len(CLIPS) >= 12, len(SHAPES), len(LENGTHS)) == (True, 6, 3)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", sorted(set(ROWS) - set(CLIPS)))
def test_no_still_breaks_a_rule(tmp_path, name, shape):
    """Stills have their row's own size, format and bytes from a picture of any shape."""
    desk, row = Desk(tmp_path / "home"), ROWS[name]
    picture = desk.root / "picture.png"
    scene(SHAPES[shape]).save(picture)
    photos = {"image": Photo(*SHAPES[shape])}
    plain = {"export": {"mark": False}}  # two seconds each, for a handful of bytes
    node = desk.node(export.STAGE, row, {"image": picture}, photos, settings=plain)
    (made,) = desk.make(export.STAGE, node)
    path = made.drafts["delivery"].path
    with Image.open(path) as image:
        assert (image.format, image.size) == (row.format.upper(), (row.width, row.height))
    assert path.stat().st_size <= (row.max_bytes or path.stat().st_size)


@pytest.mark.parametrize(("shape", "frames"), [("1:1", 17), ("16:9", 49)])
def test_files_break_no_rule(tmp_path, shape, frames):
    """A part of the matrix: rows that differ most, a clip too short for some of them."""
    rows = ("bilibili", "instagram-story", "wechat-channels", "weibo")
    assert make_all(Desk(tmp_path / "home"), rows, shape, frames) == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("shape", "frames"),
    [
        pytest.param(shape, frames, marks=pytest.mark.long if frames == max(LENGTHS) else ())
        for shape, frames in product(SHAPES, LENGTHS)
    ],
)
def test_no_file_of_the_matrix_breaks_a_rule(tmp_path, shape, frames):
    """All clip rows from each of 18 clips; what ffmpeg reads is held against the row."""
    assert make_all(Desk(tmp_path / "home"), tuple(CLIPS), shape, frames) == []


@given(
    name=st.sampled_from(sorted(CLIPS)),
    fps=st.sampled_from([8, 12, 15, 16, 23.976, 24, 25, 29.97, 30, 48, 60]),
    frames=st.integers(1, 40_000),
    size=st.sampled_from(sorted(SHAPES.values())),
)
def test_a_plan_keeps_every_rule_or_is_refused(name, fps, frames, size):
    """Any length at any rate: the planned file is within the row, or the error names its rule."""
    row = CLIPS[name]
    cell = make_cell(row, {"clip": Photo(*size, fps=fps, frames=frames)}, name=name)
    try:
        params = export.decide(cell).params
    except BadPlan as error:
        rule = re.search(rf"{name}\.(max_seconds|min_seconds|max_bytes)", str(error)).group(1)
        assert rule != "max_seconds" or frames / fps > row.max_seconds
        assert rule != "min_seconds" or frames / fps < row.min_seconds
        return
    plays = params["pace"]
    seconds = plays["frames"] / plays["fps"]
    assert row.fps.min <= plays["fps"] <= row.fps.max
    assert row.min_seconds <= seconds <= (row.max_seconds or seconds)
    assert tuple(params["framing"]["size"]) == (row.width, row.height)
    assert params["audio"] == row.audio


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"sides": {"min": 200}}, "108x192: the platform takes sides of 200 to 8192 pixels"),
        ({"shapes": {"min": 1}}, "108x192: the platform takes width / height of 1 to 100"),
        ({"fps": {"min": 30, "max": 24}}, "min 30 is above max 24"),
    ],
)
def test_a_row_that_breaks_its_own_rule_is_refused(changes, words):
    """A home's own row may choose another size, within what the platform takes."""
    with pytest.raises(ValueError, match=words):
        delivery(108, 192, **changes)


@pytest.fixture
def demo(tmp_path) -> Demo:
    return Demo(Home(tmp_path / "home"))


def own_row(demo: Demo, **changes: object) -> None:
    """Write a row of the home's own that takes what Douyin's does, but for `changes`."""
    row = CLIPS["douyin"].model_dump(mode="json") | changes
    demo.write("deliveries", {"douyin": row})


@pytest.mark.parametrize(("rule", "limit"), [("max_seconds", 0.5), ("min_seconds", 60.0)])
def test_a_broken_rule_is_told_with_its_line(demo, rule, limit):
    """The model's own length is too long or too short for the row: its rule is where to look."""
    own_row(demo, **{rule: limit})
    with pytest.raises(
        BadPlan, match=rf"deliveries\.yaml:\d+: .*douyin\.{rule} is {limit:g}"
    ) as told:
        demo.plan()
    line = int(re.search(r"deliveries\.yaml:(\d+)", str(told.value)).group(1))
    text = (demo.home.root / "deliveries.yaml").read_text("utf-8").splitlines()[line - 1]
    assert text == f"  {rule}: {limit}"


def test_a_setting_that_breaks_a_rule_is_told_with_its_line(demo):
    """Where a campaign says how long its clips are, that line is where to look."""
    own_row(demo, max_seconds=0.5)

    def longer(brief) -> None:
        brief["settings"] = {"animate.seconds": 1}

    with pytest.raises(BadPlan, match=r"demo\.yaml:\d+: .*douyin\.max_seconds") as told:
        demo.plan(longer)
    line = int(re.search(r"demo\.yaml:(\d+)", str(told.value)).group(1))
    text = (demo.home.root / "campaigns/demo.yaml").read_text("utf-8").splitlines()[line - 1]
    assert "animate.seconds: 1" in text


def test_a_size_the_platform_refuses_is_told_when_the_row_is_read(demo):
    """A home's row of another size is held against the platform's limits, with file and line."""
    own_row(demo, width=540, height=960)
    with pytest.raises(
        BadField, match=r"deliveries\.yaml:2:3: douyin: 540x960: .* sides of 720 to 4096"
    ):
        demo.plan()
