"""The watermark stage: a logo that is placed, sized, legible, and safe to open."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from configs.delivery import Box
from configs.errors import BadFile, Interrupted
from tasks import watermark
from tasks.framing import frame
from tasks.stage import Photo
from tasks.watermark import INK, WHITE, Mark, choose, contrast, luminance, open_logo, recolour
from tests.export_data import RED, Desk, delivery, logo, make_cell, scene

POSITIONS = ["top-left", "top", "top-right", "bottom-left", "bottom", "bottom-right", "center"]


@pytest.fixture
def desk(tmp_path) -> Desk:
    return Desk(tmp_path / "home")


def mark(size=(1080, 1920), **changes) -> Mark:
    plain = {
        "width": size[0],
        "height": size[1],
        "safe": Box(),
        "framing": frame(Photo(720, 1280), *size, "crop"),
        "position": "top-right",
        "logo_width": 0.1,
        "opacity": 0.6,
        "margin": 0.045,
        "variant": "auto",
    }
    return Mark.model_validate(plain | changes)


def draw(desk: Desk, target, picture: Image.Image, *, logos=None, **settings) -> np.ndarray:
    """Return the overlay of one delivery as an array."""
    beneath = desk.root / "beneath.png"
    picture.save(beneath)
    node = desk.node(
        watermark.STAGE,
        target,
        {"image": beneath},
        {"image": Photo(*picture.size)},
        files={"logo": logo(desk.root / "logo.png")} if logos is None else logos,
        settings={"watermark": settings},
    )
    (made,) = desk.make(watermark.STAGE, node)
    with Image.open(made.drafts["overlay"].path) as image:
        return np.asarray(image)


class TestPlace:
    @pytest.mark.parametrize("position", POSITIONS)
    def test_every_position_is_inside_margin_and_safe_box(self, position):
        """A logo stands off the edges and off the platform's buttons, wherever it is put."""
        safe = Box(left=65, top=269, right=150, bottom=672)
        one = mark(safe=safe, position=position)
        x, y = one.corner((108, 40))
        assert x >= 65
        assert y >= 269
        assert x + 108 <= 1080 - 150
        assert y + 40 <= 1920 - 672

    def test_corners_and_middles_are_where_their_names_say(self):
        """With a margin of 49 pixels and a logo of 100x40 in 1080x1920."""
        found = {name: mark(position=name).corner((100, 40)) for name in POSITIONS}
        assert found == {
            "top-left": (49, 49),
            "top": (490, 49),
            "top-right": (931, 49),
            "bottom-left": (49, 1831),
            "bottom": (490, 1831),
            "bottom-right": (931, 1831),
            "center": (490, 940),
        }

    def test_the_width_is_a_share_of_the_frame(self):
        """A tenth of 1080 is 108 pixels, and the logo keeps its shape."""
        assert mark().fit(Image.new("RGBA", (400, 160))).size == (108, 43)

    def test_a_logo_is_never_drawn_above_its_own_pixels(self):
        """A small logo stays small rather than becoming soft."""
        assert mark(logo_width=0.5).fit(Image.new("RGBA", (60, 20))).size == (60, 20)

    @given(
        st.integers(1, 900),
        st.integers(1, 4000),
        st.floats(0.01, 0.5),
        st.integers(0, 500),
        st.sampled_from(POSITIONS),
    )
    def test_no_logo_leaves_the_safe_box(self, width, height, share, edge, position):
        """Tall, wide, or larger than the box: it is made to fit."""
        safe = Box(left=edge // 2, top=edge, right=edge, bottom=edge)
        one = mark(safe=safe, logo_width=share, position=position)
        placed = one.fit(Image.new("RGBA", (width, height)))
        x, y = one.corner(placed.size)
        assert x >= safe.left
        assert y >= safe.top
        assert x + placed.width <= 1080 - safe.right
        assert y + placed.height <= 1920 - safe.bottom


class TestVariant:
    @pytest.mark.parametrize(
        ("own", "ground", "expected"),
        [
            ((120, 10, 30), (240, 232, 220), (120, 10, 30)),  # red on cream: the brand's own
            ((120, 10, 30), (20, 20, 30), WHITE),  # red on night
            ((120, 10, 30), (110, 20, 30), WHITE),  # red on red
            ((255, 255, 255), (250, 250, 250), INK),  # white on white
            ((255, 255, 255), (30, 60, 40), (255, 255, 255)),
        ],
    )
    def test_auto_takes_what_can_be_read(self, own, ground, expected):
        """The brand's own colours where they stand out, else white, else ink."""
        shape = recolour(Image.new("RGBA", (100, 40), (0, 0, 0, 255)), own)
        beneath = Image.new("RGB", (1080, 1920), ground)
        chosen = choose(mark(), shape, recolour(shape, WHITE), beneath)
        assert chosen.getpixel((50, 20))[:3] == expected

    def test_a_logo_is_judged_as_it_shows_the_ground_through(self):
        """Dark on festive red reads well when opaque, but not at four fifths; white still does."""
        own = Image.new("RGBA", (40, 20), (40, 30, 30, 255))
        red, white = Image.new("RGB", (1080, 1920), (190, 90, 60)), recolour(own, WHITE)
        assert choose(mark(opacity=1.0), own, white, red) is own
        assert choose(mark(opacity=0.8), own, white, red) is white

    def test_only_what_lies_beneath_the_logo_counts(self):
        """A dark picture with a light corner takes the brand's own logo in that corner."""
        beneath = Image.new("RGB", (1080, 1920), (10, 10, 10))
        beneath.paste((245, 240, 230), (540, 0, 1080, 300))
        own = Image.new("RGBA", (100, 40), (*RED, 255))
        assert choose(mark(), own, recolour(own, WHITE), beneath) is own

    @pytest.mark.parametrize(("variant", "expected"), [("light", WHITE), ("dark", RED)])
    def test_a_variant_that_is_asked_for_is_taken(self, desk, variant, expected):
        """`light` is the logo for dark ground, `dark` the brand's own, whatever lies beneath."""
        drawn = draw(
            desk,
            delivery(540, 960),
            scene((270, 480)),
            logos={"logo": logo(desk.root / "l.png", colour=RED)},
            variant=variant,
            opacity=1.0,
        )
        assert tuple(drawn[drawn[..., 3] == 255][0][:3]) == expected

    def test_a_logo_of_its_own_for_dark_ground_is_used_there(self, desk):
        """`logo_on_dark` stands in for the whitened logo."""
        logos = {
            "logo": logo(desk.root / "l.png"),
            "logo_on_dark": logo(desk.root / "d.png", colour=(255, 215, 120)),
        }
        night = Image.new("RGB", (270, 480), (12, 14, 20))
        drawn = draw(desk, delivery(540, 960), night, logos=logos, opacity=1.0)
        assert tuple(drawn[drawn[..., 3] == 255][0][:3]) == (255, 215, 120)

    def test_black_and_white_have_the_contrast_that_wcag_says(self):
        """21 to 1, the end of the scale."""
        black, white = (Image.new("RGB", (4, 4), level) for level in ("black", "white"))
        assert contrast(luminance(black), luminance(white)) == pytest.approx(21)

    def test_what_is_transparent_has_no_luminance(self):
        """A white bar on transparent black is white."""
        bar = Image.new("RGBA", (10, 10))
        bar.paste((255, 255, 255, 255), (0, 0, 10, 2))
        assert luminance(bar) == pytest.approx(1)


class TestOverlay:
    def test_it_has_the_size_of_the_delivery_and_the_opacity(self, desk):
        """The strongest alpha is the opacity that was asked for; the rest of the frame is empty."""
        drawn = draw(desk, delivery(540, 960), scene((270, 480)), opacity=0.6)
        assert drawn.shape == (960, 540, 4)
        assert drawn[..., 3].max() == 153
        assert not drawn[200:, :, 3].any()

    def test_the_same_node_gives_the_same_bytes(self, desk):
        """An overlay made again is the same file."""
        first, again = (draw(desk, delivery(540, 960), scene((270, 480))) for _ in range(2))
        assert (first == again).all()

    def test_a_brand_without_a_logo_has_one_transparent_pixel(self, desk):
        """No logo is no plan error, and costs nothing."""
        drawn = draw(desk, delivery(540, 960), scene((270, 480)), logos={})
        assert drawn.shape == (1, 1, 4)
        assert drawn.max() == 0

    def test_params_hold_numbers_and_no_names(self, desk):
        """What decides the pixels is in the params: another delivery with the same rules shares."""
        cell = make_cell(delivery(540, 960), {"image": Photo(270, 480)}, name="one")
        assert watermark.decide(cell).params == {"logo": None}

    def test_a_cancel_stops_between_overlays(self, desk):
        """Nothing more is drawn once a cancel came."""
        picture = desk.root / "p.png"
        scene((270, 480)).save(picture)
        photo = {"image": Photo(270, 480)}
        node = desk.node(watermark.STAGE, delivery(540, 960), {"image": picture}, photo)
        with pytest.raises(Interrupted):
            desk.make(watermark.STAGE, node, cancelled=lambda: True)


class TestLogoFiles:
    @pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
    def test_every_way_of_being_transparent_is_read(self, tmp_path, mode):
        """RGBA, grey with alpha, and a palette with a transparent entry."""
        path = tmp_path / "l.png"
        picture = Image.new("RGBA", (60, 40))
        picture.paste((200, 0, 0, 255), (20, 10, 40, 30))
        picture.convert(mode).save(path)
        assert open_logo(path).size == (20, 20)
        assert open_logo(path).mode == "RGBA"

    @pytest.mark.parametrize(
        ("name", "write", "words"),
        [
            ("l.svg", lambda path: path.write_text("<svg/>"), "picture of pixels; save it as RGBA"),
            ("l.png", lambda path: path.write_bytes(b"no image"), "not an image"),
            ("l.png", lambda path: Image.new("RGB", (9, 9)).save(path), "has no transparency"),
            ("l.jpg", lambda path: Image.new("RGB", (9, 9)).save(path), "has no transparency"),
            (
                "l.png",
                lambda path: Image.new("RGBA", (9, 9), (1, 2, 3, 255)).save(path),
                "has no transparency: save it as RGBA PNG",
            ),
            (
                "l.png",
                lambda path: Image.new("RGBA", (9, 9)).save(path),
                "nothing in it can be seen",
            ),
            ("l.png", lambda path: logo(path) and cut(path), "cut short"),
            ("l.png", lambda path: None, "no such file"),
        ],
    )
    def test_a_logo_that_cannot_be_used_ends_in_one_sentence(self, tmp_path, name, write, words):
        """A drawing, text, no transparency, nothing visible, half a file, no file."""
        write(tmp_path / name)
        with pytest.raises(BadFile, match=words) as caught:
            open_logo(tmp_path / name)
        assert str(caught.value).startswith(f"{name}: ")

    def test_a_hundred_megapixels_are_refused_before_they_are_decoded(self, tmp_path):
        """A small file can hold a huge picture."""
        path = tmp_path / "l.png"
        Image.new("LA", (10_000, 10_000)).save(path, compress_level=1)
        with pytest.raises(BadFile, match="100 megapixels"):
            open_logo(path)


def cut(path) -> None:
    """Leave the first two thirds of a file."""
    content = path.read_bytes()
    path.write_bytes(content[: len(content) * 2 // 3])
