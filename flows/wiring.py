"""A pipeline's wiring, checked: every port has a source of the right type, and there is no cycle.

Knows nothing of shots: which source exists for one of them is the plan's question.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from typing import NoReturn

from configs.errors import BadPlan
from configs.marks import Marks, Place, dotted
from configs.pipeline import FirstOf, Pipeline, PipelineStage, Scope
from configs.wording import unknown
from tasks.stage import Lane, Stage

PRODUCT = "product"
PRODUCT_PORTS = {"image": "image"}
"""What a product supplies without any stage: its own photo, where it has one."""

FINENESS: Mapping[Scope, int] = {"shot": 0, "aspect": 1, "delivery": 2}
"""A delivery has one aspect and an aspect one shot, so inputs flow from low to high only."""

SCOPES: Mapping[Lane, tuple[Scope, ...]] = {
    "plan": ("shot",),  # a shot has one intent
    "gpu": ("aspect", "delivery"),  # a picture has a shape
    "cpu": ("delivery",),  # a file has a platform
}


@dataclass(frozen=True, slots=True)
class Source:
    """One end of a wire: a port of a stage, or of the product."""

    stage: str
    port: str

    def __str__(self) -> str:
        return f"{self.stage}.{self.port}"


@dataclass(frozen=True, slots=True)
class Step:
    """One stage of a pipeline with its wires, all of them checked."""

    id: str
    stage: Stage
    per: Scope
    wires: Mapping[str, tuple[Source, ...]]
    """By input port: the sources to try in order."""
    when: str | None
    place: str
    """FILE:LINE."""
    sink: bool
    """Nothing takes what it makes: it is what people want."""


def wire(pipeline: Pipeline, marks: Marks, stages: Mapping[str, Stage]) -> tuple[Step, ...]:
    """Return the stages of `pipeline` in an order in which each finds its inputs made.

    Args:
        pipeline: as declared.
        marks: the places of its values.
        stages: all stages there are, in the order a campaign meets them.

    Raises:
        BadPlan: on an unknown stage or port, a wrong port type or scope, an unwired port,
            a cycle, or a stage that nothing uses.
    """
    return _Checker(pipeline, marks, stages).steps()


class _Checker:
    def __init__(self, pipeline: Pipeline, marks: Marks, stages: Mapping[str, Stage]) -> None:
        self.marks, self.stages = marks, stages
        self.declared = {stage.id: stage for stage in pipeline.stages}
        self.position = {stage.id: index for index, stage in enumerate(pipeline.stages)}
        for declared in pipeline.stages:
            if declared.kind not in stages:
                part = "stage" if declared.stage else "id"
                self.fail(unknown("stage", declared.kind, stages), declared, part)
            if declared.id == PRODUCT:
                self.fail("`product` is the campaign's; give the stage another id", declared, "id")

    def fail(self, message: str, declared: PipelineStage, *part: str) -> NoReturn:
        path: Place = ("stages", self.position[declared.id], *part)
        raise BadPlan(f"{self.marks.where(path)}: {dotted(path)}: {message}")

    def steps(self) -> tuple[Step, ...]:
        wires = {name: self.wires(declared) for name, declared in self.declared.items()}
        used = {
            source.stage for ports in wires.values() for some in ports.values() for source in some
        }
        for name, declared in self.declared.items():
            self.check_scope(declared, sink=name not in used)
        return tuple(
            Step(
                id=name,
                stage=self.stages[self.declared[name].kind],
                per=self.declared[name].per,
                wires=wires[name],
                when=self.declared[name].when,
                place=self.marks.where(("stages", self.position[name])),
                sink=name not in used,
            )
            for name in self.order(wires)
        )

    def wires(self, declared: PipelineStage) -> dict[str, tuple[Source, ...]]:
        """Return the checked sources of every wired port of one stage."""
        stage = self.stages[declared.kind]
        for port in declared.in_:
            if port not in stage.takes:
                self.fail(unknown("port", port, stage.takes), declared, "in", port)
        for port in stage.takes:
            if port not in declared.in_ and port not in stage.optional:
                self.fail(f"needs the port {port!r}; write `in: {{{port}: …}}`", declared, "in")
        return {
            port: tuple(
                self.source(declared, port, text)
                for text in (given.first_of if isinstance(given, FirstOf) else (given,))
            )
            for port, given in declared.in_.items()
        }

    def source(self, declared: PipelineStage, port: str, text: str) -> Source:
        """Return the source that `text` names, if it may feed this port."""
        name, _, output = text.partition(".")
        if name != PRODUCT and name not in self.declared:
            message = f"{text!r}: {unknown('stage', name, [*self.declared, PRODUCT])}"
            self.fail(message, declared, "in", port)
        gives = PRODUCT_PORTS if name == PRODUCT else self.stages[self.declared[name].kind].gives
        if output not in gives:
            self.fail(f"{text!r}: {unknown('port', output, gives)}", declared, "in", port)
        wanted = self.stages[declared.kind].takes[port]
        if gives[output] != wanted:
            message = f"{port!r} takes {wanted}, but {text!r} is {gives[output]}"
            self.fail(message, declared, "in", port)
        if name != PRODUCT and FINENESS[self.declared[name].per] > FINENESS[declared.per]:
            per = self.declared[name].per
            message = f"{text!r} is made per {per}; write `per: {per}` here too"
            self.fail(message, declared, "in", port)
        return Source(name, output)

    def check_scope(self, declared: PipelineStage, *, sink: bool) -> None:
        allowed = SCOPES[self.stages[declared.kind].lane]
        if declared.per not in allowed:
            words = " or ".join(f"`per: {scope}`" for scope in allowed)
            self.fail(f"{declared.kind} is made {words}", declared, "per")
        if sink and declared.per != "delivery":
            self.fail("nothing uses what this stage makes; wire it up or delete it", declared)

    def order(self, wires: Mapping[str, Mapping[str, tuple[Source, ...]]]) -> list[str]:
        """Sort by need, then as a campaign meets the stages: the file's order does not count."""
        needs = {
            name: {source.stage for some in ports.values() for source in some} - {PRODUCT}
            for name, ports in wires.items()
        }
        sorter = TopologicalSorter(needs)
        try:
            sorter.prepare()
        except CycleError as error:
            cycle = list(reversed(error.args[1]))
            message = f"the wiring runs in a circle: {' -> '.join(cycle)}"
            self.fail(message, self.declared[cycle[0]], "in")
        met = list(self.stages)
        ordered: list[str] = []
        while sorter.is_active():
            ready = sorter.get_ready()
            ordered += sorted(ready, key=lambda name: (met.index(self.declared[name].kind), name))
            sorter.done(*ready)
        return ordered
