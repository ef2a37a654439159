"""How well the embedded models obey: pictures, clips, autoencoders, seconds and memory.

    python -m benchmarks.mini_quality judges --out JUDGES.safetensors
    python -m benchmarks.mini_quality measure --sheets PAGES --blind benchmarks/blind_prompts.json

The judges learn from rendered pictures and clips alone and are tried on renders whose combinations
are held out; every prompt's combination is held out of the models' training too. The judges beside
this file (`mini/judges.safetensors`) took 218 s of one H100: `judges --seconds 210 --pictures 80000
--clips 8000`. On 2 CPU cores: `--results ELSEWHERE measure --prompts 40 --clips 10`; autoencoders
and rendered clips are left out there (`--whole 0`: a CPU renders slowly).
"""

import argparse
import json
from pathlib import Path
from statistics import median

import torch

from benchmarks.figures import RESULTS, Figure
from benchmarks.mini import autoencoders, clips, pictures, told, training
from benchmarks.mini.judges import Judges
from gpu.mini.untyped import Untyped

WEIGHTS = Path(__file__).parents[1] / "gpu" / "mini" / "weights"
JUDGES = Path(__file__).parent / "mini" / "judges.safetensors"
BARS = dict.fromkeys(pictures.BARS, 98.0) | {"motion": 95.0}
"""What a judge must reach on held-out renders to be believed, in percent."""


def train_judges(given: argparse.Namespace) -> None:
    """Trains and saves the judges; prints and saves their shares of right on held-out renders."""
    tries = (given.tries, given.tries // 2)
    rights, more = training.make(given.out, given.seconds, given.pictures, given.clips, tries)
    figures = told.shares("judge on renders", rights, BARS)
    told.write(given.results / "mini_judges.json", told.record(figures, **more))
    told.table(figures)
    print(json.dumps(more, indent=1, ensure_ascii=False))


def loaded(folder: Path, kind: str) -> Untyped:
    """The image or video pipeline of a weights folder, on this machine's device."""
    from diffusers import WanImageToVideoPipeline, ZImagePipeline

    cls = ZImagePipeline if kind == "image" else WanImageToVideoPipeline
    pipe = cls.from_pretrained(folder / kind, dtype=told.dtype()).to(told.device())
    pipe.set_progress_bar_config(disable=True)
    return pipe


def measure_pictures(
    given: argparse.Namespace, judges: Judges, pipe: Untyped
) -> tuple[list[pictures.Asked], list[Figure], list[dict[str, object]]]:
    """The prompts at 8 steps, a fifth of them at 4, the blind prompts, and their pages."""
    rows, fewer = pictures.asked(given.prompts), pictures.asked(max(2, given.prompts // 5))
    batch = given.batch
    pictures.draw(pipe, rows[:1], 1, given.size, 1)  # the first call also loads kernels
    taken = pictures.draw(pipe, rows, 8, given.size, batch)
    taken_few = pictures.draw(pipe, fewer, 4, given.size, batch)
    figures = pictures.figures(judges, rows, 8, parts=True)
    figures += pictures.figures(judges, fewer, 4, parts=False)
    figures += [pictures.seconds(taken, batch, 8), pictures.seconds(taken_few, batch, 4)]
    failures = pictures.sheets(rows, given.sheets)
    if given.blind:
        written = json.loads(given.blind.read_text(encoding="utf-8"))
        blind = pictures.blind(written["en"], "en", 1) + pictures.blind(written["zh"], "zh", 1001)
        pictures.draw(pipe, blind, 8, given.size, batch)
        figures += pictures.blind_figures(judges, blind, given.sheets)
    return rows, figures, failures


def measure_clips(
    given: argparse.Namespace, judges: Judges, pipe: Untyped, rows: list[pictures.Asked]
) -> tuple[list[Figure], list[dict[str, object]]]:
    """Clips of those pictures and of rendered first frames, and their pages."""
    todo = clips.cases(given.clips, rows)
    batch = 10 if told.device() == "cuda" else 1
    taken, control = clips.run(pipe, judges, todo, batch, references=given.whole > 0)
    figures = clips.figures(todo, control)
    figures.append(Figure("seconds a clip", median(taken), "s", note=f"batches of {batch}"))
    return figures, clips.sheets(todo, given.sheets)


def measure(given: argparse.Namespace) -> None:
    """All figures of one folder of weights: a table and a record of pictures, then of clips."""
    judges = Judges.load(given.judges, told.device())
    pipe = loaded(given.weights, "image")
    rows, figures, failures = measure_pictures(given, judges, pipe)
    if given.whole:
        figures += autoencoders.pictures(pipe.vae, given.whole)
    report(given, "mini_pictures", figures, size=given.size, failures=failures)
    del pipe
    if given.clips:
        pipe = loaded(given.weights, "video")
        figures, shots = measure_clips(given, judges, pipe, rows)
        if given.whole:
            figures += autoencoders.clips(pipe.vae, max(1, given.whole // 4))
        report(given, "mini_clips", figures, clips=shots)


def report(given: argparse.Namespace, name: str, figures: list[Figure], **more: object) -> None:
    """Adds the peak memory so far; saves the record and prints the table."""
    figures.append(Figure("peak memory", told.peak_gb(), "GB", note=told.device()))
    record = told.record(figures, dtype=str(told.dtype()), **more)
    told.write(given.results / f"{name}.json", record)
    told.table(figures)


def _asked() -> argparse.ArgumentParser:
    cuda = told.device() == "cuda"
    ask = argparse.ArgumentParser(
        prog="python -m benchmarks.mini_quality", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    ask.add_argument("--results", type=Path, default=RESULTS, help="folder of the records")
    verbs = ask.add_subparsers(required=True)
    judges = verbs.add_parser("judges", help="train the judges on renders")
    judges.set_defaults(run=train_judges)
    judges.add_argument("--out", type=Path, required=True)
    judges.add_argument(
        "--seconds", type=float, default=90, help="rendering and training, together"
    )
    judges.add_argument("--pictures", type=int, default=60000, help="rendered to learn from")
    judges.add_argument("--clips", type=int, default=15000, help="rendered to learn from")
    judges.add_argument(
        "--tries", type=int, default=3000, help="held-out pictures; half as many clips"
    )
    of = verbs.add_parser("measure", help="measure a folder of weights")
    of.set_defaults(run=measure)
    of.add_argument("--judges", type=Path, default=JUDGES)
    of.add_argument("--weights", type=Path, default=WEIGHTS, help="holds image/ and video/")
    of.add_argument("--prompts", type=int, default=500)
    of.add_argument("--clips", type=int, default=200, help="over all motions; 0: none")
    of.add_argument("--size", type=int, choices=(384, 512), default=512)
    of.add_argument("--batch", type=int, default=25 if cuda else 1, help="pictures a call")
    of.add_argument(
        "--whole", type=int, default=24 if cuda else 0,
        help="pictures an aspect for the autoencoders, a quarter as many clips; 0: no renders",
    )  # fmt: skip
    of.add_argument("--sheets", type=Path, required=True, help="folder for the pages")
    of.add_argument("--blind", type=Path, help="prompts by someone who knew no templates")
    return ask


def main() -> None:
    """Reads the command line."""
    given = _asked().parse_args()
    torch.backends.cuda.matmul.allow_tf32 = True
    given.run(given)


if __name__ == "__main__":
    main()
