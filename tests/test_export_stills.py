"""The export stage for stills: a picture becomes the file that a platform takes."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from configs.errors import Rejected
from tasks import export
from tasks.stage import Photo
from tests.export_data import RED, SOURCE, Desk, delivery, overlay_for, scene


@pytest.fixture
def desk(tmp_path) -> Desk:
    return Desk(tmp_path / "home")


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize("kind", ["jpeg", "png", "webp"])
def test_a_still_has_its_format_size_and_logo(desk, kind):
    """A picture becomes the still a platform takes, and keeps its colours."""
    picture = desk.root / "k.png"
    scene(SOURCE).save(picture)
    target = delivery(288, 512, kind="still", format=kind)
    inputs = {"image": picture, "overlay": overlay_for(desk, target)}
    node = desk.node(export.STAGE, target, inputs, {"image": Photo(*SOURCE)})
    (made,) = desk.make(export.STAGE, node)
    draft = made.drafts["delivery"]
    assert (draft.kind, draft.mime) == ("image", f"image/{kind}")
    with Image.open(draft.path) as image:
        assert (image.format.lower(), image.size) == (kind, (288, 512))
        pixels = np.asarray(image.convert("RGB"), dtype=float)
    assert np.abs(pixels[246:266, 134:154].mean((0, 1)) - np.array(RED)).max() < 3


def test_a_still_above_the_limit_is_rejected(desk):
    """The message says what to lower."""
    picture = desk.root / "k.png"
    scene(SOURCE).save(picture)
    target = delivery(288, 512, kind="still", format="jpeg", max_bytes=500)
    node = desk.node(export.STAGE, target, {"image": picture}, {"image": Photo(*SOURCE)})
    with pytest.raises(Rejected, match=r"above 500: lower export\.quality"):
        desk.make(export.STAGE, node)


def test_an_opened_transparent_overlay_changes_nothing(desk):
    """A brand without a logo has an overlay of one transparent pixel, which is skipped."""
    picture, empty = desk.root / "k.png", desk.root / "empty.png"
    scene(SOURCE).save(picture)
    Image.new("RGBA", (1, 1)).save(empty)
    target = delivery(288, 512, kind="still", format="png")
    photos = {"image": Photo(*SOURCE)}
    plain = {"export": {"mark": False}}  # which holds the node's own key
    wired = {"image": picture, "overlay": empty}
    bare = desk.node(export.STAGE, target, {"image": picture}, photos, settings=plain)
    with_empty = desk.node(export.STAGE, target, wired, photos, settings=plain)
    one, other = desk.make(export.STAGE, bare, with_empty)
    assert sha256(one.drafts["delivery"].path) == sha256(other.drafts["delivery"].path)
