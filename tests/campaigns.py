"""Small real campaigns in homes of their own, and running them with and without Prefect."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import yaml
from PIL import Image

from catalogs.record import Run
from configs.home import Home
from flows.book import Book
from flows.execute import Done, Work, execute
from flows.mend import prepare_whole
from flows.progress import Totals
from tasks.make import make
from tasks.stages import STAGES

STILLS = {
    "name": "stills",
    "pipeline": "social-still",
    "profile": "mini",
    "seed": 7,
    "brand": {"name": "Lumière", "logo": "brand/lumiere.png"},
    "calendar": {"start": "2026-03-02", "days": 7},
    "products": [
        {"id": "rouge-01", "name": "matte lipstick", "colour": "#B3122B"},
        {"id": "mug-01", "name": "coffee mug", "image": "brand/photo.png"},
    ],
    "matrix": {"product": "all", "day": ["mon"]},
    "prompt": {"language": "en"},
    "deliveries": ["xiaohongshu-note"],
    "settings": {"keyframe.steps": 2},
}
"""Two shots, one drawn in two steps and one an own photo: seconds on two cores."""


def home_with(folder: Path, campaign: dict | None = None, **changes: object) -> Home:
    """Return a home with one campaign, a logo and a photo."""
    home = Home.create(folder, demo=True)
    photo = Image.linear_gradient("L").resize((480, 640))
    Image.merge("RGB", (photo, photo.rotate(180), photo)).save(home.root / "brand" / "photo.png")
    brief = {**(campaign or STILLS), **changes}
    text = yaml.safe_dump(brief, allow_unicode=True, sort_keys=False)
    (home.campaigns / f"{brief['name']}.yaml").write_text(text, "utf-8")
    return home


def run_plainly(
    home: Home,
    name: str = "stills",
    *,
    after_planning: Callable[[], object] = lambda: None,
    cancelled: Callable[[], bool] = lambda: False,
    on_point: Callable[[str], None] = lambda _: None,
    watch: Totals | None = None,
    make: Callable[..., object] = make,
    gpus: int = 1,
) -> Run:
    """Run a campaign as the flow does, on a plain thread pool in Prefect's place."""
    (resolved, plan), _ = prepare_whole(home, name)
    after_planning()
    with (
        Book.open(home, resolved, plan, watch or Totals()) as book,
        ThreadPoolExecutor(2 + gpus) as pool,
    ):
        book.store.at = on_point
        studio = book.studio(cancelled)

        def work_on(work: Work) -> None:
            for _ in make(STAGES[work.kind], work.nodes, studio, run=book.run.id):
                pass

        def start(work: Work, done: Done) -> None:
            pool.submit(work_on, work).add_done_callback(lambda f: done(work, f.exception()))

        outcome = execute(
            book.works,
            start,
            slots={"plan": 1, "gpu": gpus, "cpu": 1},
            held=studio.has,
            cancelled=cancelled,
            idle=book.tick,
        )
        return book.close(outcome, interrupted=cancelled())


def keyreel(
    home: Home, *words: str, seconds: float = 100, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run the command as a person does."""
    return subprocess.run(
        [Path(sys.executable).with_name("keyreel"), "--home", str(home.root), *words],
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
        env=os.environ | environment,
    )


def bytes_of(folder: Path) -> dict[str, bytes]:
    """Return every file below `folder` by its relative path."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}
