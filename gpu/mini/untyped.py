"""A name for objects of libraries that publish no types (diffusers, transformers, cupy)."""

from typing import Any, TypeAlias

Untyped: TypeAlias = Any
