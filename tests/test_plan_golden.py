"""The demo's whole plan, as a file: a change of the graph shows as a diff that people review.

After a change that is meant: `KEYREEL_GOLDEN=write pytest tests/test_plan_golden.py`, and read the
diff.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path

from configs.home import Home
from tests.plan_data import Desk

GOLDEN = Path(__file__).parent / "golden" / "demo-plan.json"
OPEN = 4
"""Levels of the JSON that get a line for each entry; what lies deeper stays on one line."""


def told(value: object, level: int = 0) -> Iterator[str]:
    """Yield lines of JSON, opened to a depth at which a diff can be read."""
    pad = " " * level
    if level == OPEN or not value or not isinstance(value, dict | list):
        yield json.dumps(value, ensure_ascii=False)
        return
    pairs = value.items() if isinstance(value, dict) else ((None, item) for item in value)
    brackets = "{}" if isinstance(value, dict) else "[]"
    yield f"{brackets[0]}\n"
    for number, (name, item) in enumerate(pairs):
        yield ",\n" * bool(number) + pad + " " + (f"{json.dumps(name)}: " if name else "")
        yield from told(item, level + 1)
    yield f"\n{pad}{brackets[1]}"


def test_the_demo_s_plan(tmp_path):
    """Nodes, order, recipes, places, prompts and estimate of the demo are the reviewed ones."""
    plan = Desk(Home(tmp_path / "home")).plan().as_json()
    text = re.sub(r"\b([0-9a-f]{8})[0-9a-f]{56}\b", r"\1", "".join(told(plan))) + "\n"
    assert json.loads(text)
    if os.environ.get("KEYREEL_GOLDEN") == "write":
        GOLDEN.write_text(text, "utf-8")
    assert text == GOLDEN.read_text("utf-8")
