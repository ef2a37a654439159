"""Clips into files by one ffmpeg process: a decode for each clip, an encoder for each file.

Filters are at most 7 % of the work, so nothing here is clever but the order: the logo is blended in
its own box, not over the frame, and frames are repeated last, where that copies nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from configs.base import Declaration
from tasks import ffmpeg
from tasks.framing import Framing, Rect
from tasks.still import Stamp, StillFile


class ClipFile(Declaration):
    """What decides the bytes of one finished clip; an export node's params."""

    framing: Framing
    clip_fps: float
    clip_frames: int
    passes: int = 1
    """Times the clip is played, forth and back in turn, to last as long as the platform asks."""
    fps: float
    frames: int
    """Of the finished file."""
    blend: bool = False
    """Frames are mixed, since `fps` is no multiple of the clip's own; else they are repeated."""
    crf: int
    preset: str
    audio: Literal["none", "silent"]
    edit_list: bool
    cover: StillFile
    """The still of its first frame, shown before it plays."""
    max_bytes: int | None

    @property
    def seconds(self) -> float:
        """How long the finished file plays."""
        return self.frames / self.fps


@dataclass(frozen=True, slots=True)
class Job:
    """One file to encode."""

    clip: Path
    first_frame: Path
    """Where the clip's first frame is kept as a PPM; jobs of one clip share it."""
    path: Path
    file: ClipFile
    stamp: Stamp | None = None


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
    inputs = [word for clip in clips for word in ("-i", str(clip))]
    graph: list[str] = []
    outputs: list[str] = []
    stills: list[str] = []
    for number, (clip, first_frame) in enumerate(clips.items()):
        graph += _split(number, [one for one, job in enumerate(jobs) if job.clip == clip])
        # By a pipe's muxer: the one for picture files takes a % in a folder's name for a pattern.
        stills += ["-map", f"[first{number}]", "-c:v", "ppm", "-f", "image2pipe", str(first_frame)]
    for number, job in enumerate(jobs):
        graph += _shape(job.file, number)
        if job.stamp:
            graph += _stamp(job.stamp.area, number, inputs.count("-i"))
            inputs += ["-i", str(job.stamp.overlay)]
        graph += _finish(job.file, number, "w" if job.stamp else "f")
        outputs += _output(job, number)
    return [*inputs, "-filter_complex", ";".join(graph), *outputs, *stills]


def _split(clip: int, files: Sequence[int]) -> list[str]:
    """Return the links from a decoded clip to each of its files and to its first frame."""
    branches = "".join(f"[s{number}]" for number in files)
    return [
        f"[{clip}:v]{ffmpeg.TO_YUV},format=yuv420p,split={len(files) + 1}{branches}[t{clip}]",
        f"[t{clip}]trim=end_frame=1,{ffmpeg.TO_RGB}[first{clip}]",
    ]


def _shape(file: ClipFile, number: int) -> list[str]:
    """Return the links that give the clip its length, a mixed rate and its shape."""
    # Where the last frame ends, framerate may give one more or less: lengthen, then cut.
    mix = (
        f"tpad=stop=2:stop_mode=clone,framerate=fps={file.fps:g}:interp_start=0:interp_end=255:"
        f"scene=100,trim=end_frame={file.frames}"
    )
    tail = f"{mix if file.blend else 'null'}[p{number}]"
    framing = file.framing.filters(f"p{number}", f"f{number}")
    if file.passes == 1:
        return [f"[s{number}]{tail}", framing]
    turn = file.clip_frames - 1
    return [
        f"[s{number}]split[{number}forth][{number}whole]",
        f"[{number}whole]reverse,trim=start_frame=1:end_frame={turn}[{number}back]",
        f"[{number}forth][{number}back]concat,loop=loop=-1:size={2 * turn},"
        f"trim=end_frame={file.passes * turn + 1},setpts=N/{file.clip_fps:g}/TB,{tail}",
        framing,
    ]


def _stamp(area: Rect, number: int, source: int) -> list[str]:
    """Return the links that blend the logo into its own box."""
    x, y, width, height = area
    return [
        f"[{source}:v]crop={width}:{height}:{x}:{y},{ffmpeg.TO_YUV},format=yuva420p[l{number}]",
        f"[f{number}][l{number}]overlay={x}:{y}[w{number}]",
    ]


def _finish(file: ClipFile, number: int, source: str) -> list[str]:
    """Return the links that repeat frames, set the tags and add silence."""
    repeat = "" if file.blend else f"fps={file.fps:g},"
    links = [f"[{source}{number}]{repeat}{ffmpeg.BT709},format=yuv420p[o{number}]"]
    if file.audio == "silent":
        links.append(f"anullsrc=r=48000:cl=stereo,atrim=duration={file.seconds:.6f}[a{number}]")
    return links


def _output(job: Job, number: int) -> list[str]:
    file = job.file
    silence = ("-map", f"[a{number}]", "-c:a", "aac", "-b:a", "64k", "-flags:a", "+bitexact")
    return [
        *("-map", f"[o{number}]"),
        *(silence if file.audio == "silent" else ()),
        *ffmpeg.x264(fps=file.fps, crf=file.crf, preset=file.preset, edit_list=file.edit_list),
        str(job.path),
    ]
