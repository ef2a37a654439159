"""The export stage: a clip or a picture, with all that lies over it, becomes a platform's file.

All exports of a shot that are to be made share an ffmpeg process; each is a node of its own.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from PIL import Image

from catalogs.node import Node
from configs.base import Json
from configs.delivery import Delivery
from configs.errors import BadPlan, OutOfSpace, Passing, Rejected, StageFailed
from gpu.mark import LEAST
from tasks.encode import ClipFile, Job, aim, ceiling, encode
from tasks.framing import frame
from tasks.layers import Stamp, Titles
from tasks.pace import Pace, pace
from tasks.photo import open_photo
from tasks.probe import check, probe
from tasks.stage import Cell, Decision, Draft, Made, Photo, Progress, Stage, Studio
from tasks.still import StillFile

ENCODERS = 4
"""At once: four 1080-class x264 encoders and their lookahead take 0.6 GB together."""

LEAST_BITS = 0.01
"""A pixel of a clip: 0.6 Mbit/s for 1080x1920 at 30 frames a second, where x264 turns to blocks."""


def decide(cell: Cell) -> Decision:
    """Return what decides the file: shape, rate, length, quality, limits.

    Raises:
        BadPlan: where the clip is too long or too short for the platform, its rate cannot be
            met, or a clip is wired to a still delivery or the other way round.
    """
    delivery = cell.delivery
    assert delivery is not None, "the wiring lets this stage run per delivery only"
    port, other = ("clip", "image") if delivery.kind == "clip" else ("image", "clip")
    if port not in cell.pictures or other in cell.pictures:
        raise BadPlan(
            f"{cell.shot}: {cell.delivery_id} is a {delivery.kind}: export takes {port}, not "
            f"{other}; use a pipeline like social-{delivery.kind}"
        )
    return (_decide_clip if port == "clip" else _decide_still)(cell, delivery)


def _decide_clip(cell: Cell, delivery: Delivery) -> Decision:
    clip, settings = cell.pictures["clip"], cell.settings.export
    plays = pace(cell, clip)
    cover = delivery.cover or delivery
    label = cell.pictures.get("label")
    file = ClipFile(
        framing=frame(clip, delivery.width, delivery.height, settings.fit),
        pace=plays,
        crf=settings.crf,
        preset=settings.preset,
        audio="sound" if "sound" in cell.pictures else delivery.audio,
        edit_list=delivery.edit_list,
        cover=StillFile(
            framing=frame(clip, cover.width, cover.height, settings.fit),
            format="jpeg",
            quality=settings.quality,
            max_bytes=delivery.cover.max_bytes if delivery.cover else None,
            titles_at=_titles_at(cell),
        ),
        max_bytes=delivery.max_bytes,
        max_bitrate=delivery.max_bitrate,
        ceiling=_ceiling(cell, delivery, plays),
        label_until=label.until if label else None,
    )
    times = plays.passes
    notes = {"length": f"played {times} times, forth and back"} if times > 1 else {}
    gives = {
        "delivery": Photo(delivery.width, delivery.height, fps=plays.fps, frames=plays.frames),
        "cover": Photo(cover.width, cover.height),
    }
    return Decision(params=file.model_dump(mode="json"), notes=notes, gives=gives)


def _decide_still(cell: Cell, delivery: Delivery) -> Decision:
    assert delivery.format != "mp4", "a delivery that is a still refuses it"
    settings = cell.settings.export
    size = delivery.width, delivery.height
    file = StillFile(
        framing=frame(cell.pictures["image"], *size, settings.fit),
        format=delivery.format,
        quality=settings.quality,
        max_bytes=delivery.max_bytes,
        titles_at=_titles_at(cell),
        mark=settings.mark and min(size) >= LEAST,
    )
    return Decision(params=file.model_dump(mode="json"), gives={"delivery": Photo(*size)})


def _ceiling(cell: Cell, delivery: Delivery, plays: Pace) -> int | None:
    """Return the bits a second that the encoder is held to; refuse too few to look at."""
    bits = ceiling(delivery, plays.seconds)
    if bits and bits < LEAST_BITS * delivery.width * delivery.height * plays.fps:
        raise BadPlan(
            f"{cell.shot}: {cell.delivery_id}.max_bytes: {plays.seconds:.1f} s of them leave "
            f"{bits / 1e6:.2f} Mbit/s for {delivery.width}x{delivery.height}: lower animate.seconds"
        )
    return bits


def _titles_at(cell: Cell) -> float:
    titles = cell.pictures.get("titles")
    return titles.settled if titles else 0.0


def run(nodes: Sequence[Node], studio: Studio, workspace: Path) -> Iterator[Made]:
    """Make each node's file; one that cannot be made is told of after all others.

    Raises:
        StageFailed: naming those that failed; Passing where another try may help.
        OutOfSpace: at once, where the disk is full.
        Interrupted: at once, where the run was cancelled.
    """
    failures: list[StageFailed] = []
    for node in nodes:
        if "image" in node.inputs:
            yield from _still(node, studio, workspace, failures)
    for batch in _batches(nodes):
        yield from _clips(batch, studio, workspace, failures)
    if len(failures) == 1:
        raise failures[0]
    if failures:
        kind = Passing if any(isinstance(error, Passing) for error in failures) else StageFailed
        raise kind("; ".join(map(str, failures)))


def _batches(nodes: Sequence[Node]) -> Iterator[Sequence[Node]]:
    """Yield as many nodes at a time as encoders may run, those of one clip together."""
    clips = sorted(
        (node for node in nodes if "clip" in node.inputs),
        key=lambda node: node.inputs["clip"].identity(),
    )
    for start in range(0, len(clips), ENCODERS):
        yield clips[start : start + ENCODERS]


def _clips(
    batch: Sequence[Node], studio: Studio, workspace: Path, failures: list[StageFailed]
) -> Iterator[Made]:
    """Encode a batch in one process, or one by one where that fails."""
    started = time.perf_counter()
    jobs = [job_of(node, studio, workspace) for node in batch]
    try:
        jobs = aim(jobs)
        encode(
            jobs,
            cancelled=studio.cancelled,
            on_frame=lambda done: _report(batch, jobs, studio, done),
        )
    except OutOfSpace:
        raise
    except StageFailed as error:
        if len(batch) == 1:
            failures.append(type(error)(f"{batch[0].address}: {error}"))
            return
        for node in batch:
            yield from _clips([node], studio, workspace, failures)
        return
    seconds = (time.perf_counter() - started) / len(batch)
    for node, job in zip(batch, jobs, strict=True):
        try:
            facts: dict[str, Json] = {"encoded_together": len(batch)}
            facts["crop"] = list(job.file.framing.crop)
            yield Made(node, _finish(job), seconds, facts)
        except Rejected as error:
            failures.append(Rejected(f"{node.address}: {error}"))


def job_of(node: Node, studio: Studio, workspace: Path) -> Job:
    """Return what is to be encoded for a node, and where in the workspace."""
    _, clip, *_ = node.inputs["clip"].identity()
    file = ClipFile.model_validate(node.params)
    return Job(
        clip=studio.path(node, "clip"),
        first_frame=workspace / f"{clip}-first.ppm",
        path=workspace / f"{node.key}.mp4",
        file=file,
        titles=_titles(node, studio, file.framing.size),
        stamps=_stamps(node, studio, file.label_until),
        sound=studio.path(node, "sound") if "sound" in node.inputs else None,
    )


def _titles(node: Node, studio: Studio, size: tuple[int, int]) -> Titles | None:
    return Titles(studio.path(node, "titles"), size) if "titles" in node.inputs else None


def _stamps(node: Node, studio: Studio, label_until: float | None = None) -> tuple[Stamp, ...]:
    """Return the logo and over it the label, which nothing may cover."""
    layers = (("overlay", None), ("label", label_until))
    found = (
        Stamp.of(studio.path(node, port), until) for port, until in layers if port in node.inputs
    )
    return tuple(stamp for stamp in found if stamp)


def _finish(job: Job) -> dict[str, Draft]:
    """Look at a finished file, and make its cover from the clip's first frame.

    Raises:
        Rejected: where it is not what was asked for.
    """
    facts = probe(job.path)
    check(facts, job.file)
    path = job.path.with_suffix(".jpg")
    with Image.open(job.first_frame) as first:
        job.file.cover.make(first, path, titles=job.titles, stamps=job.stamps)
    return {
        "delivery": facts.draft(job.path),
        "cover": Draft(path, "cover", "image/jpeg", *job.file.cover.size),
    }


def _still(
    node: Node, studio: Studio, workspace: Path, failures: list[StageFailed]
) -> Iterator[Made]:
    studio.heed("export")
    started = time.perf_counter()
    file = StillFile.model_validate(node.params)
    path = workspace / f"{node.key}.{file.format}"
    try:
        file.make(
            open_photo(studio.path(node, "image")),
            path,
            titles=_titles(node, studio, file.size),
            stamps=_stamps(node, studio),
            key=node.key,
        )
    except OutOfSpace:
        raise
    except StageFailed as error:
        failures.append(type(error)(f"{node.address}: {error}"))
        return
    draft = Draft(path, "image", f"image/{file.format}", *file.size)
    yield Made(node, {"delivery": draft}, time.perf_counter() - started)


def _report(batch: Sequence[Node], jobs: Sequence[Job], studio: Studio, done: int) -> None:
    """Tell of every file what ffmpeg says of the first: they advance together."""
    share = done / jobs[0].file.pace.frames
    for node, job in zip(batch, jobs, strict=True):
        total = job.file.pace.frames
        studio.on_progress(Progress(node, min(total, round(share * total)), total))


STAGE = Stage(
    id="export",
    version=3,
    takes={
        "clip": "clip",
        "image": "image",
        "titles": "titles",
        "overlay": "overlay",
        "label": "overlay",
        "sound": "sound",
    },
    gives={"delivery": "file", "cover": "image"},
    lane="cpu",
    decide=decide,
    run=run,
    optional=frozenset({"clip", "image", "titles", "overlay", "label", "sound"}),
)
