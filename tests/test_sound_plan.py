"""Music and voices at plan time: what does not fit a clip is told before anything is made."""

from __future__ import annotations

from pathlib import Path

import pytest

from configs.errors import BadInput
from configs.home import Home
from tests.plan_data import Desk
from tests.test_sound_stage import sound


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    """The demo with sounds of 1 and 9 seconds, and clips of 2."""
    desk = Desk(Home(tmp_path / "home"))
    for seconds in (1, 9):
        sound(desk.home.root / f"brand/{seconds}s.wav", f"sine=frequency=440:duration={seconds}")
    (desk.home.root / "brand/words.mp3").write_text("no sound", "utf-8")
    return desk


def heard(desk: Desk, **settings: object):
    """Plan the demo with these settings of its sound."""
    return desk.plan(lambda brief: brief["settings"].update(sound=settings))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"voice": "brand/9s.wav"},
            r"sound\.voice: brand/9s\.wav ends at 9\.0 s, and the clip for douyin at 2\.1 s",
        ),
        ({"voice": "brand/1s.wav", "voice_at": "1.5"}, r"ends at 2\.5 s, .* lower sound\.voice_at"),
        (
            {"music": "brand/1s.wav", "loop": "false"},
            r"sound\.music: brand/1s\.wav lasts 1\.0 s, and the clip for douyin 2\.1 s; write sou",
        ),
        ({"music": "brand/none.mp3"}, r"sound\.music: .*none\.mp3"),
        ({"music": "brand/words.mp3"}, r"sound\.music: words\.mp3: no sound that can be read"),
        ({"voice": "../../voice.wav"}, r"sound\.voice: .*leads outside the home"),
    ],
)
def test_a_sound_of_another_length_is_one_error(desk: Desk, settings, message):
    """File, field, both lengths and what to change; so are files that are none."""
    with pytest.raises(BadInput, match=rf"demo\.yaml:\d+(:\d+)?: .*{message}"):
        heard(desk, **settings)


def test_music_is_as_long_as_each_clip(desk: Desk):
    """A longer file is cut and a shorter one is played again; each export has the track."""
    for name in ("brand/9s.wav", "brand/1s.wav"):
        planned = heard(desk, music=name)
        nodes = planned.nodes.values()
        tracks = {node.key: node for node in nodes if node.kind == "sound"}
        assert {node.params["seconds"] for node in tracks.values()} == {2.0625}
        exports = [node for node in nodes if node.kind == "export"]
        assert exports
        assert all(node.inputs["sound"].key in tracks for node in exports)
