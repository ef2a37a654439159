"""Clips into files by one ffmpeg process: a decode for each clip, an encoder for each file.

Filters are a tenth of the work, so nothing here is clever but the order: a stamp is blended in its
own box, not over the frame, and frames are repeated last, where that copies nothing. Titles come
and go at the clip's own rate then, as all that moves in it: at the file's they would cost twice.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import TYPE_CHECKING, Literal

from PIL import Image

from configs.base import Declaration
from configs.delivery import Delivery
from tasks import ffmpeg
from tasks.framing import Framing
from tasks.layers import Stamp, Titles
from tasks.pace import Between, Pace
from tasks.saliency import SIDE, salience
from tasks.still import StillFile

if TYPE_CHECKING:
    from tasks.saliency import Map

BETWEEN: dict[Between, str] = {
    "blend": "mi_mode=blend",
    "motion": "mi_mode=mci:mc_mode=aobmc:me_mode=bidir",
}
"""How minterpolate makes the frames between two of the clip's own. Of a pan from 16 to 24 frames a
second a mix leaves ghosts (29 dB) and costs next to nothing; a search for motion keeps edges (38
dB), but smears what crosses them, and costs 0.1 CPU s a frame of 480x832: as much as to encode one
of 1080x1920. `framerate`, the other filter, is a frame late at exact multiples."""

HEADROOM = 0.8
"""Of a platform's limit, for the encoder: it may lie above its own by half a second's bits, which
in a clip of 3 s is a seventh, and there is the sound."""

UNBOUND = 100_000_000
"""Bits a second that no clip of 1080 lines reaches at a quality one would send."""

BITRATE = {"silent": 64_000, "sound": 128_000}
"""Bits a second of AAC-LC in stereo: 128 kbit/s is what Instagram names, and the least for X."""


class ClipFile(Declaration):
    """What decides the bytes of one finished clip; an export node's params."""

    framing: Framing
    pace: Pace
    crf: int
    preset: str
    audio: Literal["none", "silent", "sound"]
    edit_list: bool
    cover: StillFile
    """The still of its first frame, shown before it plays."""
    max_bytes: int | None
    max_bitrate: int | None = None
    """Bits a second of the pictures that the platform takes."""
    ceiling: int | None = None
    """Bits a second that the encoder is held to; None: `crf` alone decides."""
    label_until: float | None = None
    """The second at which the label goes; None: it stands throughout."""

    def aimed(self, cells: Map) -> ClipFile:
        """Return it with free crops moved to what stands out in the clip."""
        cover = self.cover.model_copy(update={"framing": self.cover.framing.aimed(cells)})
        return self.model_copy(update={"framing": self.framing.aimed(cells), "cover": cover})


def ceiling(delivery: Delivery, seconds: float) -> int | None:
    """Return the bits a second that keep a clip within a platform's limits, None where all do."""
    limits = [float(delivery.max_bitrate)] if delivery.max_bitrate else []
    limits += [8 * delivery.max_bytes / seconds] if delivery.max_bytes else []
    allowed = HEADROOM * min(limits, default=UNBOUND)
    return int(allowed) if allowed < UNBOUND * HEADROOM else None


@dataclass(frozen=True, slots=True)
class Job:
    """One file to encode."""

    clip: Path
    first_frame: Path
    """Where the clip's first frame is kept as a PPM; jobs of one clip share it."""
    path: Path
    file: ClipFile
    titles: Titles | None = None
    stamps: tuple[Stamp, ...] = ()
    """They lie over the titles, from below to above."""
    sound: Path | None = None
    """A finished sound of 48 kHz; cut, or followed by silence, where the clip's length differs."""


def aim(jobs: Sequence[Job]) -> list[Job]:
    """Return the jobs with free crops moved to what stands out in their clips.

    Raises:
        StageFailed: where a clip cannot be read.
    """
    free = {job.clip: size for job in jobs if (size := job.file.framing.free)}
    free |= {job.clip: size for job in jobs if (size := job.file.cover.framing.free)}
    maps = {clip: salience(_glimpses(clip, size)) for clip, size in free.items()}
    return [
        replace(job, file=job.file.aimed(maps[job.clip])) if job.clip in maps else job
        for job in jobs
    ]


def _glimpses(clip: Path, size: tuple[int, int]) -> list[Image.Image]:
    """Return a clip's key frames, one for 2 s, in the size of a map: others need not be decoded."""
    width, height = (max(1, round(side * SIDE / max(size))) for side in size)
    small = f"scale={width}:{height}:flags=area,format=rgb24"
    with NamedTemporaryFile(suffix=".rgb") as file:
        keys = ("-skip_frame", "nokey", "-i", str(clip), "-vf", small, "-fps_mode", "passthrough")
        ffmpeg.run([*keys, "-f", "rawvideo", file.name])
        raw, step = file.read(), 3 * width * height
    return [
        Image.frombytes("RGB", (width, height), raw[start : start + step])
        for start in range(0, len(raw), step)
    ]


def encode(
    jobs: Sequence[Job],
    *,
    cancelled: ffmpeg.Cancelled,
    on_frame: Callable[[int], None] = lambda _: None,
) -> None:
    """Encode all `jobs` in one process.

    Raises:
        StageFailed: where the process fails; none of the files is good then.
        Interrupted: where it was cancelled.
    """
    ffmpeg.run(arguments(jobs), cancelled=cancelled, on_frame=on_frame)


def arguments(jobs: Sequence[Job]) -> list[str]:
    """Return ffmpeg's arguments: inputs, the graph, outputs."""
    clips = {job.clip: job.first_frame for job in jobs}
    inputs = list(clips)
    graph: list[str] = []
    outputs: list[str] = []
    stills: list[str] = []
    for number, (clip, first_frame) in enumerate(clips.items()):
        graph += _split(number, [one for one, job in enumerate(jobs) if job.clip == clip])
        # By a pipe's muxer: the one for picture files takes a % in a folder's name for a pattern.
        stills += ["-map", f"[first{number}]", "-c:v", "ppm", "-f", "image2pipe", str(first_frame)]
    for number, job in enumerate(jobs):
        graph += _shape(job.file, number)
        graph += _dress(job, number, len(inputs))
        inputs += [stamp.overlay for stamp in job.stamps]
        graph += _sound(job, number, len(inputs))
        inputs += [job.sound] if job.sound else []
        outputs += _output(job, number)
    words = [word for path in inputs for word in ("-i", str(path))]
    return [*words, "-filter_complex", ";".join(graph), *outputs, *stills]


def _split(clip: int, files: Sequence[int]) -> list[str]:
    """Return the links from a decoded clip to each of its files and to its first frame."""
    branches = "".join(f"[s{number}]" for number in files)
    return [
        f"[{clip}:v]{ffmpeg.TO_YUV},format=yuv420p,split={len(files) + 1}{branches}[t{clip}]",
        f"[t{clip}]trim=end_frame=1,{ffmpeg.TO_RGB}[first{clip}]",
    ]


def _shape(file: ClipFile, number: int) -> list[str]:
    """Return the links that give the clip its length, the frames between and its shape."""
    pace, tail = file.pace, f"null[p{number}]"
    if pace.between != "repeat":
        # Where the last frame ends it may give one more or some fewer: lengthen, then cut.
        between = f"minterpolate=fps={pace.fps:g}:{BETWEEN[pace.between]}:scd=none"
        tail = f"tpad=stop=4:stop_mode=clone,{between},trim=end_frame={pace.frames}[p{number}]"
    framing = file.framing.filters(f"p{number}", f"f{number}")
    if pace.passes == 1:
        return [f"[s{number}]{tail}", framing]
    turn = pace.clip_frames - 1
    return [
        f"[s{number}]split[{number}forth][{number}whole]",
        f"[{number}whole]reverse,trim=start_frame=1:end_frame={turn}[{number}back]",
        f"[{number}forth][{number}back]concat,loop=loop=-1:size={2 * turn},"
        f"trim=end_frame={pace.passes * turn + 1},setpts=N/{pace.clip_fps:g}/TB,{tail}",
        framing,
    ]


def _dress(job: Job, number: int, first_input: int) -> list[str]:
    """Return the links that lay titles and stamps over the picture, repeat frames and set tags."""
    pace, pad = job.file.pace, f"d{number}"
    links = [f"[f{number}]{job.titles.filter() if job.titles else 'null'}[{pad}]"]
    for index, stamp in enumerate(job.stamps):
        over = f"d{number}o{index}"
        links += stamp.links(f"{first_input + index}:v", pad, over)
        pad = over
    repeat = f"fps={pace.fps:g}," if pace.between == "repeat" else ""
    return [*links, f"[{pad}]{repeat}{ffmpeg.BT709},format=yuv420p[o{number}]"]


def _sound(job: Job, number: int, source: int) -> list[str]:
    """Return the link that makes the sound as long as the clip, empty where there is none."""
    length = f"atrim=duration={job.file.pace.seconds:.6f}[a{number}]"
    if job.file.audio == "sound":
        return [f"[{source}:a]aformat=sample_rates=48000:channel_layouts=stereo,apad,{length}"]
    return [f"anullsrc=r=48000:cl=stereo,{length}"] if job.file.audio == "silent" else []


def _output(job: Job, number: int) -> list[str]:
    file = job.file
    rate = BITRATE.get(file.audio)
    sound = ("-map", f"[a{number}]", "-c:a", "aac", "-b:a", str(rate), "-flags:a", "+bitexact")
    return [
        *("-map", f"[o{number}]"),
        *(sound if rate else ()),
        *ffmpeg.x264(
            fps=file.pace.fps,
            crf=file.crf,
            preset=file.preset,
            edit_list=file.edit_list,
            ceiling=file.ceiling,
        ),
        str(job.path),
    ]
