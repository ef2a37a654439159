"""One ffmpeg process: how it is started, fed, watched and ended; and the settings all clips share.

Knows nothing of nodes or deliveries. The binary is imageio-ffmpeg's, run directly: the package's
own writer rounds 1080 up to 1088, drops stderr and ignores the exit code.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import IO

from configs.errors import Interrupted, OutOfSpace, Passing, StageFailed

BT709 = "setparams=range=tv:color_primaries=bt709:color_trc=bt709:colorspace=bt709"
"""All three tags, set in the graph: told to the encoder, ffmpeg 9 leaves two of them unknown."""

TO_YUV = "scale=out_color_matrix=bt709:out_range=tv:flags=bicubic+accurate_rnd"
TO_RGB = "scale=out_range=pc:flags=bicubic+accurate_rnd+full_chroma_int,format=rgb24"
"""Without these flags ffmpeg's scaler rounds down: white comes back as 253, reds darker by 3."""

THREADS = 1
"""Of each x264 encoder. Another count gives other bytes, so it does not follow the machine; cores
are filled by encoders side by side, which costs less CPU and memory than threads within one."""

MASTER_THREADS = 4
"""Of a master clip's encoder, which no other runs beside: it keeps up with a card that decodes."""

POLL = 0.05
"""Seconds between looks at the process: how late a cancel may be."""

NO_FONTS = b"<fontconfig/>"
"""Fontconfig's whole configuration: titles bring their fonts along, and no font of the machine's
steps in for one, so that a file has the same bytes everywhere."""

Cancelled = Callable[[], bool]


def never() -> bool:
    """Return False: nobody cancels."""
    return False


@cache
def binary() -> str:
    """Return the path of imageio-ffmpeg's static build."""
    import imageio_ffmpeg

    return str(imageio_ffmpeg.get_ffmpeg_exe())


@cache
def _leash() -> tuple[str, ...]:
    """Return the words that let ffmpeg die with us, even where we are killed ourselves."""
    setpriv = shutil.which("setpriv")  # util-linux: on every Debian, not in every container
    return (setpriv, "--pdeathsig", "KILL") if setpriv else ()


def run(
    arguments: Sequence[str],
    *,
    cancelled: Cancelled = never,
    frames: Iterable[bytes] = (),
    on_frame: Callable[[int], None] = lambda _: None,
) -> None:
    """Run ffmpeg with `arguments` until it ends.

    Args:
        arguments: all but the binary and the options every run shares.
        cancelled: looked at every 50 ms; once true, the process and its children are killed.
        frames: what the process reads from its standard input.
        on_frame: told how many frames the first output has, a few times a second.

    Raises:
        StageFailed: where it ends with an error, in its first and last words.
        Passing: where it was killed.
        OutOfSpace: where the disk is full.
        Interrupted: where it was cancelled.
    """
    quiet = ("-hide_banner", "-nostdin", "-nostats", "-v", "error", "-y")
    shared = (*quiet, "-progress", "pipe:1", "-stats_period", "0.2")
    with (
        tempfile.TemporaryFile() as said,
        tempfile.TemporaryFile() as progress,
        tempfile.NamedTemporaryFile(suffix=".conf") as fonts,
    ):
        fonts.write(NO_FONTS)
        fonts.flush()
        process = subprocess.Popen(
            [*_leash(), binary(), *shared, *arguments],
            stdin=subprocess.PIPE,
            stdout=progress,
            stderr=said,
            env=os.environ | {"FONTCONFIG_FILE": fonts.name},
            start_new_session=True,  # a Ctrl-C in the terminal is ours to pass on
        )
        try:
            _feed(process, frames, cancelled)
            _watch(process, cancelled, lambda: on_frame(_frames(progress)))
        finally:
            _end(process)
        if process.returncode:
            raise _failure(process.returncode, said)


def _feed(process: subprocess.Popen[bytes], frames: Iterable[bytes], cancelled: Cancelled) -> None:
    assert process.stdin is not None
    with contextlib.suppress(BrokenPipeError), process.stdin as pipe:  # its stderr says why
        for frame in frames:
            _heed(cancelled)
            pipe.write(frame)


def _watch(
    process: subprocess.Popen[bytes], cancelled: Cancelled, report: Callable[[], None]
) -> None:
    while True:
        try:
            process.wait(POLL)
            return
        except subprocess.TimeoutExpired:
            _heed(cancelled)
            report()


def _heed(cancelled: Cancelled) -> None:
    if cancelled():
        raise Interrupted("ffmpeg was cancelled; what was finished is kept")


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _frames(progress: IO[bytes]) -> int:
    """Return the last frame count that ffmpeg wrote."""
    size = os.fstat(progress.fileno()).st_size
    tail = os.pread(progress.fileno(), 1024, max(0, size - 1024))
    counts = [line[6:] for line in tail.splitlines() if line.startswith(b"frame=")]
    return int(counts[-1]) if counts else 0


def _failure(code: int, said: IO[bytes]) -> StageFailed:
    said.seek(0)
    text = re.sub(r" @ 0x[0-9a-f]+", "", said.read().decode(errors="replace"))
    lines = list(dict.fromkeys(text.strip().splitlines()))
    if any("No space left on device" in line for line in lines):
        return OutOfSpace("the disk is full: ffmpeg could not finish its file")
    first_and_last = lines if len(lines) <= 4 else [*lines[:2], *lines[-2:]]
    words = " | ".join(first_and_last) or "it said nothing"
    if code < 0:  # most often the kernel, for memory
        return Passing(f"ffmpeg was killed by {signal.Signals(-code).name}: {words}")
    return StageFailed(f"ffmpeg ended with {code}: {words}")


def word(value: str) -> str:
    """Return `value` escaped twice: as one option of a filter, and for the graph around it."""
    return re.sub(r"([\\'\[\],;])", r"\\\1", re.sub(r"([\\':])", r"\\\1", value))


def x264(
    *,
    fps: float,
    crf: int,
    preset: str,
    edit_list: bool = True,
    ceiling: int | None = None,
    threads: int = THREADS,
) -> list[str]:
    """Return the options of one deterministic H.264 MP4: closed groups of 2 s, index in front.

    Args:
        fps: frames a second.
        crf: x264's quality.
        preset: x264's.
        edit_list: False for players that refuse one.
        ceiling: bits a second that no half second goes above, where `crf` would.
        threads: of the encoder; another count gives other bytes.
    """
    capped = ("-maxrate", str(ceiling), "-bufsize", str(ceiling // 2)) if ceiling else ()
    flags = "+faststart" if edit_list else "+faststart+negative_cts_offsets"
    return [
        *("-c:v", "libx264", "-preset", preset, "-crf", str(crf), "-profile:v", "high", *capped),
        *("-threads", str(threads), "-g", str(round(2 * fps)), "-flags:v", "+bitexact+cgop"),
        *("-fflags", "+bitexact", "-map_metadata", "-1", "-movflags", flags),
        *(() if edit_list else ("-use_editlist", "0")),
    ]


def write_clip(
    path: Path,
    frames: Iterable[bytes],
    *,
    size: tuple[int, int],
    fps: float,
    crf: int = 10,
    preset: str = "veryfast",
    cancelled: Cancelled = never,
) -> None:
    """Write packed RGB frames as a visually lossless master clip, yuv420p BT.709.

    Args:
        path: the MP4 to write.
        frames: each 3 * width * height bytes, or a C-contiguous array of as many.
        size: width and height in pixels, both even.
        fps: frames a second.
        crf: x264's quality; 10 is above 45 dB.
        preset: x264's.
        cancelled: once true, the process is killed.

    Raises:
        StageFailed: where ffmpeg fails.
        Interrupted: where it was cancelled.
    """
    width, height = size
    arguments = [
        *("-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{width}x{height}", "-r", f"{fps:g}"),
        *("-i", "pipe:0", "-vf", f"{TO_YUV},format=yuv420p,{BT709}"),
        *x264(fps=fps, crf=crf, preset=preset, threads=MASTER_THREADS),
        *("-tune", "fastdecode"),  # every export decodes it: half the time for 15 % more bytes
        str(path),
    ]
    run(arguments, frames=frames, cancelled=cancelled)
