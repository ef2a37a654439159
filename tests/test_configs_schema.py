"""The JSON Schemas for editors: they are current, and every shipped file keeps to them."""

from __future__ import annotations

import json
import re
from pathlib import Path

import jsonschema
import pytest

import configs
from configs.marks import read
from configs.schema import write_schemas

FOLDER = Path(configs.__file__).parent
FILES = sorted(
    file
    for file in [*FOLDER.glob("*.yaml"), *FOLDER.glob("*/*.yaml")]
    if "$schema=" in file.read_text("utf-8")
)


@pytest.fixture(scope="module")
def schemas(tmp_path_factory):
    """Freshly written ones, by file name."""
    paths = write_schemas(tmp_path_factory.mktemp("schemas"))
    return {path.name: json.loads(path.read_text("utf-8")) for path in paths}


def without_examples(schema):
    """Return a schema without the names it offers: a new template is no new schema."""
    if isinstance(schema, dict):
        return {k: without_examples(v) for k, v in schema.items() if k != "examples"}
    return [without_examples(v) for v in schema] if isinstance(schema, list) else schema


def accepts(schema, value):
    """Return whether a schema accepts a value."""
    return jsonschema.Draft202012Validator(schema).is_valid(value)


def test_one_for_each_kind_of_file(schemas):
    """Seven."""
    assert {name.partition(".")[0] for name in schemas} == {
        "campaign",
        "pipeline",
        "models",
        "profiles",
        "deliveries",
        "prompt",
        "notify",
    }


def test_the_committed_ones_are_current(schemas):
    """`write_schemas(Path("configs"))` renews them."""
    for name, schema in schemas.items():
        committed = json.loads((FOLDER / name).read_text("utf-8"))
        assert without_examples(committed) == without_examples(schema), name


@pytest.mark.parametrize("file", FILES, ids=lambda file: f"{file.parent.name}/{file.name}")
def test_every_shipped_file_keeps_to_the_schema_it_names(file):
    """The comment on its first line points to a schema that accepts it."""
    named = re.search(r"\$schema=(\S+)", file.read_text("utf-8"))
    schema = json.loads((file.parent / named[1]).read_text("utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(read(file).root.value, schema)


def test_campaigns_pipelines_and_rows_name_their_schema():
    """So that an editor finds it."""
    expected = {"campaigns", "pipelines", "configs"}
    assert expected <= {file.parent.name for file in FILES}


@pytest.mark.parametrize(
    ("settings", "fits"),
    [
        ({"animate.motion": "orbit-left"}, True),
        ({"animate": {"motion": "orbit-left"}}, True),
        ({"animate.motion": "orbit-lft"}, False),
        ({"animate": {"motoin": "static"}}, False),
        ({"export.crf": 99}, False),
    ],
)
def test_settings_are_checked_dotted_and_nested(schemas, settings, fits):
    """In a campaign's settings and in an override's."""
    demo = read(FOLDER / "campaigns" / "demo.yaml").root.value
    override = {"match": {}, "set": settings}
    assert accepts(schemas["campaign.schema.json"], {**demo, "settings": settings}) is fits
    assert accepts(schemas["campaign.schema.json"], {**demo, "overrides": [override]}) is fits


def test_the_names_an_editor_offers_are_the_homes(tmp_path):
    """Its own pipelines among them."""
    (tmp_path / "pipelines").mkdir()
    (tmp_path / "pipelines" / "own.yaml").write_text("stages: [{id: expand}]")
    write_schemas(tmp_path)
    fields = json.loads((tmp_path / "campaign.schema.json").read_text("utf-8"))["properties"]
    assert fields["pipeline"]["examples"] == ["own", "social-clip", "social-still", "text-clip"]
    assert "douyin" in fields["deliveries"]["items"]["examples"]


def test_fields_are_explained(schemas):
    """By the sentence beneath the field in the code."""
    start = schemas["campaign.schema.json"]["$defs"]["Calendar"]["properties"]["start"]
    assert start["description"].startswith("A date, or `next-monday`")
