"""The label: its words, its height in real pixels, its place, and that it can be read anywhere."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from configs.campaign import Brand
from configs.delivery import Box
from configs.errors import BadPlan
from configs.labels import lines
from configs.library import Library
from tasks import export, ffmpeg, label, watermark
from tasks.label import INKED, LabelFile, draw, ink, letters_for
from tasks.spot import apart
from tasks.stage import Photo
from tests.export_data import SOURCE, Desk, clip, delivery, make_cell, scene

DARK = (70, 66, 60)
"""Of the pictures here, so that what is white in a frame is the label."""

LEGIBLE = 4.5
"""WCAG 2.2, success criterion 1.4.3."""


@pytest.fixture
def desk(tmp_path) -> Desk:
    return Desk(tmp_path / "home")


def cell(target, settings=None, *, markets=(), logo=None, **watermark):
    """Return a cell of a brand that is seen in `markets` and has a logo of that size."""
    made = make_cell(target, {}, {"label": settings or {}, "watermark": watermark})
    brand = Brand(name="Lumière", markets=markets)
    return replace(made, campaign=made.campaign.model_copy(update={"brand": brand}), logo=logo)


def decided(*args, **changes) -> LabelFile:
    return LabelFile.model_validate(label.decide(cell(*args, **changes)).params)


def cn(width, height, **changes):
    return delivery(width, height, markets=["cn"], **changes)


class TestWords:
    @pytest.mark.parametrize(
        ("markets", "said"),
        [
            ({"cn"}, ("AI生成",)),
            ({"eu"}, ("AI-generated",)),
            ({"eu", "cn"}, ("AI生成", "AI-generated")),
        ],
    )
    def test_each_market_has_its_line(self, markets, said):
        """A file that two markets see bears both lines, China's first."""
        assert lines(markets, None) == said

    def test_the_brand_adds_markets_and_takes_none_away(self):
        """A Chinese platform's file bears Chinese words even where the brand names the EU alone."""
        assert decided(cn(1080, 1920)).lines == ("AI生成",)
        assert decided(cn(1080, 1920), markets=("eu",)).lines == ("AI生成", "AI-generated")

    @pytest.mark.parametrize("text", ["人工智能合成", "本片由AI生成", "AI合成"])
    def test_own_words_that_say_it(self, text):
        """GB 45438-2025 asks for 人工智能 or AI, with 生成 or 合成."""
        assert decided(cn(1080, 1920), {"text": text}).lines == (text,)

    @pytest.mark.parametrize("text", ["生成", "AI", "Generated", "智能制作"])
    def test_own_words_that_say_too_little(self, text):
        """Words without one of the two elements are refused, with what they must say."""
        with pytest.raises(BadPlan, match=r"label\.text: .* must say 人工智能 or AI"):
            label.decide(cell(cn(1080, 1920), {"text": text}))

    def test_every_shipped_delivery_has_a_label(self, tmp_path):
        """In each platform's own safe box, for both markets at once, beside a wide logo."""
        from configs.home import Home

        for name, row in Library.open(Home(tmp_path)).deliveries.items():
            made = decided(row, markets=("cn", "eu"), logo=(400, 160), width=0.1)
            left, top, right, bottom = made.area
            assert left >= row.safe.left, name
            assert top >= row.safe.top, name
            assert right <= row.width - row.safe.right, name
            assert bottom <= row.height - row.safe.bottom, name


class TestSize:
    @pytest.mark.parametrize(
        "size", [(1080, 1920), (1920, 1080), (1080, 1080), (720, 1280), (144, 256)]
    )
    @pytest.mark.parametrize("text", [None, "人工智能生成", "AI一键合成"])
    def test_the_hanzi_have_five_percent_of_ink(self, size, text):
        """Rows of half-covered pixels and more, from a character's highest to its lowest."""
        made = decided(cn(*size), {"text": text} if text else None)
        least = math.ceil(0.05 * min(size))
        counted = set("".join(made.lines)) & set("生成合")
        assert counted
        assert all(ink(letter, made.letters) >= least for letter in counted)

    def test_letters_are_no_larger_than_they_must_be(self):
        """One font size less, and some character would be too low."""
        size = letters_for("AI生成", 54)
        assert min(ink("生", size - 1), ink("成", size - 1)) < 54
        assert size < 54 * 1.2

    def test_the_drawn_overlay_is_as_high(self):
        """Measured on the picture itself, not on the font: white rows within the plate."""
        made = decided(cn(1080, 1920))
        letters = np.asarray(draw(made))[..., :].astype(int)
        white = (letters[..., :3].min(axis=2) >= INKED) & (letters[..., 3] > 200)
        columns = np.flatnonzero(white.any(axis=0))
        right_half = white[:, (columns[0] + columns[-1]) // 2 :]  # 生成
        rows = np.flatnonzero(right_half.any(axis=1))
        assert rows[-1] - rows[0] + 1 >= 54


class TestGround:
    @pytest.mark.parametrize("plate", [0.6, 0.65, 1.0])
    def test_white_on_the_plate_can_be_read_on_any_ground(self, plate):
        """Over white, the worst ground: at least 4.5:1 for each opacity that may be set."""
        made = decided(cn(1080, 1920), {"plate": plate})
        frame = Image.new("RGBA", (1080, 1920), "white")
        frame.alpha_composite(draw(made))
        _, top, right, bottom = made.area
        rim = frame.crop((right - 12, top + 20, right - 4, bottom - 20))  # plate, no letters
        ground = watermark.luminance(rim.convert("RGB"))
        assert watermark.contrast(1.0, ground) >= LEGIBLE


class TestPlace:
    def test_it_stands_where_the_logo_is_not(self):
        """The logo at the top right, as it is by default: the label goes to the top left."""
        target = cn(1080, 1920, safe=Box(left=65, top=269, right=150, bottom=672))
        one = cell(target, logo=(400, 160))
        area, logo = LabelFile.model_validate(label.decide(one).params).area, watermark.area_of(one)
        assert area[:2] == (65, 269)
        assert apart(area, logo, 8)

    def test_it_makes_room_for_a_logo_at_the_left(self):
        """The logo at the top left: the label goes to the top right."""
        one = cell(cn(1080, 1080), logo=(400, 160), position="top-left", width=0.3)
        area = LabelFile.model_validate(label.decide(one).params).area
        assert area[0] > 540
        assert apart(area, watermark.area_of(one), 8)

    def test_a_place_that_the_logo_has_is_refused(self):
        """Where both were put into one corner by hand, the plan says so."""
        with pytest.raises(BadPlan, match=r"label\.position: top-right: the logo .* stands there"):
            label.decide(cell(cn(1080, 1080), {"position": "top-right"}, logo=(400, 160)))

    def test_words_that_do_not_fit_are_refused(self):
        """A long text in a narrow safe box is told with both sizes."""
        narrow = cn(1080, 1920, safe=Box(left=400, right=500))
        with pytest.raises(BadPlan, match=r"label\.height: .* the safe box of test has 180x"):
            label.decide(cell(narrow, {"text": "本片由人工智能生成"}))

    def test_what_it_gives_tells_others_where_it_stands(self):
        """Titles keep off its box, and the export knows when it goes."""
        decision = label.decide(cell(cn(1080, 1920), {"seconds": 3}))
        given = decision.gives["label"]
        assert given.box == tuple(decision.params["area"])
        assert given.until == 3


class TestWaived:
    def test_a_waiver_is_kept_with_its_name_and_reason(self, desk):
        """No label is drawn, and the node's own parameters say who decided that."""
        waiver = {"by": "Li Wei", "reason": "the platform labels it itself"}
        target = cn(144, 256)
        node = desk.node(label.STAGE, target, {}, {}, settings={"label": {"off": waiver}})
        assert node.params["off"] == waiver
        (made,) = desk.make(label.STAGE, node)
        with Image.open(made.drafts["label"].path) as image:
            assert image.getchannel("A").getbbox() is None

    @pytest.mark.parametrize(
        "waiver", [{}, {"by": "Li Wei"}, {"by": "", "reason": "because I can"}]
    )
    def test_nobody_waives_it_namelessly(self, waiver):
        """Both the name and the reason must be there."""
        with pytest.raises(ValueError, match="off"):
            cell(cn(144, 256), {"off": waiver})


def frames(path, size) -> np.ndarray:
    """Return a clip's frames, or a picture as one, as (frames, height, width) of light."""
    import subprocess

    words = ["-v", "error", "-i", str(path), "-f", "rawvideo", "-pix_fmt", "gray", "pipe:1"]
    raw = subprocess.run([ffmpeg.binary(), *words], capture_output=True, check=True).stdout
    return np.frombuffer(raw, np.uint8).reshape(-1, size[1], size[0])


class TestExported:
    SIZE = (540, 960)

    def export(self, desk, kind, **settings):
        """Return what export makes of a labelled delivery."""
        format_ = "mp4" if kind == "clip" else "jpeg"
        target = cn(*self.SIZE, kind=kind, format=format_)
        node = desk.node(label.STAGE, target, {}, {}, settings={"label": settings})
        (drawn,) = desk.make(label.STAGE, node, folder="label")
        given = label.decide(cell(target, settings)).gives["label"]
        source = desk.root / ("clip.mp4" if kind == "clip" else "picture.png")
        if kind == "clip":
            clip(source, SOURCE, frames=25, fps=8, ground=DARK)
            photo = Photo(*SOURCE, fps=8, frames=25)
        else:
            scene(SOURCE, ground=DARK).save(source)
            photo = Photo(*SOURCE)
        wired = {"clip" if kind == "clip" else "image": source, "label": drawn.drafts["label"].path}
        pictures = {"clip" if kind == "clip" else "image": photo, "label": given}
        exported = desk.node(export.STAGE, target, wired, pictures)
        (made,) = desk.make(export.STAGE, exported)
        return made, LabelFile.model_validate(node.params)

    def hanzi_rows(self, frame: np.ndarray, file: LabelFile) -> int:
        """Return the height in pixels of what is white in the right half of the plate: 生成."""
        left, top, right, bottom = file.area
        rim = round(file.letters * 0.3)
        inside = frame[top:bottom, (left + right) // 2 : right - rim // 2]
        rows = np.flatnonzero((inside > 200).any(axis=1))
        return int(rows[-1] - rows[0] + 1) if len(rows) else 0

    def test_a_clip_bears_it_from_its_first_frame_on(self, desk):
        """At least 5 % of the short side in every decoded frame, and on the cover."""
        made, file = self.export(desk, "clip")
        shown = frames(made.drafts["delivery"].path, self.SIZE)
        assert min(self.hanzi_rows(frame, file) for frame in shown) >= 27
        cover = frames(made.drafts["cover"].path, self.SIZE)
        assert self.hanzi_rows(cover[0], file) >= 27

    def test_it_stands_for_the_seconds_asked_for(self, desk):
        """Two seconds of a clip of three, to the frame; the cover still bears it."""
        made, file = self.export(desk, "clip", seconds=2)
        fps = made.drafts["delivery"].fps
        shown = frames(made.drafts["delivery"].path, self.SIZE)
        there = [self.hanzi_rows(frame, file) >= 27 for frame in shown]
        assert all(there[: round(2 * fps)])
        assert not any(there[round(2 * fps) :])
        assert len(there) > 2.5 * fps
        assert self.hanzi_rows(frames(made.drafts["cover"].path, self.SIZE)[0], file) >= 27

    def test_a_still_bears_it(self, desk):
        """On a JPEG, after its compression."""
        made, file = self.export(desk, "still")
        assert self.hanzi_rows(frames(made.drafts["delivery"].path, self.SIZE)[0], file) >= 27

    def test_less_than_two_seconds_cannot_be_set(self):
        """GB 45438-2025 asks for two seconds from the start."""
        with pytest.raises(ValueError, match="greater than or equal to 2"):
            cell(cn(144, 256), {"seconds": 1.9})
