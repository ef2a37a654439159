"""What does export cost beside the encoding itself, and beside the other ways to do it?

Four 1080-class deliveries of a 5 s clip with logo, AI label, titles, captions and sound: by
keyreel, by bare encoders fed with the same frames and sound, by four ffmpeg processes, and by
MoviePy with the logo only, in an environment of its own (it pins pillow < 12).

Counted before it was measured, for 81 frames of 480x832 into 4 x 162 frames: decode 0.3 s, scaling
4 x 0.1 s, logos, labels and repeated frames 0.2 s, titles 4 x 0.1 s, four covers 0.6 s, what stands
out in the clip 0.1 s, start and check 0.1 s: 2.1 s beside about 14 s of x264, so 1.15 times
encode-only at most.

    python -m benchmarks.export [--pairs 5] [--moviepy-pairs 5]
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import tempfile
import time
import venv
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np
from PIL import Image, ImageDraw

from benchmarks.figures import Figure, at_least, at_most, write
from catalogs.node import Node
from configs.delivery import Delivery
from tasks import export, ffmpeg, label, title, watermark
from tasks.encode import BITRATE, Job, aim, arguments
from tasks.stage import Photo, Stage
from tests.export_data import Desk, delivery, logo

SOURCE, FPS, FRAMES = (480, 832), 16, 81
SIZES = ((1080, 1920), (1080, 1440), (1080, 1350), (1080, 1080))
WORDS = {
    "text": {"zh": "春日限定 哑光口红", "en": "Spring edition"},
    "price": {"zh": "¥129", "en": "¥129"},
    "cues": [
        {"start": 0.2, "end": 2.4, "text": {"zh": "一抹显色，整日不脱", "en": "One stroke"}},
        {"start": 2.6, "end": 4.8, "text": {"zh": "轻盈如无物", "en": "Light as air"}},
    ],
}
MOVIEPY = """
import json, sys
from moviepy import CompositeVideoClip, ImageClip, VideoFileClip
for job in json.loads(sys.argv[1]):
    x, y, width, height = job["crop"]
    clip = VideoFileClip(job["clip"]).cropped(x1=x, y1=y, width=width, height=height)
    logo = ImageClip(job["overlay"]).with_duration(clip.duration)
    CompositeVideoClip([clip.resized(tuple(job["size"])), logo]).write_videofile(
        job["path"], fps=job["fps"], codec="libx264", preset=job["preset"], audio=False,
        logger=None, ffmpeg_params=["-crf", str(job["crf"])],
    )
"""


@dataclass(frozen=True, slots=True)
class Cost:
    """Seconds of all processes together, and by the clock."""

    cpu: float
    wall: float


def cost(work: Callable[[], object]) -> Cost:
    """Return what `work` took, its child processes included."""
    cpu, wall = cpu_seconds(), time.perf_counter()
    work()
    return Cost(cpu_seconds() - cpu, time.perf_counter() - wall)


def cpu_seconds() -> float:
    """Return user and system seconds of this process and its ended children."""
    usages = map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def moving_scene() -> Iterator[bytes]:
    """Yield a panned texture with a moving disc and light grain, as packed RGB."""
    random = np.random.default_rng(1)
    width, height = SOURCE
    noise = random.integers(0, 255, (height // 4, width // 4, 3), dtype=np.uint8)
    ground = Image.fromarray(noise).resize((2 * width, 2 * height), Image.Resampling.BICUBIC)
    for number in range(FRAMES):
        frame = ground.crop((2 * number, number, 2 * number + width, number + height))
        left = 80 + 3 * number
        ImageDraw.Draw(frame).ellipse((left, 300, left + 200, 500), fill=(179, 18, 43))
        grain = random.normal(0, 1.5, (height, width, 1))
        yield np.clip(np.asarray(frame) + grain, 0, 255).astype(np.uint8).tobytes()


def stands(overlay: Path) -> tuple[int, int, int, int] | None:
    """Return what of the frame an overlay covers: titles leave it free."""
    with Image.open(overlay) as image:
        return image.getchannel("A").getbbox()


class Bench:
    """The clip, its four export nodes, and each way to make their files."""

    def __init__(self, root: Path) -> None:
        self.desk = Desk(root)
        self.clip = root / "clip.mp4"
        ffmpeg.write_clip(self.clip, moving_scene(), size=SOURCE, fps=FPS)
        self.sound = root / "sound.wav"
        noise = f"anoisesrc=r=48000:c=pink:a=0.2:d={FRAMES / FPS},aformat=channel_layouts=stereo"
        ffmpeg.run(["-f", "lavfi", "-i", noise, "-c:a", "pcm_s16le", str(self.sound)])
        self.picture, self.logo = root / "first.png", logo(root / "logo.png")
        Image.frombytes("RGB", SOURCE, next(moving_scene())).save(self.picture)
        self.nodes = [self.node(size) for size in SIZES]
        work = root / "encode-only"
        work.mkdir()
        studio = self.desk.studio
        self.jobs = aim([export.job_of(node, studio, work) for node in self.nodes])
        self.raw = [work / f"{size[0]}x{size[1]}.yuv" for size in SIZES]
        self.graph(("-c:v", "rawvideo", "-f", "rawvideo"), self.raw)

    def node(self, size: tuple[int, int]) -> Node:
        """Return the export of one size, all that lies over it made."""
        clip = Photo(*SOURCE, fps=FPS, frames=FRAMES)
        target = delivery(*size, fps={"min": 23, "max": 60})
        files, photos = {"clip": self.clip}, {"clip": clip}
        still = {"image": self.picture}, {"image": clip}
        for port, stage, inputs, seen in (
            ("overlay", watermark.STAGE, *still),
            ("label", label.STAGE, {}, {}),
            ("titles", title.STAGE, files, photos),
        ):
            files[port] = self.layer(stage, target, inputs, seen)
            box = None if port == "titles" else stands(files[port])
            photos[port] = Photo(*size, box=box, until=3 if port == "label" else None, settled=1)
        files["sound"], photos["sound"] = self.sound, Photo(0, 0)
        return self.desk.node(export.STAGE, target, files, photos, name=f"{size[0]}x{size[1]}")

    def layer(
        self,
        stage: Stage,
        target: Delivery,
        inputs: Mapping[str, Path],
        photos: Mapping[str, Photo],
    ) -> Path:
        """Return the file that a stage makes to lie over a delivery."""
        logos = {"logo": self.logo} if stage is watermark.STAGE else {}
        settings = {"title": WORDS, "label": {"seconds": 3}}
        node = self.desk.node(stage, target, inputs, photos, files=logos, settings=settings)
        (made,) = self.desk.make(stage, node)
        (draft,) = made.drafts.values()
        return draft.path

    def graph(self, options: Sequence[str], paths: Sequence[Path | str]) -> None:
        """Run the export's own graph into something else than encoders."""
        whole = arguments(self.jobs)
        until = whole.index("-filter_complex") + 2
        outputs = [
            word
            for number, path in enumerate(paths)
            for word in (
                *("-map", f"[o{number}]", *options, str(path)),
                *("-map", f"[a{number}]", "-f", "null", "-"),
            )
        ]
        ffmpeg.run([*whole[:until], *outputs, "-map", "[first0]", "-f", "null", "-"])

    def ours(self) -> None:
        """All four by one process, covers and checks included."""
        self.desk.make(export.STAGE, *self.nodes)

    def four_processes(self) -> None:
        """The same work by a process for each file, one after the other."""
        for node in self.nodes:
            self.desk.make(export.STAGE, node, folder="alone")

    def four_default_processes(self) -> None:
        """The same with as many threads as x264 takes of its own accord."""
        fixed, ffmpeg.THREADS = ffmpeg.THREADS, 0
        self.four_processes()
        ffmpeg.THREADS = fixed

    def encode_only(self) -> None:
        """Four bare encoders side by side in a process, fed with the frames our graph gave.

        Side by side as ours are: two threads of one core take more CPU seconds than one alone.
        """
        inputs: list[str] = []
        outputs: list[str] = []
        for number, (job, raw) in enumerate(zip(self.jobs, self.raw, strict=True)):
            file, fps = job.file, job.file.pace.fps
            size = "{}x{}".format(*file.framing.size)
            inputs += ["-f", "rawvideo", "-pix_fmt", "yuv420p", "-s", size, "-r", f"{fps:g}"]
            inputs += ["-i", str(raw)]
            encoder = ffmpeg.x264(fps=fps, crf=file.crf, preset=file.preset)
            sound = ("-map", f"{len(self.raw)}:a", "-c:a", "aac", "-b:a", str(BITRATE["sound"]))
            outputs += ["-map", f"{number}:v", *sound, *encoder, str(raw.with_suffix(".mp4"))]
        ffmpeg.run([*inputs, "-i", str(self.sound), *outputs])

    def moviepy(self, python: Path) -> None:
        """The same sizes, rates and quality by MoviePy; where we pad, it crops, which is less."""
        jobs = json.dumps([self.moviepy_job(job) for job in self.jobs])
        environment = os.environ | {"IMAGEIO_FFMPEG_EXE": ffmpeg.binary()}
        subprocess.run([str(python), "-c", MOVIEPY, jobs], check=True, env=environment)

    def moviepy_job(self, job: Job) -> dict[str, object]:
        """Return what the MoviePy script is told of one file."""
        file = job.file
        framing = file.framing
        return {
            "clip": str(self.clip),
            "overlay": str(job.stamps[0].overlay),
            "crop": framing.crop if framing.ground == "none" else framing.behind,
            "size": framing.size,
            "fps": file.pace.fps,
            "crf": file.crf,
            "preset": file.preset,
            "path": str(self.desk.root / f"moviepy-{job.path.name}"),
        }


def moviepy_python(folder: Path) -> Path:
    """Return the Python of a new environment with MoviePy in it."""
    venv.create(folder, with_pip=True)
    python = folder / "bin" / "python"
    pip = ("-m", "pip", "install", "--quiet", "--disable-pip-version-check", "moviepy")
    subprocess.run([str(python), *pip], check=True)
    return python


def main() -> None:
    """Measure in interleaved pairs and write the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--moviepy-pairs", type=int, default=5)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder) / "home")
        figures = measure(bench, chosen.pairs)
        if chosen.moviepy_pairs:
            python = moviepy_python(Path(folder) / "moviepy")
            figures.append(against_moviepy(bench, python, chosen.moviepy_pairs))
    write("export", figures)


def measure(bench: Bench, pairs: int) -> list[Figure]:
    """Return the figures of everything but MoviePy."""
    ways = (bench.ours, bench.encode_only, bench.four_processes, bench.four_default_processes)
    rounds = [
        {way.__name__: cost(way) for way in (ways if number % 2 else reversed(ways))}
        for number in range(pairs)
    ]
    filters = cost(lambda: bench.graph(("-f", "null"), ["-"] * len(SIZES)))
    ours, bare = ([one[name] for one in rounds] for name in ("ours", "encode_only"))

    def sooner(name: str) -> float:
        return median(one[name].wall / one["ours"].wall for one in rounds)

    seconds = median(one.cpu for one in ours)
    share = median(one.cpu / other.cpu for one, other in zip(ours, bare, strict=True))
    note = f"{seconds:.1f} CPU s, of them {filters.cpu:.1f} decode and filters; {pairs} pairs"
    return [
        at_most("CPU, of encode-only", share, "x", 1.15, note),
        at_least("speed, of four ffmpeg runs", sooner("four_processes"), "x", 1.2, "same settings"),
        Figure(
            "speed, of four runs with x264's own threads", sooner("four_default_processes"), "x"
        ),
        Figure("clock for four files", median(one.wall for one in ours), "s"),
        Figure("clock of encode-only", median(one.wall for one in bare), "s"),
    ]


def against_moviepy(bench: Bench, python: Path, pairs: int) -> Figure:
    """Return how much sooner we are done than MoviePy."""
    ratios = []
    for _ in range(pairs):
        ours = cost(bench.ours)
        theirs = cost(lambda: bench.moviepy(python))
        ratios.append((theirs.wall / ours.wall, theirs.cpu / ours.cpu))
    wall, cpu = (median(column) for column in zip(*ratios, strict=True))
    return at_least("speed, of MoviePy", wall, "x", 3, f"CPU {cpu:.1f}x; {pairs} pairs")


if __name__ == "__main__":
    main()
