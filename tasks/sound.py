"""The sound stage: music and a voice become one finished track, as long as the delivery plays.

Trimmed, faded, mixed, and as loud as platforms play it (EBU R 128). `export` muxes it.
"""

from __future__ import annotations

import contextlib
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from catalogs.node import Node
from configs.base import Declaration
from configs.errors import BadFile, BadPlan, StageFailed
from configs.settings import Sound
from tasks import ffmpeg
from tasks.loudness import gain_to, measure
from tasks.pace import pace
from tasks.stage import Cell, Decision, Draft, Made, Photo, Stage, Studio

RATE = 48_000
"""Samples a second: what every platform takes; Instagram's API takes no more."""

PROBE_RATE = 8_000
SHORTEST, LONGEST = 0.1, 900
"""Seconds of a sound file that are looked at: clips last a minute at most."""

FORMATS = "wav,mp3,flac,ogg,aac,aiff,mov,matroska,webm"
"""Containers that are opened; a playlist could name other files."""

CEILING = 10 ** (-1.5 / 20)
"""-1.5 dB true peak: the lossy codec behind it overshoots by up to a decibel (EBU R 128 s2)."""


class Track(Declaration):
    """What decides one finished track; a sound node's params."""

    seconds: float
    music: bool
    voice: bool
    voice_at: float
    music_gain: float
    fade: float
    loudness: float


def source(path: Path) -> tuple[str, ...]:
    """Return ffmpeg's words for reading one sound file, which may be hostile."""
    return ("-protocol_whitelist", "file", "-format_whitelist", FORMATS, "-i", str(path))


def length_of(path: Path) -> float:
    """Return how many seconds of sound a file holds, by decoding it.

    Raises:
        BadFile: where it holds none that can be decoded.
    """
    plain = ("-ac", "1", "-ar", str(PROBE_RATE), "-f", "s16le")
    with tempfile.TemporaryDirectory() as folder, contextlib.suppress(StageFailed):
        samples = Path(folder) / "samples"
        ffmpeg.run([*source(path), "-map", "0:a:0", "-t", str(LONGEST), *plain, str(samples)])
        if (length := samples.stat().st_size / 2 / PROBE_RATE) > SHORTEST:
            return round(length, 3)
    raise BadFile(f"{path.name}: no sound that can be read; use a WAV, MP3, M4A or FLAC file")


def decide(cell: Cell) -> Decision | None:
    """Return what decides the track; None for a still.

    Raises:
        BadPlan: where a file is too short, or the voice does not fit into the clip.
    """
    settings, delivery = cell.settings.sound, cell.delivery
    if delivery is None or delivery.kind != "clip":
        return None
    seconds = pace(cell, cell.pictures["clip"]).seconds
    _fits(cell, settings, seconds)
    track = Track(
        seconds=round(seconds, 6),
        music=bool(settings.music),
        voice=bool(settings.voice),
        voice_at=settings.voice_at,
        music_gain=settings.music_gain,
        fade=settings.fade,
        loudness=settings.loudness,
    )
    named = {"music": settings.music, "voice": settings.voice}
    files = {role: cell.attached[path].file for role, path in named.items() if path}
    return Decision(track.model_dump(mode="json"), files, gives={"sound": Photo(0, 0)})


def _fits(cell: Cell, settings: Sound, seconds: float) -> None:
    lengths = {
        path: float(str(each.told))
        for path, each in cell.attached.items()
        if path in (settings.music, settings.voice)
    }
    if settings.voice:
        ends = settings.voice_at + lengths[settings.voice]
        if ends > seconds + 0.05:
            raise BadPlan(
                f"{cell.shot}: sound.voice: {settings.voice} ends at {ends:.1f} s, and the clip "
                f"for {cell.delivery_id} at {seconds:.1f} s; shorten it, lower sound.voice_at or "
                f"raise animate.seconds"
            )
    if settings.music and not settings.loop and lengths[settings.music] < seconds - 0.05:
        raise BadPlan(
            f"{cell.shot}: sound.music: {settings.music} lasts {lengths[settings.music]:.1f} s, "
            f"and the clip for {cell.delivery_id} {seconds:.1f} s; write sound.loop: true or take "
            f"a longer file"
        )


def run(nodes: Sequence[Node], studio: Studio, workspace: Path) -> Iterator[Made]:
    """Mix each node's track.

    Raises:
        StageFailed: where ffmpeg fails.
        Interrupted: where the run was cancelled.
    """
    for node in nodes:
        studio.heed("sound")
        started = time.perf_counter()
        track = Track.model_validate(node.params)
        files = {
            role: studio.path(node, role) for role in ("music", "voice") if role in node.inputs
        }
        loudness = mix(track, files, workspace / f"{node.key}.wav", studio.cancelled)
        draft = Draft(workspace / f"{node.key}.wav", "sound", "audio/wav", seconds=track.seconds)
        facts = {"loudness": round(loudness, 2)}
        yield Made(node, {"sound": draft}, time.perf_counter() - started, facts)


def mix(
    track: Track, files: dict[str, Path], path: Path, cancelled: ffmpeg.Cancelled = ffmpeg.never
) -> float:
    """Write the track as 16-bit stereo; return its loudness in LUFS.

    The mix is measured, then moved by one gain: a compressor that follows the sound would pump.
    """
    raw = path.with_suffix(".mix.wav")
    inputs = [word for role in ("music", "voice") if role in files for word in _input(role, files)]
    ffmpeg.run(
        [*inputs, "-filter_complex", graph(track), "-map", "[out]", *_pcm("pcm_f32le"), str(raw)],
        cancelled=cancelled,
    )
    gain = gain_to(track.loudness, measure(raw))
    ffmpeg.run(
        ["-i", str(raw), "-af", f"volume={gain:.2f}dB,alimiter=limit={CEILING:.4f}:level=0:"
         f"latency=1,atrim=duration={track.seconds:.6f}", *_pcm("pcm_s16le"), str(path)],
        cancelled=cancelled,
    )  # fmt: skip
    raw.unlink()
    return measure(path)


def _input(role: str, files: dict[str, Path]) -> tuple[str, ...]:
    loop = ("-stream_loop", "-1") if role == "music" else ()
    return (*loop, *source(files[role]))


def _pcm(codec: str) -> tuple[str, ...]:
    return ("-ar", str(RATE), "-ac", "2", "-c:a", codec, "-flags:a", "+bitexact",
            "-fflags", "+bitexact", "-map_metadata", "-1")  # fmt: skip


def graph(track: Track) -> str:
    """Return the filters that trim, fade and mix the inputs, music first, into `[out]`."""
    end = max(0.0, track.seconds - track.fade)
    length = f"atrim=duration={track.seconds:.6f}"
    fit = f"aresample={RATE},aformat=channel_layouts=stereo,apad,{length}"
    fades = f"afade=t=in:d={min(0.05, track.fade):g},afade=t=out:st={end:.3f}:d={track.fade:g}"
    parts, names = [], []
    if track.music:
        lower = f",volume={track.music_gain:g}dB" if track.voice else ""
        parts.append(f"[0:a:0]{fit},asetpts=PTS-STARTPTS,{fades}{lower}[music]")
        names.append("[music]")
    if track.voice:
        late = round(track.voice_at * 1000)
        parts.append(f"[{int(track.music)}:a:0]adelay={late}:all=1,{fit}[voice]")
        names.append("[voice]")
    parts.append(f"{''.join(names)}amix=inputs={len(names)}:normalize=0[out]")
    return ";".join(parts)


STAGE = Stage(
    id="sound",
    version=1,
    takes={"clip": "clip"},
    gives={"sound": "sound"},
    lane="cpu",
    decide=decide,
    run=run,
    asked=lambda settings: settings.sound.asked,
)
