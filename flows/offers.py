"""What a form's drop-downs offer: the names that are known when deployments are registered."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import Field, GetJsonSchemaHandler
from pydantic_core import CoreSchema

from configs.errors import KeyreelError
from configs.home import Home
from configs.library import Library

PICTURES = (".jpg", ".jpeg", ".png", ".webp")


@dataclass(frozen=True, slots=True)
class Offers:
    """A drop-down of names, in a field's annotation; where there is no home, a plain text box.

    It stands in the form's schema alone: what a field takes is the flow's to say, in words.
    """

    names: Callable[[Home], Iterable[str]]
    first: tuple[str, ...] = ()
    """Offered before them."""

    def __get_pydantic_json_schema__(
        self, core: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        schema = handler(core)
        names = [*self.first, *self.known()]
        return {**schema, "enum": names} if len(names) > len(self.first) else schema

    def known(self) -> list[str]:
        """Return the names; none where no home is found, or a file of its own is wrong."""
        try:
            return list(self.names(Home.find()))
        except KeyreelError:
            return []


class Blank:
    """A field that may stay empty: Prefect's forms show a null beside its type as two tabs."""

    def __get_pydantic_json_schema__(
        self, core: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        schema = handler(core)
        return next(one for one in schema["anyOf"] if one != {"type": "null"})


def titled(title: str) -> Any:  # noqa: ANN401  (pydantic's own)
    """Return what gives a flow's parameter a title for people: else it has its name in code."""
    return Field(json_schema_extra={"title": title})


def campaigns(home: Home) -> list[str]:
    """Return the names of the home's campaigns."""
    return sorted(file.stem for file in home.campaigns.glob("*.yaml"))


def pictures(home: Home) -> list[str]:
    """Return the home's own pictures, as a campaign names them."""
    return sorted(
        file.relative_to(home.root).as_posix()
        for file in (home.root / "brand").rglob("*")
        if file.suffix.lower() in PICTURES and file.is_file()
    )


def models(*makes: str) -> Callable[[Home], list[str]]:
    """Return what lists the models that make a `picture`, `clip` or `text-clip`, on this disk."""

    def there(home: Home) -> list[str]:
        from flows.models import shelf  # it needs what loads weights

        return [row.name for row in shelf(home) if row.makes in makes and row.there]

    return there


def profiles(home: Home) -> list[str]:
    """Return the names of the profiles."""
    return ["auto", *Library.open(home).profiles]


Campaign = Annotated[str, Offers(campaigns), titled("Campaign")]
Folder = Annotated[str | None, Blank(), titled("Home")]
FirstDay = Annotated[dt.date | None, Blank(), titled("First day")]
Machine = Annotated[Annotated[str, Offers(profiles)] | None, Blank(), titled("Machine")]
Chance = Annotated[int | None, Blank(), titled("Seed")]
