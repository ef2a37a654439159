"""The export stage: one clip or picture becomes the files that platforms take."""

from __future__ import annotations

import hashlib
import re
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from catalogs.node import Node
from configs.errors import BadPlan, StageFailed
from tasks import export, ffmpeg
from tasks.probe import probe
from tasks.stage import Photo
from tests.export_data import RED, SOURCE, Desk, clip, delivery, make_cell, overlay_for, scene

PHOTO = Photo(*SOURCE, (0.5, 0.5), fps=8, frames=9)


@pytest.fixture
def desk(tmp_path) -> Desk:
    return Desk(tmp_path / "home")


@pytest.fixture
def master(desk) -> Path:
    return clip(desk.root / "master.mp4", SOURCE)


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def frame_of(path: Path, number: int = 0) -> np.ndarray:
    """Return one frame of a clip as RGB."""
    return frames_of(path)[number]


def frames_of(path: Path) -> np.ndarray:
    """Return all frames of a clip as RGB, read by ffmpeg."""
    facts, raw = probe(path), path.with_suffix(".rgb")
    ffmpeg.run(["-i", str(path), "-vf", ffmpeg.TO_RGB, "-f", "rawvideo", str(raw)])
    return np.fromfile(raw, np.uint8).reshape(-1, facts.height, facts.width, 3).astype(float)


def node_for(desk: Desk, target, master: Path, *, overlay: Path | None = None, **more) -> Node:
    inputs = {"clip": master} | ({"overlay": overlay} if overlay else {})
    return desk.node(export.STAGE, target, inputs, {"clip": more.pop("photo", PHOTO)}, **more)


def decide(target, clip_photo: Photo = PHOTO, **settings):
    return export.decide(make_cell(target, {"clip": clip_photo}, {"export": settings}))


class TestDecide:
    @pytest.mark.parametrize(
        ("own", "takes", "wanted", "fps", "mixed"),
        [
            (16, (23, 60), None, 32, False),  # the case of Wan clips on TikTok
            (24, (23, 60), None, 24, False),
            (8, (23, 60), None, 24, False),
            (16, (23, 30), None, 24, True),  # no multiple of 16 fits
            (16, (26, 29), None, 29, True),  # nor any common rate
            (24, (1, 20), None, 20, True),
            (60, (23, 30), None, 30, True),  # the nearest common one
            (16, (23, 60), 48, 48, False),
            (16, (23, 60), 30, 30, True),
        ],
    )
    def test_the_rate_is_the_smallest_multiple_the_platform_takes(
        self, own, takes, wanted, fps, mixed
    ):
        """Frames are repeated where a multiple fits, and mixed where none does."""
        target = delivery(108, 192, fps={"min": takes[0], "max": takes[1]})
        plays = decide(target, Photo(*SOURCE, fps=own, frames=33), fps=wanted).params["pace"]
        assert (plays["fps"], plays["between"]) == (fps, "blend" if mixed else "repeat")

    def test_a_rate_the_platform_refuses_is_a_plan_error(self):
        """export.fps outside the platform's range names the range."""
        with pytest.raises(BadPlan, match=r"export\.fps: test takes 23 to 60 .* not 20"):
            decide(delivery(108, 192, fps={"min": 23, "max": 60}), fps=20)

    def test_a_clip_too_long_is_a_plan_error(self):
        """The message says both lengths and what to change."""
        with pytest.raises(
            BadPlan, match=r"lasts 1\.1 s, and test\.max_seconds is 1: lower animate\.s"
        ):
            decide(delivery(108, 192, max_seconds=1))

    def test_a_short_clip_is_played_forth_and_back(self):
        """A clip of 2 s becomes 4 s where 3 are asked for, and the plan says so."""
        photo = Photo(*SOURCE, fps=16, frames=33)
        decision = decide(delivery(108, 192, min_seconds=3), photo)
        assert decision.params["pace"]["passes"] == 2
        assert decision.params["pace"]["frames"] == 65
        assert decision.notes == {"length": "played 2 times, forth and back"}

    def test_a_clip_far_too_short_is_a_plan_error(self):
        """More than four passes are not made."""
        with pytest.raises(BadPlan, match=r"lasts 1\.1 s, and test\.min_seconds is 15"):
            decide(delivery(108, 192, min_seconds=15))

    def test_a_single_frame_is_never_long_enough_by_repeating(self):
        """One frame played often is a still: a plan error, not a division by zero."""
        with pytest.raises(BadPlan, match=r"raise animate\.seconds"):
            decide(delivery(108, 192, min_seconds=3), Photo(*SOURCE, fps=8, frames=1))

    @pytest.mark.parametrize(
        ("changes", "port"),
        [({}, "image"), ({"kind": "still", "format": "jpeg"}, "clip")],
    )
    def test_the_wrong_kind_of_input_is_a_plan_error(self, changes, port):
        """A clip delivery needs a clip wired in, and a still delivery an image."""
        with pytest.raises(BadPlan, match="use a pipeline like social-"):
            export.decide(make_cell(delivery(108, 192, **changes), {port: PHOTO}))

    def test_the_name_of_a_delivery_is_not_in_its_params(self):
        """Two platforms that take the same file share one node."""
        one = make_cell(delivery(108, 192), {"clip": PHOTO}, name="one")
        other = make_cell(delivery(108, 192, source="elsewhere"), {"clip": PHOTO}, name="other")
        assert export.decide(one).params == export.decide(other).params

    @pytest.mark.parametrize(
        ("changes", "held_to"),
        [
            ({}, None),
            ({"max_bytes": 4_000_000_000}, None),
            ({"max_bitrate": 10_000_000}, 8_000_000),
            ({"max_bytes": 1_125_000}, 6_400_000),  # 1.125 s of 8 Mbit/s
            ({"max_bytes": 1_125_000, "max_bitrate": 5_000_000}, 4_000_000),
        ],
    )
    def test_limits_of_bytes_and_bits_hold_the_encoder(self, changes, held_to):
        """Four fifths of the nearer limit: the encoder may go above its own for half a second."""
        assert decide(delivery(108, 192, **changes)).params["ceiling"] == held_to

    def test_a_limit_that_leaves_mud_is_a_plan_error(self):
        """A platform that takes less than 0.01 bit a pixel is refused before anything is drawn."""
        with pytest.raises(BadPlan, match=r"leave 0\.00 Mbit/s .* lower animate\.seconds"):
            decide(delivery(108, 192, max_bytes=100))

    def test_what_it_gives_is_known_at_plan_time(self):
        """Stages after export see the size, rate and length of its file."""
        given = decide(delivery(108, 192, fps={"min": 23, "max": 60})).gives["delivery"]
        assert (given.width, given.height, given.fps, given.frames) == (108, 192, 24, 27)


class TestClips:
    def test_three_deliveries_leave_one_process(self, desk, master):
        """All exports of a clip are encoded together, each with its size, tags and index."""
        sizes = [(108, 192), (108, 144), (108, 136)]
        nodes = [node_for(desk, delivery(*size), master, name=f"d{size[1]}") for size in sizes]
        made = desk.make(export.STAGE, *nodes)
        assert [one.facts["encoded_together"] for one in made] == [3, 3, 3]
        for one in made:
            draft = one.drafts["delivery"]
            facts = probe(draft.path)
            assert (facts.width, facts.height) in sizes
            assert facts.colour == (1, 1, 1)
            assert facts.index_first
            assert (draft.frames, draft.fps) == (9, 8)

    def test_clips_of_other_shapes_share_the_process(self, desk, master):
        """A shot's portrait and landscape clips are encoded together, each with its own cover."""
        wide = clip(desk.root / "wide.mp4", (256, 144), ground=(60, 90, 160))
        nodes = [
            node_for(desk, delivery(108, 192), master, name="tall"),
            node_for(desk, delivery(192, 108), wide, photo=Photo(256, 144, fps=8, frames=9)),
            node_for(desk, delivery(108, 144), master, name="less"),
        ]
        made = {one.node.key: one for one in desk.make(export.STAGE, *nodes)}
        assert [made[node.key].facts["encoded_together"] for node in nodes] == [3, 3, 3]
        for node, ground in zip(
            nodes, [(240, 232, 220), (60, 90, 160), (240, 232, 220)], strict=True
        ):
            with Image.open(made[node.key].drafts["cover"].path) as cover:
                assert np.abs(np.subtract(cover.getpixel((3, 3)), ground)).max() < 12
            corner = frame_of(made[node.key].drafts["delivery"].path)[3, 3]
            assert np.abs(corner - ground).max() < 12

    def test_ffmpeg_itself_reads_bt709_in_all_three_tags(self, desk, master):
        """ffmpeg prints `yuv420p(tv, bt709)` only where the range and all three tags are set."""
        (made,) = desk.make(export.STAGE, node_for(desk, delivery(108, 192), master))
        said = subprocess.run(
            [ffmpeg.binary(), "-hide_banner", "-i", str(made.drafts["delivery"].path)],
            capture_output=True,
            text=True,
            check=False,
        ).stderr
        assert re.search(
            r"h264 \(High\).*yuv420p\(tv, bt709, progressive\), 108x192 \[SAR 1:1", said
        )

    def test_the_same_node_gives_the_same_bytes_alone_or_in_company(self, desk, master):
        """The bytes of a file do not depend on what was encoded beside it."""
        target = delivery(108, 192, audio="silent")
        node = node_for(desk, target, master, overlay=overlay_for(desk, target))
        other = node_for(desk, delivery(108, 108), master, name="other")
        (alone,) = desk.make(export.STAGE, node, folder="alone")
        pair = {one.node.key: one for one in desk.make(export.STAGE, other, node, folder="pair")}
        for port in ("delivery", "cover"):
            assert sha256(alone.drafts[port].path) == sha256(pair[node.key].drafts[port].path)

    @pytest.mark.parametrize("fit", ["crop", "blur", "letterbox"])
    def test_colours_are_kept(self, desk, master, fit):
        """The mean of each channel, and the red of the disc, stay within two levels."""
        target = delivery(144, 256) if fit == "crop" else delivery(256, 256)
        node = node_for(desk, target, master, settings={"export": {"fit": fit}})
        (made,) = desk.make(export.STAGE, node)
        drawn = made.node.params["framing"]["place"]
        x, y, width, height = drawn
        shown = frame_of(made.drafts["delivery"].path)[y : y + height, x : x + width]
        before = np.asarray(scene(SOURCE), dtype=float)
        assert np.abs(shown.mean((0, 1)) - before.mean((0, 1))).max() < 2
        middle = shown[height // 2 - 8 : height // 2 + 8, width // 2 - 8 : width // 2 + 8]
        assert np.abs(middle.mean((0, 1)) - np.array(RED)).max() < 3

    def test_the_logo_stands_where_the_overlay_has_it_in_its_own_colour(self, desk, master):
        """Inside the logo the file shows the logo's colour; outside nothing changed."""
        target = delivery(288, 512)
        overlay = overlay_for(desk, target)
        plain, marked = desk.make(
            export.STAGE,
            node_for(desk, target, master),
            node_for(desk, target, master, overlay=overlay),
        )
        if "overlay" in plain.node.inputs:
            plain, marked = marked, plain
        with Image.open(overlay) as image:
            colours = np.asarray(image, dtype=float)
        inside = colours[..., 3] == 255
        before, after = (frame_of(one.drafts["delivery"].path) for one in (plain, marked))
        bar = inside & np.roll(inside, 3, 0) & np.roll(inside, -3, 0)
        assert np.abs(after[bar] - colours[bar, :3]).mean() < 6
        far = np.zeros_like(inside)
        far[200:] = True
        assert np.abs(after[far] - before[far]).mean() < 1

    def test_a_platform_that_refuses_edit_lists_gets_none(self, desk, master):
        """Without an edit list the clip still begins at zero, sound beside it."""
        target = delivery(108, 192, edit_list=False, audio="silent")
        (made,) = desk.make(export.STAGE, node_for(desk, target, master))
        path = made.drafts["delivery"].path
        facts = probe(path)
        assert (facts.edit_list, facts.audio) == (False, ("aac", 2, 48_000))
        said = subprocess.run(
            [ffmpeg.binary(), "-hide_banner", "-i", str(path)],
            capture_output=True,
            text=True,
            check=False,
        ).stderr
        assert "start: 0.000000" in said
        assert "Audio: aac (LC)" in said

    def test_forth_and_back_ends_where_it_began(self, desk, master):
        """The last frame of two passes is the first one, the middle one is the clip's last."""
        target = delivery(144, 256, min_seconds=2)
        (made,) = desk.make(export.STAGE, node_for(desk, target, master))
        path = made.drafts["delivery"].path
        assert made.drafts["delivery"].frames == 17
        first, last, middle = frames_of(path)[[0, 16, 8]]
        assert np.abs(first - last).mean() < 1
        assert np.abs(middle - frame_of(master, 8)).mean() < 3
        assert np.abs(first - middle).mean() > 5

    @pytest.mark.parametrize(
        ("between", "fps", "step"), [("blend", 24, 2), ("motion", 24, 2), ("motion", 32, 1.5)]
    )
    def test_frames_between_move_evenly(self, desk, between, fps, step):
        """From 16 to more frames a second, forth and back, no step is left out or doubled."""

        def centre(frame: np.ndarray) -> float:
            red = np.clip(frame[..., 0] - frame[..., 1] - 20, 0, None)
            return float((red * np.arange(144)).sum() / red.sum())

        pictures = [
            scene(SOURCE, 0).transform(SOURCE, 0, (1, 0, 20 - 3 * n, 0, 1, 0)) for n in range(9)
        ]
        master = desk.root / "even.mp4"
        ffmpeg.write_clip(master, map(np.asarray, pictures), size=SOURCE, fps=16)
        target = delivery(*SOURCE, fps={"min": fps, "max": fps}, min_seconds=1)
        photo = Photo(*SOURCE, fps=16, frames=9)
        settings = {"export": {"between": between}}
        node = node_for(desk, target, master, photo=photo, settings=settings)
        (made,) = desk.make(export.STAGE, node)
        path = made.drafts["delivery"].path
        centres = [centre(frame) for frame in frames_of(path)[: fps // 2]]
        steps = np.abs(np.diff(centres))  # the clip moves by 3 pixels a frame
        assert steps.min() > step - 1
        assert steps.max() < step + 1
        assert abs(centres[0] - centres[fps // 4]) == pytest.approx(3 * 16 / 4, abs=1.5)

    @pytest.mark.parametrize(
        ("own", "frames", "fps"),
        [
            *((8, 10, 24), (12, 33, 24), (16, 33, 32), (30, 2, 60), (16, 1, 32)),  # repeated
            *((8, 3, 30), (16, 1, 60), (24, 33, 25), (25, 16, 24), (29.97, 33, 50)),  # mixed
        ],
    )
    @pytest.mark.parametrize("between", ["auto", "repeat", "blend", "motion"])
    def test_every_length_and_rate_has_its_frames(self, desk, own, frames, fps, between):
        """However long the clip, the finished file has the frames that were planned."""
        path = clip(desk.root / "m.mp4", (64, 64), frames=frames, fps=own)
        target = delivery(64, 64, fps={"min": fps, "max": fps})
        photo = Photo(64, 64, fps=own, frames=frames)
        node = node_for(desk, target, path, photo=photo, settings={"export": {"between": between}})
        (made,) = desk.make(export.STAGE, node)
        assert made.drafts["delivery"].frames == made.node.params["pace"]["frames"]

    def test_the_cover_is_the_first_frame_with_the_logo(self, desk, master):
        """The cover is what the clip shows first, as JPEG of the size the platform wants."""
        target = delivery(144, 256, cover={"width": 144, "height": 192})
        node = node_for(desk, target, master, overlay=overlay_for(desk, target))
        (made,) = desk.make(export.STAGE, node)
        cover = made.drafts["cover"]
        assert (cover.kind, cover.mime) == ("cover", "image/jpeg")
        with Image.open(cover.path) as image:
            assert image.size == (cover.width, cover.height) == (144, 192)
            pixels = np.asarray(image, dtype=float)
        with_logo = frame_of(made.drafts["delivery"].path)[32:224]
        bare = np.asarray(scene(SOURCE), dtype=float)[32:224]
        assert np.abs(pixels[60:] - with_logo[60:]).mean() < 3
        assert np.abs(pixels[:50] - bare[:50]).mean() > 1

    def test_progress_is_told_for_every_file(self, desk, master):
        """Each node's progress never runs backwards nor past its own frames."""
        told = []
        nodes = [
            node_for(desk, delivery(*size), master, name=f"d{size[1]}")
            for size in [(540, 960), (540, 720)]
        ]
        desk.make(export.STAGE, *nodes, on_progress=told.append)
        for node in nodes:
            done = [one.done for one in told if one.node.key == node.key]
            assert done == sorted(done)
            assert all(one.done <= one.total for one in told)

    @pytest.mark.parametrize("name", ["50%d off", "%03d", "春 é'", "a:b;c[d],e", "new\nline"])
    def test_any_folder_name_will_do(self, tmp_path, name):
        """ffmpeg reads patterns, protocols and graphs out of words; a home's name is none."""
        desk = Desk(tmp_path / name)
        target = delivery(108, 192)
        overlay = overlay_for(desk, target)
        master = clip(desk.root / "m.mp4", SOURCE, frames=3)
        photo = Photo(*SOURCE, fps=8, frames=3)
        node = node_for(desk, target, master, overlay=overlay, photo=photo)
        (made,) = desk.make(export.STAGE, node)
        assert made.drafts["delivery"].frames == 3

    def test_a_noisy_clip_keeps_to_the_bits_the_platform_takes(self, desk):
        """At a quality that would take ten times as much, the encoder is held below the limit."""
        random = np.random.default_rng(1)
        noise = (random.integers(0, 255, (256, 144, 3), np.uint8).tobytes() for _ in range(48))
        master = desk.root / "noise.mp4"
        ffmpeg.write_clip(master, noise, size=SOURCE, fps=16)
        target = delivery(*SOURCE, audio="silent", max_bitrate=900_000)
        photo = Photo(*SOURCE, fps=16, frames=48)
        node = node_for(desk, target, master, photo=photo, settings={"export": {"crf": 10}})
        (made,) = desk.make(export.STAGE, node)
        assert 500_000 < probe(made.drafts["delivery"].path).bitrate < 900_000


class TestFaults:
    def test_only_the_bad_one_of_a_batch_fails(self, desk, master):
        """Where the joint process fails, each file is tried alone, and the good ones are made."""
        good = [node_for(desk, delivery(*size), master) for size in [(108, 192), (108, 144)]]
        bad = node_for(desk, delivery(108, 108), master, name="bad")
        bad.params["preset"] = "nonsense"
        running = export.run([good[0], bad, good[1]], desk.studio, desk.root)
        made = {next(running).node.key, next(running).node.key}
        assert made == {node.key for node in good}
        with pytest.raises(StageFailed, match=r"bad: ffmpeg ended with .*preset"):
            next(running)

    def test_a_broken_clip_ends_in_ffmpegs_last_words(self, desk, master):
        """A clip that cannot be decoded fails its exports and says why."""
        broken = desk.root / "broken.mp4"
        broken.write_bytes(master.read_bytes()[:600])
        with pytest.raises(StageFailed, match=r"ffmpeg ended with .*Error opening input"):
            desk.make(export.STAGE, node_for(desk, delivery(108, 192), broken))

    def test_a_file_above_the_platforms_limit_is_rejected(self, desk, master):
        """The finished file is looked at before it is handed on."""
        node = node_for(desk, delivery(108, 192), master)
        node.params["max_bytes"] = 1000
        with pytest.raises(StageFailed, match=r"above 1000: raise export\.crf"):
            desk.make(export.STAGE, node)
