"""JSON Schemas of the YAML files, so that an editor completes, explains and checks while you type.

The loader's word is final: it also knows what a schema cannot say, such as a home's own names.
"""

from __future__ import annotations

import ast
import json
from copy import deepcopy
from functools import cache
from inspect import cleandoc, getsource
from itertools import pairwise
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter
from pydantic.json_schema import GenerateJsonSchema

from configs.base import Declaration, Slug
from configs.campaign import Campaign
from configs.delivery import Delivery
from configs.home import Home
from configs.layers import KINDS
from configs.library import Library
from configs.model import Model, Profile
from configs.notice import Notices
from configs.pipeline import Pipeline
from configs.prompt import Template
from configs.settings import Settings

Schema = dict[str, Any]


def write_schemas(folder: Path) -> list[Path]:
    """Write `NAME.schema.json` for each kind of file; the names offered are those of the home.

    Args:
        folder: the home's root, where its files' `$schema` comments point to.
    """
    library = Library.open(Home(folder))
    made = {
        "campaign": _named(_with_settings(_schema(Campaign)), library),
        "pipeline": _schema(Pipeline),
        "models": _schema(dict[Slug, Model]),
        "profiles": _with_settings(_schema(dict[Slug, Profile])),
        "deliveries": _schema(dict[Slug, Delivery]),
        "prompt": _schema(Template),
        "notify": _schema(Notices),
    }
    return [_write(folder / f"{name}.schema.json", schema) for name, schema in made.items()]


class _Explained(GenerateJsonSchema):
    """Explains each field by the docstring beneath it.

    Pydantic would read them too, but whenever a class is made: 0.3 s before every command.
    """

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ANN401  (pydantic's own)
        """Leave out titles made from field names: they say nothing the name doesn't."""
        return False

    def model_schema(self, schema: Any) -> Schema:  # noqa: ANN401
        """Return the schema of one class."""
        made = super().model_schema(schema)
        for kind in schema["cls"].__mro__:
            if issubclass(kind, Declaration):
                for name, words in _beneath(kind).items():
                    field = schema["cls"].model_fields[name]
                    made["properties"][field.alias or name].setdefault("description", words)
        return made


@cache
def _beneath(kind: type[Declaration]) -> dict[str, str]:
    """Return the docstring beneath each field that has one."""
    (declared,) = ast.parse(getsource(kind)).body
    assert isinstance(declared, ast.ClassDef)
    return {
        field.target.id: cleandoc(after.value.value)
        for field, after in pairwise(declared.body)
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)
        if isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant)
        if isinstance(after.value.value, str)
    }


def _schema(kind: Any) -> Schema:  # noqa: ANN401  (a class, or a mapping of them)
    return deepcopy(_generated(kind))


@cache
def _generated(kind: Any) -> Schema:  # noqa: ANN401
    """Return what is generated once for all homes of a process."""
    return TypeAdapter(kind).json_schema(schema_generator=_Explained)


def _write(path: Path, schema: Schema) -> Path:
    whole = {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}
    path.write_text(json.dumps(whole, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return path


def _with_settings(schema: Schema) -> Schema:
    """Say what the free mappings of settings may hold, nested and dotted."""
    settings = _schema(Settings)
    stages = settings["$defs"]
    definitions = schema.setdefault("$defs", {})
    definitions |= stages
    dotted = {
        f"{kind}.{name}": field
        for kind in settings["properties"]
        for name, field in stages[KINDS[kind].__name__]["properties"].items()
    }
    free = {"properties": settings["properties"] | dotted}
    for owner, key, allowed in (
        (schema, "settings", free),
        (definitions.get("Override"), "set", free),
        (definitions.get("Profile"), "settings", free),
        (definitions.get("Brand"), "watermark", {"$ref": "#/$defs/Watermark"}),
    ):
        if owner and key in owner.get("properties", ()):
            owner["properties"][key] = owner["properties"][key] | allowed
    return schema


def _named(schema: Schema, library: Library) -> Schema:
    """Offer the library's names where a campaign asks for one."""
    fields = schema["properties"]
    fields["pipeline"]["examples"] = sorted(library.pipelines)
    fields["profile"]["examples"] = ["auto", *library.profiles]
    fields["deliveries"]["items"]["examples"] = list(library.deliveries)
    schema["$defs"]["Prompt"]["properties"]["template"]["examples"] = library.templates()
    return schema
