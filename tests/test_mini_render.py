"""The renderer: the same scene gives the same bytes, and its mask is the product."""

import random
import shutil
import tempfile
from pathlib import Path

import numpy as np
import pytest

from gpu.mini.camera import SIZES, Camera, fit, moved
from gpu.mini.colour import linear, luminance
from gpu.mini.frames import clip, picture
from gpu.mini.render import params, render, renderer
from gpu.mini.scenes import draw_scene
from gpu.mini.vocabulary import vocabulary

needs_compiler = pytest.mark.skipif(shutil.which("gcc") is None, reason="gcc builds the renderer")
RED_ON_WHITE = {
    "product": "gift-box", "colour": "red", "material": "matte", "surface": "seamless",
    "backdrop": "white", "camera": "front", "light_warmth": "neutral", "props": "",
}  # fmt: skip


@needs_compiler
class TestRender:
    """Pictures from scene vectors."""

    def test_the_process_keeps_its_small_floats(self) -> None:
        """A library built with -ffast-math flushes subnormal floats to zero for everybody."""
        render(np.stack([picture(draw_scene(random.Random(0), "square"))]), 16, 16, 1)
        assert float("1e-310") * 0.5 > 0

    def test_same_seed_same_bytes(self) -> None:
        """A scene drawn and rendered twice is equal to the byte."""
        twice = [picture(draw_scene(random.Random(5), "square"))[None] for _ in range(2)]
        a, b = (render(v, 48, 48, 1) for v in twice)
        assert a.tobytes() == b.tobytes()
        assert a[0, :3].std() > 5

    def test_mask_is_the_product(self) -> None:
        """Under the mask a red box is red; outside it the white stage is not."""
        scene = draw_scene(random.Random(2), "square", RED_ON_WHITE, plain=True)
        out = render(picture(scene)[None], 96, 96, 1)[0].astype(float)
        on, off = out[3] > 250, out[3] < 5
        assert 0.12 < on.mean() < 0.6
        red, green = out[0][on].mean(), out[1][on].mean()
        assert red > 1.5 * green
        assert abs(out[0][off].mean() - out[1][off].mean()) < 20

    @pytest.mark.parametrize("product", vocabulary().ids("product"))
    def test_every_product_is_in_the_frame(self, product: str) -> None:
        """Each product shows, whole: none of its mask on the frame's left or right edge."""
        scene = draw_scene(random.Random(1), "portrait", {"product": product, "camera": "front"})
        mask = render(picture(scene)[None], 54, 96, 1)[0, 3]
        assert (mask > 128).mean() > 0.06
        assert not (mask[:, 0] > 128).any()
        assert not (mask[:, -1] > 128).any()

    def test_push_in_makes_it_larger(self) -> None:
        """The product's area grows by the square of the distance, about."""
        scene = draw_scene(random.Random(2), "square", RED_ON_WHITE)
        frames = clip(scene, "push-in", 9)
        area = [(m > 128).sum() for m in render(frames[[0, 8]], 64, 64, 1)[:, 3]]
        assert area[1] > 1.4 * area[0]


class TestScene:
    """Scenes and cameras as numbers."""

    def test_offsets_cover_the_vector(self) -> None:
        """The header's offsets are the vector's slices, without a gap."""
        ends = [0, *(at.stop for at in params.AT.values())]
        assert [at.start for at in params.AT.values()] == ends[:-1]
        assert ends[-1] == params.SIZE
        assert f"#define PARAMS {params.SIZE}" in params.header()

    def test_fixed_words_are_kept(self) -> None:
        """What is fixed is not drawn."""
        scene = draw_scene(random.Random(0), "landscape", {"product": "watch", "props": "snow"})
        assert scene.words["product"] == "watch"
        assert scene.words["props"] == "snow"
        assert scene.size == SIZES[512]["landscape"]

    @pytest.mark.parametrize("motion", vocabulary().ids("motion"))
    def test_motion_starts_where_the_picture_is(self, motion: str) -> None:
        """At time 0 every motion is the keyframe's camera; later only `static` still is."""
        start = Camera(0.1, 0.2, 4.0, 0.5, 0.0)
        assert moved(start, motion, 0.0) == start
        assert (moved(start, motion, 1.0) == start) == (motion == "static")

    def test_unknown_motion(self) -> None:
        """A motion outside the vocabulary is refused by name."""
        with pytest.raises(ValueError, match="barrel-roll"):
            moved(Camera(0, 0, 4, 0, 0), "barrel-roll", 0.5)

    def test_wide_products_fit_a_portrait(self) -> None:
        """A wide product is held by the width, a tall one by the height."""
        assert fit(1.0, 0.5, (288, 512), 0.5) > fit(0.2, 0.5, (288, 512), 0.5)

    def test_colours(self) -> None:
        """sRGB 50 % grey is 21 % of the light."""
        assert luminance(linear("#808080")) == pytest.approx(0.2159, abs=1e-3)
        assert linear("#ffffff") == pytest.approx((1.0, 1.0, 1.0))


def test_native_sizes_suit_both_models() -> None:
    """Areas alike, sides multiples of 16: 8 times the autoencoders', 2 times the patches'."""
    for side, by_aspect in SIZES.items():
        sizes = np.array(list(by_aspect.values()))
        assert (sizes % 16 == 0).all()
        assert sizes.prod(1) == pytest.approx(side * side, rel=0.02)


def test_a_library_is_loaded_from_an_own_folder_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder that others can write to may hold their code: it is refused, not used."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    made = renderer._own_folder()
    assert made.stat().st_mode & 0o777 == 0o700
    made.chmod(0o777)
    with pytest.raises(PermissionError, match="keyreel-render"):
        renderer._own_folder()
