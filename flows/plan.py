"""The plan: every node of a campaign, in order of work, each `new`, `stale` (and why) or `cached`.

`plan` is pure: what it needs of clock, disk and GPU was gathered in `flows/resolve.py`.
"""

from __future__ import annotations

import datetime as dt
import gc
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import NamedTuple

from catalogs.node import Address, Node
from configs.base import Json
from configs.campaign import Campaign
from configs.errors import BadPlan
from configs.home import Home
from configs.load import Brief
from flows.approval import held_back
from flows.estimate import Row, State, rows
from flows.facts import Facts, Resolved
from flows.nodes import unroll
from flows.prompts import Prompts, shot_json, write_prompts
from flows.reasons import reason
from flows.resolve import resolve
from flows.shots import Shot
from flows.wiring import Step, wire
from tasks.stages import STAGES

MOST_NOTES = 12
"""Of one plan: a screen holds about forty lines."""


@dataclass(frozen=True, slots=True)
class Plan:
    """All work of a campaign."""

    campaign: Campaign
    shots: tuple[Shot, ...]
    prompts: Prompts
    nodes: Mapping[str, Node]
    """By key, in order of work."""
    places: Mapping[Address, str]
    """The key of every address; an own photo's clip has one for each aspect."""
    states: Mapping[str, State]
    reasons: Mapping[str, str]
    """By key, of what is stale."""
    rows: tuple[Row, ...]
    waits: Mapping[str, str]
    """What may not be made yet, with the key of the keyframe that is not approved."""

    def work(self) -> tuple[Node, ...]:
        """Return the nodes that are to be made now, in order of work."""
        return tuple(
            node
            for key, node in self.nodes.items()
            if self.states[key] != "cached" and key not in self.waits
        )

    @property
    def gpu_seconds(self) -> float:
        """What the GPU (or the processor in its place) will work, estimated."""
        return sum(row.seconds for row in self.rows if row.lane == "gpu")

    @property
    def cpu_seconds(self) -> float:
        """What encoders and overlays will take, estimated."""
        return sum(row.seconds for row in self.rows if row.lane == "cpu")

    @property
    def bytes(self) -> float:
        """What the new files will take on disk, estimated."""
        return sum(row.bytes for row in self.rows)

    def headline(self) -> str:
        """Return the plan in one line."""
        shots, nodes, work = len(self.shots), len(self.nodes), len(self.work())
        cached = sum(state == "cached" for state in self.states.values())
        held = nodes - work - cached
        seconds = self.gpu_seconds + self.cpu_seconds
        return (
            f"{self.campaign.name}: {shots} shot{'s' * (shots != 1)}, {nodes} nodes: "
            f"{work} to make, {f'{held} held back by approval, ' * bool(held)}{cached} cached; "
            f"about {seconds:.0f} s, {self.bytes / 1e6:.0f} MB"
        )

    def notes(self) -> list[str]:
        """Return what a person should know of the prompts, the most frequent first."""
        counts = Counter(note for told in self.prompts.values() for note in told.notes)
        return [f"{n} shot{'s' * (n != 1)}: {note}" for note, n in counts.most_common(MOST_NOTES)]

    def shots_json(self) -> dict[str, dict[str, Json]]:
        """Return what each shot is, by id: for the run file, the gallery and the catalog."""
        language = self.campaign.prompt.language
        return {shot.id: shot_json(shot, self.prompts, language) for shot in self.shots}

    def as_json(self) -> dict[str, Json]:
        """Return the whole plan: equal plans give equal JSON."""
        return {
            "campaign": self.campaign.name,
            "seed": self.campaign.seed,
            "shots": dict(self.shots_json()),
            "nodes": [self._node_json(node) for node in self.nodes.values()],
            "places": {str(address): key for address, key in self.places.items()},
            "stages": [asdict(row) for row in self.rows],
            "estimate": {
                "gpu_seconds": self.gpu_seconds,
                "cpu_seconds": self.cpu_seconds,
                "bytes": self.bytes,
            },
        }

    def _node_json(self, node: Node) -> Json:
        return {
            "key": node.key,
            "node": str(node.address),
            "state": self.states[node.key],
            "reason": self.reasons.get(node.key, ""),
            **({"waits_for": self.waits[node.key]} if node.key in self.waits else {}),
            **node.recipe(),
            "notes": dict(node.notes),
        }


class Prepared(NamedTuple):
    """A campaign ready to run."""

    resolved: Resolved
    plan: Plan


def prepare(
    home: Home,
    name: str | Brief,
    *,
    start: dt.date | None = None,
    profile: str | None = None,
    seed: int | None = None,
) -> Prepared:
    """Load, resolve and plan a campaign of the home; spends nothing.

    Args:
        home: the workspace.
        name: of a file in its `campaigns/`, or a campaign that stands in no file.
        start: first day, in place of the campaign's own.
        profile: in place of the campaign's own.
        seed: in place of the campaign's own.

    Raises:
        BadInput: where anything the campaign says or names is wrong.
    """
    resolved = resolve(home, name, start=start, profile=profile, seed=seed)
    return Prepared(resolved, plan(resolved))


@contextmanager
def _uncollected() -> Iterator[None]:
    """Hold the garbage collector: no node is in a cycle, and walking them takes a fifth more."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()


@_uncollected()
def plan(resolved: Resolved) -> Plan:
    """Return the plan of a resolved campaign.

    Raises:
        BadPlan: where the pipeline is miswired, or a shot cannot be made as asked.
    """
    steps = wire(resolved.pipeline, resolved.pipeline_marks, STAGES)
    _check_titles(resolved, steps)
    _check_labels(resolved, steps)
    _check_approval(resolved)
    prompts = write_prompts(resolved)
    nodes, places = unroll(resolved, steps, prompts)
    states, reasons = _states(nodes, resolved.facts)
    approve = resolved.campaign.approve == "keyframes"
    return Plan(
        campaign=resolved.campaign,
        shots=resolved.shots,
        prompts=prompts,
        nodes=nodes,
        places=places,
        states=states,
        reasons=reasons,
        rows=rows(
            steps,
            ((node, states[key]) for key, node in nodes.items()),
            resolved.library.models,
            resolved.facts.costs,
        ),
        waits=held_back(nodes, resolved.facts.verdicts) if approve else {},
    )


def _check_titles(resolved: Resolved, steps: tuple[Step, ...]) -> None:
    """Refuse words for which the pipeline has no stage: they would be left out in silence."""
    if any(step.stage.id == "title" for step in steps):
        return
    for shot in resolved.shots:
        if resolved.settings(shot).title.asked:
            place = resolved.loaded.source.where(("pipeline",))
            raise BadPlan(
                f"{place}: pipeline: {resolved.campaign.pipeline} has no stage `title`, and "
                f"{shot.id} has words to set; add the stage, or delete the title's settings"
            )


def _check_labels(resolved: Resolved, steps: tuple[Step, ...]) -> None:
    """Refuse files that nothing says a model made: leaving that out takes a name and a reason."""
    waived = all(resolved.settings(shot).label.off for shot in resolved.shots)
    for step in steps:
        if step.stage.id == "export" and "label" not in step.wires and not waived:
            raise BadPlan(
                f"{step.place}: {step.id} has no `label`, so that no words would say that a model "
                "made its files: wire `label: label.label`, or say who goes without and why: "
                "`label.off: {by: NAME, reason: WHY}`"
            )
        if step.sink and "delivery" in step.stage.gives and step.stage.id != "sign":
            raise BadPlan(
                f"{step.place}: {step.id}: nothing writes into its files what machines read (and "
                f"keeps who waived a label): add `{{id: sign, per: delivery, in: {{delivery: "
                f"{step.id}.delivery, …}}}}` as the shipped pipelines have it"
            )


def _check_approval(resolved: Resolved) -> None:
    """Refuse to wait for keyframes where clips are made without any."""
    if not resolved.campaign.approve:
        return
    if alone := [shot.id for shot in resolved.shots if resolved.words_alone(shot)]:
        raise BadPlan(
            f"{resolved.loaded.source.where(('approve',))}: approve: {alone[0]} has no keyframe to "
            "look at, as its clip is made from words alone; leave `approve` out, or write "
            "`pipeline: social-clip`"
        )


def _states(nodes: Mapping[str, Node], facts: Facts) -> tuple[dict[str, State], dict[str, str]]:
    states: dict[str, State] = {}
    reasons: dict[str, str] = {}
    for key, node in nodes.items():
        if key in facts.held:
            states[key] = "cached"
            continue
        before = facts.previous.get(node.address)
        recipe = facts.recipe(before) if before else None
        states[key] = "stale" if recipe else "new"
        if recipe:
            reasons[key] = reason(node, recipe, nodes)
    return states, reasons
