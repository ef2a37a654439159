"""The sound stage: a finished track, as long as the delivery plays and as loud as platforms do."""

from __future__ import annotations

import re
import subprocess
import wave
from pathlib import Path

import pytest

from configs.errors import BadFile
from tasks import ffmpeg
from tasks.sound import Track, length_of, mix

SINE = "sine=frequency=440:sample_rate=44100:duration="


def sound(path: Path, source: str) -> Path:
    """Make a sound file from a source of ffmpeg's own."""
    ffmpeg.run(["-f", "lavfi", "-i", source, str(path)])
    return path


def loudness(path: Path) -> tuple[float, float]:
    """Return integrated loudness and true peak as `loudnorm` reads them, not our meter."""
    words = [ffmpeg.binary(), "-hide_banner", "-i", str(path), "-af", "loudnorm=print_format=json"]
    said = subprocess.run([*words, "-f", "null", "-"], capture_output=True, text=True, timeout=60)
    return tuple(  # type: ignore[return-value]
        float(re.findall(rf'"{key}" : "(-?[0-9.]+)"', said.stderr)[0])
        for key in ("input_i", "input_tp")
    )


def track(**more: object) -> Track:
    plain = {"seconds": 3.0, "music": True, "voice": False, "voice_at": 0.0, "music_gain": -12.0,
             "fade": 0.5, "loudness": -14.0}  # fmt: skip
    return Track.model_validate(plain | more)


@pytest.mark.parametrize("name", ["a.wav", "a.mp3", "a.m4a", "a.flac"])
def test_a_sound_s_length_is_what_is_heard(tmp_path: Path, name: str) -> None:
    """All common containers are read; lossy ones may pad a frame."""
    assert length_of(sound(tmp_path / name, f"{SINE}1.5")) == pytest.approx(1.5, abs=0.06)


@pytest.mark.parametrize(
    "content",
    [b"", b"no sound\n", b"#EXTM3U\n#EXTINF:1,\n/etc/passwd\n", b"ffconcat version 1.0\n"],
)
def test_what_is_no_sound_is_refused(tmp_path: Path, content: bytes) -> None:
    """A playlist could name any file of the machine: it is not opened at all."""
    (tmp_path / "bed.mp3").write_bytes(content)
    with pytest.raises(BadFile, match=r"bed\.mp3: no sound that can be read"):
        length_of(tmp_path / "bed.mp3")


def test_music_is_as_long_as_the_clip_and_as_loud_as_platforms_play(tmp_path: Path) -> None:
    """Short music is played again; another meter reads -14 LUFS and a peak that leaves room."""
    music = sound(tmp_path / "bed.wav", f"{SINE}1.3,volume=-10dB")
    mix(track(), {"music": music}, tmp_path / "track.wav")
    with wave.open(str(tmp_path / "track.wav")) as made:
        assert (made.getframerate(), made.getnchannels(), made.getsampwidth()) == (48_000, 2, 2)
        assert made.getnframes() == 3 * 48_000
    integrated, peak = loudness(tmp_path / "track.wav")
    assert integrated == pytest.approx(-14, abs=0.6)
    assert peak <= -1.0


def test_a_voice_stands_above_the_music(tmp_path: Path) -> None:
    """The voice comes at its second, louder than the bed around it."""
    files = {
        "music": sound(tmp_path / "bed.wav", f"{SINE}4"),
        "voice": sound(tmp_path / "voice.wav", "sine=frequency=880:sample_rate=48000:duration=1"),
    }
    mix(track(voice=True, voice_at=1.0), files, tmp_path / "track.wav")
    parts = []
    for start in (0.2, 1.2):
        part = tmp_path / f"{start}.wav"
        ffmpeg.run(["-ss", str(start), "-t", "0.6", "-i", str(tmp_path / "track.wav"), str(part)])
        parts.append(loudness(part)[0])
    assert parts[1] > parts[0] + 6


def test_the_same_track_has_the_same_bytes(tmp_path: Path) -> None:
    """Nothing of the day or the machine is written into it."""
    music = sound(tmp_path / "bed.wav", f"{SINE}2")
    for name in ("one", "two"):
        mix(track(), {"music": music}, tmp_path / f"{name}.wav")
    assert (tmp_path / "one.wav").read_bytes() == (tmp_path / "two.wav").read_bytes()


def test_silence_stays_silent(tmp_path: Path) -> None:
    """No gain is asked of it."""
    music = sound(tmp_path / "bed.wav", "anullsrc=r=48000:cl=stereo:d=2")
    mix(track(), {"music": music}, tmp_path / "track.wav")
    with wave.open(str(tmp_path / "track.wav")) as made:
        assert set(made.readframes(made.getnframes())) == {0}
