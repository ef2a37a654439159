"""Trying a change: one node made with other words, seed or steps, and all that was made of it.

The tries are a run of their own, `CAMPAIGN-variants`, so that packing and cleaning up go on taking
the campaign's own latest run. What a campaign makes is changed in its file, or by a verdict.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

from catalogs.ancestry import Ancestor
from catalogs.catalog import Catalog
from catalogs.node import Node, NodeOutput
from catalogs.record import Entry, Record, Run
from catalogs.runs import all_runs, new_id, write_run
from catalogs.store import Store
from configs.base import Json
from configs.errors import BadInput, Interrupted, KeyreelError
from configs.home import Home
from configs.library import Library
from configs.model import Model
from configs.tokens import check_tokens, counter
from configs.wording import unknown
from flows.book import going_on, now, place_of
from flows.rerun import node_of
from flows.resident import make
from flows.turns import turn
from tasks.model import folder_of
from tasks.stage import Studio
from tasks.stages import STAGES

CHANGES: dict[str, type] = {"prompt": str, "negative": str, "seed": int, "steps": int}
"""What can be tried otherwise: what a stage that draws reads, and the rest follows from."""
MOST_SEED = 2**63 - 1


def changes_of(record: Record) -> dict[str, Json]:
    """Return what of a record can be tried otherwise, with its values now; empty for most nodes."""
    params = record.recipe["params"]
    if not record.recipe["model"] or not isinstance(params, dict):
        return {}
    return {name: params[name] for name in CHANGES if name in params}


def parse(words: Mapping[str, str]) -> dict[str, Json]:
    """Return changes from `name: text`, as a form has them.

    Raises:
        BadInput: where a name is none of `CHANGES`, or a number is none.
    """
    changes: dict[str, Json] = {}
    for name, text in words.items():
        if name not in CHANGES:
            raise BadInput(unknown("change", name, CHANGES))
        if CHANGES[name] is int and not (text.isascii() and text.isdecimal()):
            raise BadInput(f"{name}: {text[:40]!r} must be a whole number, 0 or more")
        changes[name] = int(text) if CHANGES[name] is int else text
    return changes


def wished(home: Home, asset: str, words: Sequence[str]) -> tuple[str, dict[str, Json]]:
    """Return the key of the node that `STAGE.NAME=VALUE` words are about, and the changes.

    Args:
        home: the workspace.
        asset: as `variant` takes it: made by that stage, or of what that stage made.
        words: all of one stage; without `STAGE.` that of the asset itself.

    Raises:
        BadInput: where a word is none, or the asset was not made from one node of that stage.
    """
    given, stages = {}, set()
    for word in words:
        field, equals, value = word.partition("=")
        stage, _, name = field.rpartition(".")
        if not equals:
            raise BadInput(f"--set {word[:40]!r}: write STAGE.NAME=VALUE, as in keyframe.seed=7")
        given[name] = value
        stages.add(stage)
    if len(stages) != 1:
        raise BadInput(f"--set {' '.join(words)[:80]!r}: change one stage at a time")
    changes = parse(given)
    return _source(Catalog(home.catalog, Store(home.store)).show(asset), *stages), changes


def _source(asset: Ancestor, stage: str) -> str:
    """Return the key of the one node of `stage` that an asset was made from."""
    nodes = {record.key: record.place.stage for record in asset.records()}
    if not stage:
        return next(iter(nodes))
    keys = [key for key, its in nodes.items() if its == stage]
    if not keys:
        raise BadInput(f"--set: {unknown('stage', stage, set(nodes.values()))}")
    if len(keys) > 1:
        several = ", ".join(key[:16] for key in keys)
        raise BadInput(f"it was made from {len(keys)} nodes of {stage}; give one: {several}")
    return keys[0]


def variant(
    home: Home,
    asset: str,
    changes: Mapping[str, Json],
    cancelled: Callable[[], bool] = lambda: False,
) -> Run:
    """Make the node of `asset` with `changes`, and anew all that its run made of it.

    Args:
        home: the workspace.
        asset: a file, or the beginning of a SHA-256 or a key.
        changes: new values of what `changes_of` lists.
        cancelled: asked between steps.

    Raises:
        BadInput: where the asset is unknown, or nothing of it can be changed so.
        Interrupted: where it was cancelled; what is finished is kept.
    """
    store, library = Store(home.store), Library.open(home)
    catalog = Catalog(home.catalog, store)
    record = store.record(catalog.key_of(asset))
    source = _run_of(home, record.key)
    first = _changed(record, changes, library, home)
    nodes = list(_follow(store, source, record.key, first))
    run = _begin(source, record, changes, nodes)
    name = str(source.parameters.get("profile", ""))
    profile = library.profiles.get(name) or library.profiles["mini"]
    studio = Studio(
        home, store, library.models, budget_gb=profile.budget_gb, offload=profile.offload,
        cancelled=cancelled,
    )  # fmt: skip
    with going_on(home.runs / run.id, store):
        write_run(home.runs, run)
        run = _make(run, nodes, studio)
        catalog.refresh(run)
        write_run(home.runs, run)
    if run.state == "interrupted":
        raise Interrupted("stopped; what was finished is kept")
    return run


def _run_of(home: Home, key: str) -> Run:
    """Return the newest run that has the node `key`."""
    for run in reversed(list(all_runs(home.runs))):
        if any(entry.key == key for entry in run.entries):
            return run
    raise BadInput(f"{key[:16]}: no run tells of it; `keyreel run` its campaign again")


def _changed(record: Record, changes: Mapping[str, Json], library: Library, home: Home) -> Node:
    """Return the node of a record with other params, checked as a plan checks them."""
    node, old = node_of(record), changes_of(record)
    if names := [name for name in changes if name not in old]:
        raise BadInput(
            f"{node.address}: {unknown('change', names[0], old)}"
            if old
            else f"{node.address}: nothing of it can be changed; try what it was made from"
        )
    if all(old[name] == value for name, value in changes.items()):
        raise BadInput(f"{node.address}: nothing is changed")
    name = str(record.notes.get("model", ""))
    if name not in library.models:
        raise BadInput(f"{node.address}: its model {name!r} is not known here any more")
    _check(changes, library.models[name], home)
    return _current(replace(node, params={**node.params, **changes}))


def _current(node: Node) -> Node:
    """Return a node whose stage still draws as it did: another version's pixels have other keys.

    Raises:
        BadInput: where it does not.
    """
    if node.version != STAGES[node.kind].version:
        raise BadInput(
            f"{node.address} was made by version {node.version} of {node.kind}, whose pixels "
            "differ from today's: run its campaign again, then try the change"
        )
    return node


def _check(changes: Mapping[str, Json], model: Model, home: Home) -> None:
    steps, seed = changes.get("steps", model.steps), changes.get("seed", 0)
    assert isinstance(steps, int)
    assert isinstance(seed, int)
    if not model.min_steps <= steps <= model.max_steps:
        raise BadInput(f"steps: {steps}; this model takes {model.min_steps} to {model.max_steps}")
    if not 0 <= seed <= MOST_SEED:
        raise BadInput(f"seed: {seed}; must be between 0 and {MOST_SEED}")
    if "prompt" in changes:
        if not (prompt := str(changes["prompt"]).strip()):
            raise BadInput("prompt: must not be empty")
        check_tokens(prompt, model, counter(folder_of(model, home)))


def _follow(store: Store, source: Run, key: str, first: Node) -> Iterator[Node]:
    """Yield the changed node, then all of its run that was made of it, each after its inputs."""
    yield first
    anew = {key: first.key}
    for entry in source.entries:  # in the order of work
        if entry.key in anew or not store.has(entry.key):
            continue
        node = node_of(store.record(entry.key))
        inputs = {
            port: NodeOutput(anew[at.key], at.port)
            if isinstance(at, NodeOutput) and at.key in anew
            else at
            for port, at in node.inputs.items()
        }
        if inputs != node.inputs:
            made = _current(replace(node, inputs=inputs))
            anew[entry.key] = made.key
            yield made


def _begin(source: Run, record: Record, changes: Mapping[str, Json], nodes: list[Node]) -> Run:
    shots = {node.address.shot for node in nodes}
    name = f"{source.campaign.removesuffix('-variants')}-variants"
    told = {word: value for word, value in source.parameters.items() if word != "approve"}
    return Run(
        id=new_id(name),
        campaign=name,
        title=source.title,
        state="running",
        started=now(),
        parameters={**told, "variant_of": record.key, "changes": dict(changes)},
        shots={shot: told for shot, told in source.shots.items() if shot in shots},
        entries=tuple(
            Entry(place=place_of(node.address), key=node.key, state="planned") for node in nodes
        ),
    )


def _make(run: Run, nodes: list[Node], studio: Studio) -> Run:
    """Make one node after the other; return the run as it ended."""
    entries, state = list(run.entries), "done"
    for number, node in enumerate(nodes):
        held = studio.has(node.key)
        try:
            with turn(STAGES[node.kind].lane, studio):
                for _, record in make(STAGES[node.kind], [node], studio, run=run.id):
                    told = {"state": "made", "key": record.key, "seconds": record.seconds}
                    entries[number] = entries[number].model_copy(update=told)
            if held:
                entries[number] = entries[number].model_copy(update={"state": "cached"})
        except Interrupted:
            state = "interrupted"
            break
        except KeyreelError as error:
            state = "failed"
            told = {"state": "failed", "error": str(error)}
            entries[number] = entries[number].model_copy(update=told)
            break
    return run.model_copy(update={"state": state, "finished": now(), "entries": tuple(entries)})
