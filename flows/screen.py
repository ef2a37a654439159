"""What the terminal shows: tables, a progress bar, the next commands. Decides nothing."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from shlex import quote
from typing import TYPE_CHECKING

from rich.console import Console
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from catalogs.record import Place, Record, Run
from catalogs.store import Store
from configs.base import Json
from configs.home import Home
from flows.approval import Keyframe
from flows.plan import Plan
from flows.progress import Totals

if TYPE_CHECKING:  # each brings what its own command alone needs: duckdb, numpy, icalendar
    from catalogs.ancestry import Ancestor
    from catalogs.disk import GcPlan
    from flows.doctor import Finding
    from flows.package import Packed
    from flows.rerun import Compared
    from flows.verify import Report

console = Console(highlight=False)
BAR = 24
"""Characters: with the words around it a line fits 80."""
MOST_REASONS = 12
"""Reasons shown by `keyreel plan`; the rest are counted. A screen holds about forty lines."""


def say(text: str) -> None:
    """Print text as it is."""
    console.print(text, markup=False, soft_wrap=True)


def verified(report: Report) -> None:
    """Print what was found of a file: the verdict, what it claims, its lineage, its original."""
    from flows.verify import plain

    say(f"{report.file}: {report.verdict}: {report.why}")
    for word, value in report.claims.items():
        say(f"  says {word}: {value}")
    if report.credentials:
        say(f"  lineage: {' <- '.join(map(plain, report.credentials.titles))}")
        for action in report.credentials.actions:
            say(f"  signed: {plain(action)}")
    if found := report.original:
        alike = {
            "bytes": "the same bytes",
            "mark": "by its invisible mark",
            "looks": f"by its looks, {found.bits:.1f} of 64 bits differ",
        }[found.known_by]
        say(f"  original: {found.shot} {found.delivery} of {found.made}, {found.port}: {alike}")
        say(f"  `keyreel show {found.node[:16]}` tells how it was made")


def lost(sentences: Sequence[str]) -> None:
    """Print which finished work is damaged or gone, and so is made again."""
    for sentence in sentences[:MOST_REASONS]:
        say(f"made again: {sentence}")
    if len(sentences) > MOST_REASONS:
        say(f"  … and {len(sentences) - MOST_REASONS} more")


def print_json(value: Json) -> None:
    """Print JSON for programs."""
    print(json.dumps(value, ensure_ascii=False, indent=1))


def initialised(home: Home) -> None:
    """Say what `keyreel init` made, and what to do next."""
    names = ", ".join(sorted(path.stem for path in home.campaigns.glob("*.yaml")))
    say(f"Home ready in {home.root}\nCampaigns: {names}")


def plan(planned: Plan) -> None:
    """Print what a run would make, stage by stage, why it is stale, and notes on the prompts."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("stage", "new", "stale", "cached", "seconds", "MB"):
        table.add_column(heading, justify="left" if heading == "stage" else "right")
    for row in planned.rows:
        counts = (str(row.new), str(row.stale), str(row.cached))
        table.add_row(row.stage, *counts, f"{row.seconds:.0f}", f"{row.bytes / 1e6:.0f}")
    say(planned.headline())
    console.print(table)
    reasons = Counter(planned.reasons.values())
    for reason, count in reasons.most_common(MOST_REASONS):
        say(f"  {count} × {reason}")
    if len(reasons) > MOST_REASONS:
        say(f"  … and {len(reasons) - MOST_REASONS} more reasons; see --json")
    for note in planned.notes():
        say(f"  {note}")


@contextmanager
def progress(watch: Totals) -> Iterator[None]:
    """Show shots and stages as bars, and the denoising steps of what is in work."""
    if not console.is_terminal:
        yield
        return
    with Live(
        get_renderable=lambda: _bars(watch), console=console, refresh_per_second=4, transient=True
    ):
        yield


def _bars(watch: Totals) -> Table:
    """Return the picture of a run as it stands."""
    grid = Table.grid(padding=(0, 2))
    elapsed = f"{time.monotonic() - watch.started:.0f} s"
    stages = watch.stages()
    if not stages:
        grid.add_row("starting", ProgressBar(total=None, width=BAR), "", elapsed)
        return grid
    done, shots = watch.shots()
    grid.add_row("shots", ProgressBar(shots, done, width=BAR), f"{done}/{shots}", elapsed)
    for stage in stages:
        bar = ProgressBar(stage.total, stage.done, width=BAR)
        told = ", ".join(f"{step}/{of} {name}" for name, (step, of) in stage.steps.items())
        counts = f"{stage.made}/{stage.total}"
        grid.add_row(stage.name, bar, counts, Text(told, "dim", no_wrap=True, overflow="ellipsis"))
    return grid


def finished(home: Home, run: Run) -> None:
    """Print what was made, what it took, where it is, and the next commands to try."""
    console.print(_outcome(run))
    failed = [entry for entry in run.entries if entry.state == "failed"]
    for entry in failed[:MOST_REASONS]:
        place = entry.place
        say(f"failed: {place.shot} {place.stage} {place.delivery or place.aspect}: {entry.error}")
    folder, keyreel = home.runs / run.id, _keyreel(home)
    file = quote(run.asked)
    say(
        f"\nPictures and clips  {home.deliveries / run.campaign}\n"
        f"Gallery page        {folder / 'index.html'}\n"
        f"Catalog             {home.catalog / 'published.duckdb'}\n\n"
        "Next, try:\n"
        f"  {keyreel} plan {file}\n"
        f'  {keyreel} query "SELECT * FROM v_weekly_output"\n'
        f"  {keyreel} show {quote(str(_one_delivery(home, run)))}\n"
        f"  {keyreel} package {file}"
    )


def _keyreel(home: Home) -> str:
    """Return how a command for a home begins, as a shell reads it."""
    return f"keyreel --home {quote(str(home.root))}"


def awaiting(home: Home, found: Sequence[Keyframe]) -> None:
    """Print which keyframes of a campaign wait for a verdict, and how it is given."""
    say(f"\n{len(found)} keyframe{'s' * (len(found) != 1)} to look at:")
    for one in found[:MOST_REASONS]:
        say(f"  {one.name}  {one.path}")
    if len(found) > MOST_REASONS:
        say(f"  … and {len(found) - MOST_REASONS} more")
    keyreel, campaign = _keyreel(home), quote(found[0].file)
    say(
        f"All on one page  {home.runs / found[0].run / 'index.html'}\n\n"
        "Say which may be used, then go on:\n"
        f"  {keyreel} approve {campaign} --accept all\n"
        f"  {keyreel} approve {campaign} --reseed {found[-1].shot}\n"
        f'  {keyreel} approve {campaign} --reject {found[0].name} --note "too dark"\n'
        f"  {keyreel} {found[0].again}"
    )


def judged(home: Home, found: Sequence[Keyframe]) -> None:
    """Print keyframes of a campaign with their verdicts, and what waits."""
    for one in found:
        if one.review:
            said = one.review
            note = f": {said.note}" if said.note else ""
            say(f"{said.verdict:<8}  {one.name}  by {said.reviewer}{note}")
    waiting = [one for one in found if one.waits]
    if waiting:
        awaiting(home, waiting)
    elif found:
        say(f"\nNothing waits. Go on with:\n  {_keyreel(home)} {found[0].again}")


def _outcome(run: Run) -> Table:
    """Count nodes, not places: an own photo's clip serves several shapes and is made once."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("stage", "made", "cached", "failed", "seconds"):
        table.add_column(heading, justify="left" if heading == "stage" else "right")
    nodes = {entry.key: entry for entry in run.entries}.values()
    for stage in dict.fromkeys(entry.place.stage for entry in nodes):
        entries = [entry for entry in nodes if entry.place.stage == stage]
        states = Counter(entry.state for entry in entries)
        seconds = sum(entry.seconds for entry in entries)
        lost = states["failed"] + states["skipped"]
        counts = (states["made"], states["cached"], lost)
        table.add_row(stage, *map(str, counts), f"{seconds:.1f}")
    return table


def _one_delivery(home: Home, run: Run) -> str:
    files = sorted((home.deliveries / run.campaign).rglob("*.mp4")) or sorted(
        path for path in (home.deliveries / run.campaign).rglob("*") if path.is_file()
    )
    return str(files[0]) if files else "FILE"


def interrupted(watch: Totals) -> None:
    """Say that what was finished is kept."""
    made, total = sum(watch.made.values()), sum(watch.total.values())
    say(f"Interrupted: {made} of {total} finished and kept. Run the same command to go on.")


def rows(columns: Sequence[str], values: Sequence[Sequence[object]]) -> None:
    """Print the answer to a query: a table for people, tab-separated lines for a pipe."""
    if not console.is_terminal:
        for line in (columns, *values):
            print("\t".join("" if value is None else str(value) for value in line))
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")  # a path that is cut is of no use
    for row in values:
        table.add_row(*("" if value is None else str(value) for value in row))
    console.print(table)


def ancestry(found: Ancestor, depth: int = 0, told: set[str] | None = None) -> None:
    """Print an asset's recipe, and below it, indented, what it was made from.

    A node is told once, then it is in `told`: a delivery's keyframe stands also under its subtitles
    and its watermark, and so told again and again fills 116 lines in place of 38.
    """
    told = set() if told is None else told
    pad = "  " * depth
    role = f"{found.role}: " if found.role else ""
    if found.record is None:
        say(f"{pad}{role}{found.path or 'lost'}  {found.sha256[:12]}")
        return
    record = found.record
    above = record.key in told
    say(f"{pad}{role}{_where(record.place)}  {record.key[:12]}{'  (above)' * above}")
    if above:
        return
    told.add(record.key)
    for name, value in _facts(record).items():
        say(f"{pad}  {name:<10} {value}")
    for parent in found.parents:
        ancestry(parent, depth + 1, told)


def _where(place: Place) -> str:
    return f"{place.stage}  " + " ".join(filter(None, (place.shot, place.aspect, place.delivery)))


def _facts(record: Record) -> dict[str, str]:
    outputs = [
        f"{port} {asset.sha256[:12]} {asset.width}x{asset.height} {asset.bytes / 1e3:.0f} kB"
        for port, asset in record.outputs.items()
    ]
    recipe = {name: record.recipe.get(name) for name in ("params", "model", "pixels")}
    told = {name: json.dumps(value, ensure_ascii=False) for name, value in recipe.items() if value}
    return {
        "outputs": ", ".join(outputs),
        **told,
        "made": f"{record.started}, {record.seconds:.1f} s",
    }


def reran(compared: Sequence[Compared]) -> int:
    """Print whether the bytes came out the same, and what was not made; return the exit code."""
    for one in compared:
        verdict = (
            "the same bytes" if one.same else f"other bytes: {one.then[:12]} -> {one.now[:12]}"
        )
        say(f"{one.node} {one.port}: {verdict}")
    for one in compared[:1]:
        if one.drawn:
            say(f"Only its last step, {one.stage}, was made again. What a model drew before it:")
        for key, node in one.drawn.items():
            say(f"  keyreel rerun {key[:16]}  {node}")
    return 0 if all(one.same for one in compared) else 1


def tried(home: Home, run: Run) -> int:
    """Print what a change made, with the files; return the exit code."""
    store = Store(home.store)
    for entry in run.entries:
        say(f"{entry.state:<8} {_where(entry.place)}  {entry.key[:12]}  {entry.error}".rstrip())
        if entry.state in ("made", "cached"):
            for port, asset in store.record(entry.key).outputs.items():
                say(f"  {port}: {store.asset_path(asset)}")
    say(f"A run of its own, {run.id}: the campaign's files stay as they are.")
    return 0 if run.state == "done" else 1


def packed(made: Packed) -> int:
    """Print what was packed and what is missing; return the exit code."""
    for path, items in made.zips.items():
        size = path.stat().st_size / 1e6
        say(f"{path.name:<40} {len(items)} file{'s' * (len(items) != 1)}, {size:.1f} MB")
    say(f"{made.calendar.name:<40} when each goes out\n\nIn {made.folder}")
    for gap in made.gaps[:MOST_REASONS]:
        say(f"missing: {gap.shot} {gap.delivery}: {gap.reason}")
    if len(made.gaps) > MOST_REASONS:
        say(f"  … and {len(made.gaps) - MOST_REASONS} more; see manifest.json")
    return 1 if made.gaps else 0


def collected(plan: GcPlan, *, deleted: bool) -> None:
    """Print what was, or would be, deleted."""
    verb = "Deleted" if deleted else "Would delete"
    say(
        f"{verb} {len(plan.records)} nodes and {len(plan.files)} files, {plan.bytes / 1e6:.1f} MB; "
        f"{plan.kept} nodes stay."
    )
    if not deleted and plan.files:
        say("Nothing is deleted yet: say `keyreel gc --yes`.")


def findings(found: Iterable[Finding]) -> int:
    """Print what the doctor found; return the exit code."""
    worst = 0
    for one in found:
        mark = {"ok": "ok     ", "missing": "missing", "bad": "BAD    "}[one.state]
        say(f"{mark}  {one.subject:<24} {one.text}")
        worst = max(worst, one.state == "bad")
    return worst
