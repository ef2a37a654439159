from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from catalogs.node import Address, Node
from configs.settings import Settings
from tasks.expand import STAGE
from tasks.stage import Cell, Decision
from tests.expand_data import DEMO, LIPSTICK, expand


def decided(day: str = "2026-03-02", **given: Any) -> Decision:
    return STAGE.decide(
        Cell(
            campaign=DEMO,
            product=LIPSTICK,
            shot=f"rouge-01/{day}",
            seed=7,
            settings=Settings(),
            texts=expand(day, **given).said(),
            pictures={},
            inputs={},
        )
    )


def node(decision: Decision) -> Node:
    return Node(Address("expand", "rouge-01/2026-03-02"), "expand", STAGE.version, decision.params)


def test_the_stage_gives_texts_and_takes_nothing():
    """Its lane is the plan's: what it gives is known before anything runs."""
    assert (STAGE.id, STAGE.lane, dict(STAGE.takes)) == ("expand", "plan", {})
    assert dict(STAGE.gives) == {"picture": "text", "motion": "text", "footage": "text"}
    assert not decided().uses_model


def test_the_key_is_over_the_words_not_over_where_they_came_from():
    """Equal words and intent are one node; another day's are another."""
    assert node(decided()).key == node(decided()).key
    assert node(decided()).key != node(decided("2026-03-06")).key


def test_the_prompts_and_the_intent_are_written_down(tmp_path: Path):
    """As one small JSON file, the same bytes every time."""
    one = node(decided("2026-03-03", prompt={"text": "元宵快乐"}))
    made = list(STAGE.run([one], None, tmp_path))  # type: ignore[arg-type]  # needs no studio
    assert [item.node for item in made] == [one]
    draft = made[0].drafts["prompt"]
    assert (draft.kind, draft.mime) == ("text", "application/json")
    row = json.loads(draft.path.read_text("utf-8"))
    assert row["picture"].startswith(row["intent"]["subject"])
    assert row["intent"]["festival"] == "元宵节"
    assert row["intent"]["text"] == "元宵快乐"
    assert row["intent"]["words"]["backdrop"] == "orange"
    before = draft.path.read_bytes()
    list(STAGE.run([one], None, tmp_path))  # type: ignore[arg-type]
    assert draft.path.read_bytes() == before
