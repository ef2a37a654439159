"""The page of models says what the rows say."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from benchmarks.fit import Ran, figures
from benchmarks.models_table import measured, text
from configs.home import Home
from configs.library import Library

PAGE = Path(__file__).parent.parent / "docs" / "models.md"


def test_the_page_is_current(tmp_path):
    """`python -m benchmarks.models_table > docs/models.md` renews it."""
    assert PAGE.read_text("utf-8") == text(Library.open(Home(tmp_path)))


def test_every_profile_and_model_has_its_line(tmp_path):
    """With the sizes in the columns of their aspects."""
    library = Library.open(Home(tmp_path))
    lines = [[cell.strip() for cell in line.split("|")[1:-1]]
             for line in PAGE.read_text("utf-8").splitlines() if line.startswith("|")]  # fmt: skip
    rows = {line[0].strip("`"): line[1:] for line in lines}
    assert rows.keys() >= library.profiles.keys() | library.models.keys()
    assert rows["80gb"][1:] == ["z-image-turbo", "wan2.2-i2v-a14b", "wan2.2-ti2v-5b-text"]
    assert rows["model"][1:4] == ["portrait", "square", "landscape"]
    for name, model in library.models.items():
        sizes = [f"{w}x{h}" for w, h in map(model.sizes.get, rows["model"][1:4])]
        assert rows[name][1:4] == sizes


def test_what_a_card_measured_is_a_row_a_model():
    """A column a cap; how the weights lay, what memory ran out of, and what does not run."""
    rans = [
        Ran((12, 16), "12gb", "m", "64x64", "offload group", step=0.25, seconds=2, peak=9.1),
        Ran((80,), "80gb", "m", "64x64", "offload none -> offload model: out of memory", step=3),
        Ran((12,), "12gb", "n", "64x64", "offload group", error="does not fit"),
    ]
    told = [asdict(one) for ran in rans for one in figures(ran)]
    *_, columns, _, first, second = measured({"device": "a card", "figures": told})
    assert columns == "| measured | 12 GB | 16 GB | 80 GB |"
    layers = "0.25 s, 9.1 GB, by layers"
    late = "3 s, 0.0 GB, by networks, after it ran out of memory"
    assert first == f"| m 64x64 | {layers} | {layers} | {late} |"
    assert second == "| n 64x64 | does not run | - | - |"
