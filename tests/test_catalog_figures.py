"""Every benchmark's figures have one form, and one page shows them."""

from __future__ import annotations

import json

import pytest

from benchmarks import figures, report
from benchmarks.figures import Figure, at_least, at_most


@pytest.fixture
def results(tmp_path, monkeypatch):
    monkeypatch.setattr(figures, "RESULTS", tmp_path / "results")
    monkeypatch.setattr(report, "RESULTS", tmp_path / "results")
    return tmp_path


def test_a_bar_is_met_or_not():
    """At most and at least include the bar itself."""
    assert [at_most("m", value, "s", 2).met for value in (1.9, 2, 2.1)] == [True, True, False]
    assert [at_least("m", value, "x", 2).met for value in (1.9, 2, 2.1)] == [False, True, True]


def test_results_tell_the_machine(results):
    """A result says which processor, with AMX or without, which device and which versions."""
    told = json.loads(figures.write("x", [at_most("m", 1, "s", 2)]).read_text(encoding="utf-8"))
    assert set(told["machine"]) == {"cpu", "cores", "memory_gb", "amx"}
    assert set(told) == {"machine", "device", "date", "versions", "figures"}
    assert told["figures"] == [
        {"metric": "m", "value": 1, "unit": "s", "bar": "<= 2", "met": True, "note": ""}
    ]


def test_the_page_has_a_table_a_benchmark(results):
    """A missed bar stands out; a bar in a note does not break the table."""
    figures.write("speed", [at_most("wall", 3.14159, "s", 3), Figure("size", 5, "MB", note="a|b")])
    report.main(results / "RESULTS.md")
    page = (results / "RESULTS.md").read_text(encoding="utf-8")
    assert "## speed" in page
    assert "| wall | 3.142 s | <= 3 | **no** |  |" in page
    assert "| size | 5 MB |  |  | a\\|b |" in page
