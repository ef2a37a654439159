"""What a plan will take, stage by stage: from what was recorded, else from a first guess. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from catalogs.node import Node
from configs.model import Model
from flows.facts import Cost
from flows.wiring import Step
from tasks.stage import Lane

State = Literal["new", "stale", "cached"]

GUESSES: Mapping[str, Cost] = {
    "expand": Cost(0.02, 2e3),
    "watermark": Cost(0.2, 2e4),
    "label": Cost(0.2, 2e4),
    "sound": Cost(0.5, 1e6),
    "caption": Cost(0.02, 2e3),
    "export": Cost(2.0, 2e6),
    "sign": Cost(0.5, 2e6),
}
"""By kind, until one was recorded: a 5 s export at 1080x1920 on two cores. Models bring their own
guess in models.yaml."""
UNKNOWN = Cost(1.0, 1e6)


@dataclass(frozen=True, slots=True)
class Row:
    """One stage's nodes, and what those that are not cached will take."""

    stage: str
    lane: Lane
    new: int
    stale: int
    cached: int
    seconds: float
    bytes: float


def rows(
    steps: Sequence[Step],
    nodes: Iterable[tuple[Node, State]],
    models: Mapping[str, Model],
    recorded: Mapping[tuple[str, str], Cost],
) -> tuple[Row, ...]:
    """Return a row for each stage that has nodes.

    Args:
        steps: the pipeline's stages.
        nodes: of the whole plan.
        models: by id.
        recorded: medians of finished nodes, by kind of stage and model fingerprint.
    """
    counts = Counter(
        (node.address.stage, node.kind, node.model, str(node.notes.get("model", "")), state)
        for node, state in nodes
    )
    made: dict[str, list[tuple[int, State, Cost]]] = {}
    for (stage, kind, fingerprint, model, state), count in counts.items():
        guess = _guess(models[model]) if model else GUESSES.get(kind, UNKNOWN)
        cost = recorded.get((kind, fingerprint), guess)
        made.setdefault(stage, []).append((count, state, cost))
    return tuple(_row(step, made[step.id]) for step in steps if step.id in made)


def _guess(model: Model) -> Cost:
    return Cost(model.seconds, model.megabytes * 1e6)


def _row(step: Step, parts: Sequence[tuple[int, State, Cost]]) -> Row:
    def count(state: State) -> int:
        return sum(number for number, its, _ in parts if its == state)

    todo = [(number, cost) for number, state, cost in parts if state != "cached"]
    return Row(
        stage=step.id,
        lane=step.stage.lane,
        new=count("new"),
        stale=count("stale"),
        cached=count("cached"),
        seconds=sum(number * cost.seconds for number, cost in todo),
        bytes=sum(number * cost.bytes for number, cost in todo),
    )
