"""Language models are asked while a campaign is resolved; the plan holds what came of it."""

from __future__ import annotations

import pytest

from configs.errors import BadInput
from configs.home import Home
from flows.plan import plan
from tests.plan_data import Desk
from tests.test_expand_endpoint import Server, server, writes  # noqa: F401 (server is a fixture)


@pytest.fixture
def desk(tmp_path) -> Desk:
    """The demo, one product, drawn with models that know more than the small ones' words."""
    desk = Desk(Home(tmp_path / "home"))
    for folder in ("z-image-turbo", "wan2.2-ti2v-5b"):
        weights = desk.home.root / "models" / folder / "weights.bin"
        weights.parent.mkdir(parents=True)
        weights.write_bytes(b"weights")
    row = {"device": "cpu", "picture": "z-image-turbo", "clip": "wan2.2-ti2v-5b", "budget_gb": "1"}
    desk.write("profiles", {"large": row})
    desk.brief.update(
        matrix={"product": ["rouge-01"], "day": ["mon", "fri"]},
        settings={"expand.expander": "endpoint"},
    )
    return desk


@pytest.fixture
def endpoint(server: Server, monkeypatch):  # noqa: F811
    server.script = [writes]
    for name, value in server.environment().items():
        monkeypatch.setenv(name, value)
    return server


def prompts(planned, stage):
    return [node.params["prompt"] for node in planned.nodes.values() if node.kind == stage]


def test_prompts_are_written_out_more_fully(desk: Desk, endpoint: Server):
    """Pictures and clips are made from the language model's words, which are part of the key."""
    plain = plan(desk.found(lambda brief: brief.pop("settings"), profile="large"))
    written = plan(desk.found(profile="large"))
    for stage in ("keyframe", "animate"):
        assert all("背景层次自然" in text for text in prompts(written, stage))
        assert not any("背景层次自然" in text for text in prompts(plain, stage))
    drawn = {key for key, node in plain.nodes.items() if node.kind in ("keyframe", "animate")}
    assert not drawn & set(written.nodes)


def test_a_model_is_asked_once(desk: Desk, endpoint: Server):
    """The same campaign resolved again asks nobody and plans the same."""
    first = plan(desk.found(profile="large"))
    asked = len(endpoint.asked)
    assert asked == 4
    again = plan(desk.found(profile="large"))
    assert len(endpoint.asked) == asked
    assert list(again.nodes) == list(first.nodes)


def test_nobody_to_ask_is_one_error(desk: Desk, monkeypatch):
    """Without an endpoint in the environment the campaign is refused before any work."""
    monkeypatch.delenv("KEYREEL_LLM_URL", raising=False)
    with pytest.raises(BadInput, match="KEYREEL_LLM_URL"):
        desk.found(profile="large")
