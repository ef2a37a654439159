"""What holds of every plan, whatever the brief."""

from __future__ import annotations

import json
import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from catalogs.node import Node, NodeOutput, canonical
from configs.home import Home
from flows.plan import Plan
from tests.plan_data import Desk

pytestmark = pytest.mark.slow

few = settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.fixture(scope="module")
def desk(tmp_path_factory) -> Desk:
    return Desk(Home(tmp_path_factory.mktemp("plan") / "home"))


@st.composite
def briefs(draw):
    """Changes of the demo: other products, days, axes, deliveries, settings."""
    number = draw(st.integers(1, 3))
    kinds = draw(st.permutations(["口红", "香水", "咖啡杯", "手表"]))
    products = [
        {"id": f"p-{kinds[n].encode().hex()}", "name": kinds[n]}
        | ({"image": "brand/mug.jpg"} if draw(st.booleans()) else {})
        for n in range(number)
    ]
    matrix = {"product": "all", "day": draw(st.sampled_from(["all", ["mon"], ["tue", "sat"]]))}
    if draw(st.booleans()):
        matrix["size"] = draw(st.sampled_from([["s"], ["s", "l"], ["l", "m", "s"]]))
    return {
        "seed": draw(st.integers(0, 2**63 - 1)),
        "products": products,
        "matrix": matrix,
        "deliveries": draw(
            st.lists(
                st.sampled_from(["douyin", "bilibili", "instagram-square", "kuaishou"]),
                min_size=1,
                unique=True,
            )
        ),
        "prompt": {"template": "product-closeup", "language": draw(st.sampled_from(["zh", "en"]))},
        "settings": {"keyframe": {"steps": draw(st.integers(1, 20))}, "export.crf": 20},
        "overrides": [],
    }


def shuffled(value, rng: random.Random):
    """Return the same YAML with its keys, and the lists whose order means nothing, in another."""
    if isinstance(value, dict):
        keys = list(value)
        rng.shuffle(keys)
        return {key: shuffled(value[key], rng) for key in keys}
    if isinstance(value, list):
        return rng.sample([shuffled(item, rng) for item in value], len(value))
    return value


def keys(planned: Plan) -> dict[str, str]:
    return {str(address): key for address, key in planned.places.items()}


@given(brief=briefs())
@few
def test_plans_have_no_circles(desk: Desk, brief):
    """Every node's inputs come before it, and every address has a node."""
    planned = desk.plan(lambda base: base.update(brief))
    seen: set[str] = set()
    for node in planned.nodes.values():
        assert seen.issuperset(needs(node))
        seen.add(node.key)
    assert set(planned.places.values()) == seen


def needs(node: Node) -> set[str]:
    return {source.key for source in node.inputs.values() if isinstance(source, NodeOutput)}


@given(brief=briefs())
@few
def test_plans_are_repeated_exactly(desk: Desk, brief):
    """The same brief gives the same JSON, order included."""
    first, second = (desk.plan(lambda base: base.update(brief)).as_json() for _ in range(2))
    assert first == second
    assert list(first["places"]) == list(second["places"])


@given(brief=briefs(), rng=st.randoms(use_true_random=False))
@few
def test_the_order_of_the_yaml_does_not_count(desk: Desk, brief, rng):
    """Keys of any mapping, products, days, axis values, deliveries: in any order, the same keys."""
    plain = desk.plan(lambda base: base.update(brief))

    def mixed(base):
        base.update(brief)
        mixed = shuffled(base, rng)
        base.clear()
        base.update(mixed)

    assert keys(desk.plan(mixed)) == keys(plain)


@given(brief=briefs(), day=st.sampled_from(["wed", "thu", "sun"]))
@few
def test_a_day_inserted_changes_no_other(desk: Desk, brief, day):
    """The shots that were there keep all their keys."""
    brief["matrix"].pop("size", None)  # far ranks may meet: see configs/deck.py
    plain = keys(desk.plan(lambda base: base.update(brief)))
    days = brief["matrix"]["day"]
    more = brief["matrix"] | {"day": days if days == "all" else [*days, day]}
    assert (
        plain.items()
        <= keys(desk.plan(lambda base: base.update({**brief, "matrix": more}))).items()
    )


texts = st.text(st.characters(codec="utf-8"), max_size=20)
numbers = st.integers(-(2**63), 2**63 - 1) | st.floats(1e-4, 1e15)
values = st.recursive(
    st.none() | st.booleans() | numbers | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
)


@given(value=values)
def test_keys_can_be_computed_elsewhere(value):
    """Canonical JSON is what the standard library writes, so anyone can check a key."""
    plain = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert canonical(value) == plain.encode()
