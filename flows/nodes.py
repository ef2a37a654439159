"""From shots and stages to nodes, asked for from the deliveries backwards.

What no delivery asks for is not planned: no keyframe is drawn where a product's own photo is used.
Pure, and the one loop that runs 100,000 times: what shots share is worked out once.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import SimpleNamespace

from catalogs.node import Address, Input, Node, NodeOutput
from configs.base import Aspect, Json, Language
from configs.errors import BadPlan
from configs.model import Model
from configs.sandbox import holds
from configs.settings import Settings
from flows.approval import redrawn
from flows.facts import Resolved, model_of
from flows.places import place
from flows.prompts import Prompts
from flows.shots import Shot
from flows.wiring import PRODUCT, Source, Step
from tasks.stage import Cell, Decision, Photo
from tasks.views import view

_Given = tuple[Input, Photo] | str
"""What comes out of a port: a file with its size, or a text."""


@dataclass(slots=True)
class _Found:
    """What a stage's wires bring it, by port."""

    texts: dict[str, str]
    pictures: dict[str, Photo]
    inputs: dict[str, Input]
    """Those whose files it reads."""


def unroll(
    resolved: Resolved, steps: tuple[Step, ...], prompts: Prompts
) -> tuple[dict[str, Node], dict[Address, str]]:
    """Return the nodes that the campaign's deliveries need, and the key of every address.

    Nodes are by key and in order of work: stage by stage, and model by model within one.

    Raises:
        BadPlan: where a stage's input has no source for a shot, or a stage refuses its settings.
    """
    loom = _Loom(resolved, steps, prompts)
    for shot in resolved.shots:
        _Walk(loom, shot).deliver()
    groups = [group for by_model in loom.groups.values() for group in by_model.values()]
    return {node.key: node for group in groups for node in group}, loom.places


class _Loom:
    """What all shots share."""

    def __init__(self, resolved: Resolved, steps: tuple[Step, ...], prompts: Prompts) -> None:
        self.resolved, self.facts, self.prompts = resolved, resolved.facts, prompts
        self.campaign = resolved.campaign
        self.models = resolved.library.models
        self.steps = {step.id: step for step in steps}
        self.sinks = [step for step in steps if step.sink]
        self.deliveries = {
            name: resolved.library.deliveries[name] for name in self.campaign.deliveries
        }
        self.groups: dict[str, dict[str, list[Node]]] = {step.id: {} for step in steps}
        """Nodes by stage and model fingerprint."""
        self.seen: set[str] = set()
        self.places: dict[Address, str] = {}
        self.drawn: dict[tuple[int, str], Settings] = {}
        self.drawing: dict[tuple[str, int, str], str] = {}
        self.decided: dict[tuple[object, ...], Decision | None] = {}

    def settings(self, shot: Shot, stage: str = "") -> Settings:
        """Return a shot's settings, with its motion drawn where that was `auto`.

        Args:
            shot: which one.
            stage: a stage that is not named like its kind, as its settings may be its own.
        """
        settings = self.resolved.settings(shot, stage)
        key = id(settings), self.prompts[shot.id].motion
        if key not in self.drawn:
            animate = settings.animate.model_copy(update={"motion": key[1]})
            self.drawn[key] = settings.model_copy(update={"animate": animate})
        return self.drawn[key]

    def model(self, step: Step, settings: Settings, alone: str) -> str:
        """Return the id of the model that a stage draws with, "" where it uses none.

        Args:
            step: the stage.
            settings: the shot's.
            alone: the model that makes the shot's clip from words alone, if one does.
        """
        key = step.id, id(settings), alone
        if key not in self.drawing:
            self.drawing[key] = model_of(step.stage.id, settings, self.resolved.profile, alone)
        return self.drawing[key]


class _Walk:
    """One shot's way from its deliveries back to its prompts."""

    def __init__(self, loom: _Loom, shot: Shot) -> None:
        self.loom, self.shot = loom, shot
        self.memo: dict[tuple[str, str, str], Mapping[str, _Given]] = {}
        self.settings = loom.settings(shot)
        self.alone = loom.resolved.words_alone(shot)
        self.photo = self.own_photo()
        told: dict[str, Json] = {
            "campaign": loom.campaign.name,
            "product": shot.product.id,
            "day": shot.day.iso,
            "template": loom.prompts[shot.id].template,
        }
        self.notes = {"": told} | {name: told | {"delivery": name} for name in loom.deliveries}
        """What nodes are noted with, by delivery."""

    def own_photo(self) -> tuple[Input, Photo] | None:
        found = self.loom.facts.photos.get(self.shot.product.id)
        if found is None:
            return None
        focus = self.shot.product.focus
        point = (focus.x, focus.y) if focus else None
        return found.file, Photo(found.width, found.height, point, own=True)

    def deliver(self) -> None:
        for name, delivery in self.loom.deliveries.items():
            for sink in self.loom.sinks:
                self.made(sink, delivery.aspect, name)

    def made(self, step: Step, aspect: str, delivery: str) -> Mapping[str, _Given]:
        """Return what `step` gives here, by port; nothing where its `when` or settings say so."""
        if step.per != "delivery":
            delivery = ""
        if step.per == "shot":
            aspect = ""
        spot = step.id, aspect, delivery
        if spot not in self.memo:
            applies = step.when is None or self.applies(step, step.when, aspect, delivery)
            self.memo[spot] = self.make(step, aspect, delivery) if applies else {}
        return self.memo[spot]

    def texts(self, step: Step) -> dict[str, str]:
        """Return what a stage sees of the shot's prompts, besides those that are wired to it."""
        expanded = self.loom.prompts[self.shot.id]
        if step.stage.lane == "plan":
            return expanded.said()
        return {"text": expanded.intent.text} if step.stage.worded else {}

    def names(self, language: Language) -> dict[str, object]:
        """Return what templates see of this shot, in a language."""
        return view(
            campaign=self.loom.campaign,
            product=self.shot.product,
            day=self.shot.day,
            axes=self.shot.axes,
            seed=self.shot.seed,
            language=language,
        )

    def applies(self, step: Step, when: str, aspect: str, delivery: str) -> bool:
        """Say whether a stage's `when` holds here; it sees what templates see."""
        names = self.names(self.loom.campaign.prompt.language) | {"words_alone": bool(self.alone)}
        if aspect:
            names["aspect"] = aspect
        if delivery:
            row = self.loom.deliveries[delivery]
            names["delivery"] = SimpleNamespace(
                id=delivery, kind=row.kind, width=row.width, height=row.height
            )
        try:
            return holds(when, names)
        except BadPlan as error:
            raise BadPlan(f"{step.place}: {step.id}.when: {error}") from None

    def make(self, step: Step, aspect: str, delivery: str) -> Mapping[str, _Given]:
        own = step.id != step.stage.id
        settings = self.loom.settings(self.shot, step.id) if own else self.settings
        if not step.stage.asked(settings):
            return {}
        found = self.find(step, aspect, delivery)
        try:
            decision = self.decide(step, settings, aspect, delivery, found)
        except BadPlan as error:
            raise BadPlan(f"{self.set_at(step, str(error))}: {error}") from None
        if decision is None:
            return {}
        model, notes = "", self.notes[delivery]
        if decision.notes:
            notes = {**notes, **decision.notes}
        if decision.uses_model:
            name = self.loom.model(step, settings, self.alone)
            model, notes = self.loom.facts.fingerprints[name], {**notes, "model": name}
        node = Node(
            address=Address(step.id, self.shot.id, "" if delivery else aspect, delivery),
            kind=step.stage.id,
            version=step.stage.version,
            params=decision.params,
            inputs={**found.inputs, **decision.files},
            model=model,
            pixels=self.loom.facts.pixels if decision.uses_model else {},
            notes=notes,
        )
        node = redrawn(node, self.loom.facts.verdicts)
        self.keep(node)
        if step.stage.lane == "plan":
            return self.loom.prompts[self.shot.id].texts
        return {port: (NodeOutput(node.key, port), its) for port, its in decision.gives.items()}

    def find(self, step: Step, aspect: str, delivery: str) -> _Found:
        """Return what is wired to the stage, by port."""
        found = _Found(self.texts(step), {}, {})
        for port, sources in step.wires.items():
            source = self.first(sources, aspect, delivery)
            if isinstance(source, str):
                found.texts[port] = source
            elif source:
                found.pictures[port] = source[1]
                if port not in step.stage.measured:
                    found.inputs[port] = source[0]
            elif not step.stage.spares(port, words_alone=bool(self.alone)):
                tried = " nor ".join(map(str, sources))
                raise BadPlan(
                    f"{step.place}: {step.id}.{port}: {self.shot.id} has no {tried}; "
                    "give the port a source that applies to every shot"
                )
        return found

    def decide(
        self, step: Step, settings: Settings, aspect: str, delivery: str, found: _Found
    ) -> Decision | None:
        """Return what the stage decides; of alike cells of the cpu lane only the first is asked."""
        if step.stage.lane != "cpu" or step.stage.worded:
            return step.stage.decide(self.cell(step, settings, aspect, delivery, found))
        alike = step.id, delivery, id(settings), *found.pictures.items()
        decided = self.loom.decided
        if alike not in decided:
            decided[alike] = step.stage.decide(self.cell(step, settings, aspect, delivery, found))
        return decided[alike]

    def set_at(self, step: Step, message: str) -> str:
        """Return FILE:LINE of what a stage complains of, else of the stage itself."""
        ids = {each.stage.id: each.id for each in self.loom.steps.values()}
        ids[step.stage.id] = step.id
        return place(message, self.loom.resolved, self.shot.axes, ids) or step.place

    def keep(self, node: Node) -> None:
        """Add a node, unless one of another address is the same work."""
        self.loom.places[node.address] = node.key
        if node.key not in self.loom.seen:
            self.loom.seen.add(node.key)
            self.loom.groups[node.address.stage].setdefault(node.model, []).append(node)

    def cell(
        self, step: Step, settings: Settings, aspect: str, delivery: str, found: _Found
    ) -> Cell:
        """Return all that the stage may look at."""
        name = self.loom.model(step, settings, self.alone)
        model = self.loom.models[name] if name else None
        if model and self.photo and self.photo[0] in found.inputs.values():
            aspect = shape_of(self.photo[1], model)
        return Cell(
            campaign=self.loom.campaign,
            product=self.shot.product,
            shot=self.shot.id,
            seed=self.shot.seed,
            settings=settings,
            texts=found.texts,
            pictures=found.pictures,
            inputs=found.inputs,
            aspect=aspect,
            delivery=self.loom.deliveries.get(delivery),
            delivery_id=delivery,
            model=model,
            files=self.loom.facts.logos,
            logo=self.loom.facts.logo,
            loras=self.loom.facts.loras,
            attached=self.loom.facts.attached,
            expansions=self.loom.facts.expansions,
            names=self.names,
        )

    def first(self, sources: tuple[Source, ...], aspect: str, delivery: str) -> _Given | None:
        """Return the first source that exists here."""
        for source in sources:
            if source.stage == PRODUCT:
                found: _Given | None = self.photo
            else:
                found = self.made(self.loom.steps[source.stage], aspect, delivery).get(source.port)
            if found is not None:
                return found
        return None


def shape_of(photo: Photo, model: Model) -> Aspect:
    """Return the aspect nearest to an own photo's shape: its clip is made in it for all aspects."""

    def distance(aspect: Aspect) -> float:
        width, height = model.sizes[aspect]
        return abs(math.log(photo.width / photo.height * height / width))

    return min(model.sizes, key=distance)
