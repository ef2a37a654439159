"""Clips into files by one ffmpeg process: a decode for each clip, an encoder for each file.

Filters are at most 7 % of the work, so nothing here is clever but the order: a stamp is blended in
its own box, not over the frame, and frames are repeated last, where that copies nothing; before
titles only, which move at the file's own rate.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from configs.base import Declaration
from tasks import ffmpeg
from tasks.framing import Framing
from tasks.layers import Stamp, Titles
from tasks.pace import Between, Pace
from tasks.still import StillFile

BETWEEN: dict[Between, str] = {
    "repeat": "",
    "blend": "framerate=fps={fps:g}:interp_start=0:interp_end=255:scene=100",
    "motion": "minterpolate=fps={fps:g}:mi_mode=mci:mc_mode=aobmc:me_mode=bidir:scd=none",
}
"""The filter that makes the frames between two of the clip's own."""

BITRATE = {"silent": "64k", "sound": "160k"}
"""Of AAC-LC in stereo: platforms transcode anyway, and ask for 128 kbit/s or more of sound."""


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
    label_until: float | None = None
    """The second at which the label goes; None: it stands throughout."""


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
        # Where the last frame ends, these may give one more or fewer: lengthen, then cut.
        between = BETWEEN[pace.between].format(fps=pace.fps)
        tail = f"tpad=stop=2:stop_mode=clone,{between},trim=end_frame={pace.frames}[p{number}]"
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
    pace = job.file.pace
    last = [f"fps={pace.fps:g}"] if pace.between == "repeat" else []
    links, pad = [], f"f{number}"
    if job.titles:
        links, pad = [f"[{pad}]{','.join([*last, job.titles.filter()])}[d{number}]"], f"d{number}"
        last = []
    for index, stamp in enumerate(job.stamps):
        over = f"d{number}o{index}"
        links += stamp.links(f"{first_input + index}:v", pad, over)
        pad = over
    return [*links, f"[{pad}]{','.join([*last, ffmpeg.BT709])},format=yuv420p[o{number}]"]


def _sound(job: Job, number: int, source: int) -> list[str]:
    """Return the link that makes the sound as long as the clip, empty where there is none."""
    length = f"atrim=duration={job.file.pace.seconds:.6f}[a{number}]"
    if job.file.audio == "sound":
        return [f"[{source}:a]aformat=sample_rates=48000:channel_layouts=stereo,apad,{length}"]
    return [f"anullsrc=r=48000:cl=stereo,{length}"] if job.file.audio == "silent" else []


def _output(job: Job, number: int) -> list[str]:
    file, fps = job.file, job.file.pace.fps
    rate = BITRATE.get(file.audio)
    sound = ("-map", f"[a{number}]", "-c:a", "aac", "-b:a", rate, "-flags:a", "+bitexact")
    return [
        *("-map", f"[o{number}]"),
        *(word for word in sound if rate and word),
        *ffmpeg.x264(fps=fps, crf=file.crf, preset=file.preset, edit_list=file.edit_list),
        str(job.path),
    ]
