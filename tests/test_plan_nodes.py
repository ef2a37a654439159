"""From deliveries back to prompts: which nodes a campaign needs, and in which order."""

from __future__ import annotations

import pytest

from catalogs.node import Address, NodeOutput
from configs.errors import BadPlan
from configs.home import Home
from flows.nodes import unroll
from flows.plan import plan
from flows.wiring import wire
from tasks.stages import STAGES
from tests.plan_data import PINNED, Desk, after, shipped, with_facts


@pytest.fixture
def desk(tmp_path) -> Desk:
    return Desk(Home(tmp_path / "home"))


def wired(desk: Desk, **changes):
    """Return an edit that uses the shipped clip pipeline with some stages changed."""
    stages = {stage["id"]: stage for stage in shipped("pipelines/social-clip")["stages"]}
    for name, change in changes.items():
        stages[name] = stages[name] | {key.rstrip("_"): value for key, value in change.items()}
    desk.write("pipelines/mine", {"stages": list(stages.values())})
    return lambda brief: brief.update(pipeline="mine")


def count(planned, stage: str, product: str = "") -> int:
    return sum(
        node.kind == stage and node.address.shot.startswith(product)
        for node in planned.nodes.values()
    )


def test_inputs_come_before_what_needs_them(desk: Desk):
    """Order of work: every node's inputs stand before it, and stages do not mix."""
    seen: set[str] = set()
    stages: list[str] = []
    for key, node in desk.plan().nodes.items():
        needs = [i.key for i in node.inputs.values() if isinstance(i, NodeOutput)]
        assert seen.issuperset(needs)
        seen.add(key)
        if stages[-1:] != [node.kind]:
            stages.append(node.kind)
    assert sorted(stages) == sorted(set(stages))
    assert stages.index("keyframe") < stages.index("animate") < stages.index("export")
    assert stages[-1] == "sign"


def test_no_keyframe_beside_an_own_photo(desk: Desk):
    """What no delivery asks for is not planned."""
    planned = desk.plan()
    assert count(planned, "keyframe", "mug-01") == 0
    assert count(planned, "keyframe", "rouge-01") == 4
    assert count(planned, "animate", "mug-01") == 2


def test_a_pipeline_that_ignores_the_photo_draws_one(desk: Desk):
    """Which source counts is the pipeline's to say."""
    drawn = {"image": "keyframe.image", "prompt": "expand.motion"}
    edit = wired(desk, animate={"in": drawn}, watermark={"in": {"image": "keyframe.image"}})
    assert count(desk.plan(edit), "keyframe", "mug-01") == 4


def test_an_own_photo_s_clip_serves_all_shapes(desk: Desk):
    """A clip follows its photo's shape, so the aspects' nodes are one node with two places."""
    rows = shipped("models")
    sizes = {"portrait": ["288", "512"], "square": ["384", "384"], "landscape": ["640", "384"]}
    clip = {**rows["mini-clip"], "folder": "image", "sizes": sizes}
    desk.write(
        "models", {"mini-picture": {**rows["mini-picture"], "sizes": sizes}, "mini-clip": clip}
    )
    planned = desk.plan()
    shot = "mug-01/2026-03-02"
    shapes = [
        planned.places[Address("animate", shot, aspect)] for aspect in ("portrait", "landscape")
    ]
    assert shapes[0] == shapes[1]
    assert count(planned, "animate", "mug-01") == 2
    assert count(planned, "animate", "rouge-01") == 4


def test_models_take_turns_once(desk: Desk):
    """Shots that draw with another model come together, so each model is loaded once."""
    desk.write(
        "models",
        {
            "mini-clip": {**shipped("models")["mini-clip"], "folder": "image"},
            "other": shipped("models")["mini-picture"],
        },
    )
    week = lambda brief: brief.update(  # noqa: E731
        matrix={"product": ["rouge-01"]},
        overrides=[{"match": {"day": ["tue", "thu"]}, "set": {"keyframe.model": "other"}}],
    )
    prints = {**PINNED["fingerprints"], "other": "50" * 32}
    planned = plan(with_facts(desk.resolve(week), fingerprints=prints))
    models = [node.notes["model"] for node in planned.nodes.values() if node.kind == "keyframe"]
    assert models == ["mini-picture"] * 10 + ["other"] * 4


def test_a_branch_that_does_not_apply(desk: Desk):
    """Where a stage's `when` is false, optional inputs stay empty."""
    planned = desk.plan(wired(desk, watermark={"when": "day.weekday == 'mon'"}))
    exports = [node for node in planned.nodes.values() if node.kind == "export"]
    overlaid = {node.address.shot for node in exports if "overlay" in node.inputs}
    assert overlaid == {"rouge-01/2026-03-02", "mug-01/2026-03-02"}
    assert len(exports) == 12


def test_a_branch_by_delivery(desk: Desk):
    """A stage per delivery may ask which one it is made for."""
    planned = desk.plan(wired(desk, export={"when": "delivery.id in ['douyin', 'bilibili']"}))
    assert count(planned, "export") == 8


def test_an_input_that_no_branch_supplies(desk: Desk):
    """It is an error at plan time, with the pipeline's line, the shot and what was tried."""
    edit = wired(desk, keyframe={"when": "day.weekday == 'mon'"})
    message = (
        r"mine\.yaml:\d+: animate\.image: rouge-01/2026-03-06 has no product\.image nor "
        r"keyframe\.image"
    )
    with pytest.raises(BadPlan, match=message):
        desk.plan(edit)


@pytest.mark.parametrize(
    ("when", "message"),
    [
        ("day.weekdy == 'mon'", "did you mean 'weekday'"),
        ("delivery.id == 'douyin'", "'delivery' is undefined"),
        ("day.weekday ==", "unexpected"),
        ("'a' * 100000000 == 'b'", "repeats to more than 4000"),
        ("day.__class__.__mro__", "(not allowed|unsafe)"),
        ("1 / 0", "not allowed"),
    ],
)
def test_a_wrong_expression(desk: Desk, when: str, message: str):
    """An expression that cannot be worked out is told at its line."""
    with pytest.raises(BadPlan, match=rf"mine\.yaml:\d+: keyframe\.when: .*{message}"):
        desk.plan(wired(desk, keyframe={"when": when}))


def test_alike_exports_are_decided_alike(desk: Desk):
    """Asking every stage of the cpu lane anew gives the same plan as sharing what it decided."""
    resolved = desk.resolve()

    class Anew(dict):
        def __contains__(self, key):
            return False

    from flows import nodes, prompts

    steps = wire(resolved.pipeline, resolved.pipeline_marks, STAGES)
    written = prompts.write_prompts(resolved)
    loom = nodes._Loom(resolved, steps, written)
    loom.decided = Anew()
    for shot in resolved.shots:
        nodes._Walk(loom, shot).deliver()
    assert loom.places == unroll(resolved, steps, written)[1]


def test_no_two_shots_of_a_product_share_a_prompt(desk: Desk):
    """Scenes, lights and cameras are dealt without repetition."""
    planned = desk.plan(
        lambda brief: brief.update(
            calendar={"start": "2026-03-02", "days": "120"},
            matrix={"product": ["rouge-01"], "size": ["s", "l"]},
            overrides=[],
        )
    )
    pictures = [expanded.texts["picture"] for expanded in planned.prompts.values()]
    assert len(pictures) == len(set(pictures)) == 240


def test_too_few_words_for_the_shots(desk: Desk):
    """A brief that fixes every part cannot fill a week, and says so at its line."""
    fixed = dict.fromkeys(("subject", "action", "scene", "light", "style"), "口红")
    with pytest.raises(BadPlan, match=r"demo\.yaml:\d+: prompt\.template: .* would repeat one"):
        desk.plan(lambda brief: brief["prompt"].update(fixed))


def test_recorded_costs_replace_the_first_guess(desk: Desk):
    """Seconds come from what was recorded for the same stage and weights, else from models.yaml."""
    from flows.facts import Cost

    print_ = PINNED["fingerprints"]["mini-picture"]
    resolved = with_facts(desk.resolve(), costs={("keyframe", print_): Cost(10, 500)})
    row = next(row for row in plan(resolved).rows if row.stage == "keyframe")
    assert (row.seconds, row.bytes) == (40, 2000)
    done = after(plan(resolved), resolved)
    assert (done.gpu_seconds, done.cpu_seconds, done.bytes) == (0, 0, 0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"settings": {"keyframe.steps": "99"}}, r"demo\.yaml:\d+: .*keyframe\.steps: 99 is above"),
        ({"settings": {"animate": {"seconds": 50}}}, r"demo\.yaml:\d+: .*animate\.seconds: 50"),
        ({"deliveries": ["xiaohongshu-note"]}, r"social-clip\.yaml:\d+: .*is a still"),
        ({"products": [{"id": "x", "name": "反应堆"}]}, r"demo\.yaml:\d+: x/2026-03-02: .*反应堆"),
    ],
)
def test_what_a_stage_refuses_has_a_line(desk: Desk, change, message):
    """A stage's complaint is told at the line that set the value, or at the stage's own."""
    with pytest.raises(BadPlan, match=message):
        desk.plan(lambda brief: brief.update({"overrides": [], "matrix": {}, **change}))
