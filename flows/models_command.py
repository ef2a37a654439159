"""`keyreel models`: which weights are here, fetching them, and whether they are whole."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from configs.errors import BadInput, KeyreelError
from configs.home import Home

models_app = typer.Typer(help="List, fetch, check and load models.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="A row of models.yaml; `keyreel models list` has them.")]


def _home(context: typer.Context) -> Home:
    given = context.obj
    return Home.find(given if isinstance(given, Path) else None)


@models_app.command("list")
def list_models(context: typer.Context) -> None:
    """Show every model: is it here, how large, its licence, and which profile draws with it."""
    from flows import screen
    from flows.models import shelf

    rows = [
        (
            one.name,
            "here" if one.there else "-",
            f"{one.bytes / 1e9:.2f}" if one.bytes else "",
            one.licence,
            " ".join(one.profiles),
            one.text,
        )
        for one in shelf(_home(context))
    ]
    screen.rows(("model", "is", "GB", "licence", "profiles", "where, or how to get it"), rows)


@models_app.command()
def verify(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="One model; else all that are here.")] = "",
) -> None:
    """Check keys, shapes and lengths, and every byte of what was fetched."""
    from flows import models, screen

    home = _home(context)
    names = [name] if name else [one.name for one in models.shelf(home) if one.there]
    worst = 0
    for each in names:
        try:
            screen.say(f"ok   {each}: {models.verify(home, each)}")
        except KeyreelError as error:
            if name:
                raise
            screen.say(f"BAD  {each}: {error}")
            worst = error.exit_code
    raise typer.Exit(worst)


@models_app.command()
def fetch(
    context: typer.Context,
    name: Name,
    endpoint: Annotated[
        str, typer.Option(help="`modelscope`, or the https:// address of a mirror.")
    ] = "",
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Download a model; says its size and licence first. Goes on where an earlier one ended."""
    from flows import screen
    from flows.fetch import accept, offer
    from flows.models import named

    home = _home(context)
    offered = offer(home, name, named(home, name), endpoint)
    if not offered.wanted:
        screen.say(f"{name} is here already, as published: {offered.folder}")
        return
    source = offered.source
    screen.say(
        f"{source.repo} at {'master' if offered.hub.modelscope else source.revision[:12]}, "
        f"licence {source.licence}\n"
        f"{len(offered.wanted)} files, {offered.bytes / 1e9:.2f} GB, into {offered.folder}"
    )
    if not yes and not _agreed():
        raise typer.Exit(1)
    accept(offered)
    screen.say(f"{name} is here, every byte as published: {offered.folder}")


def _agreed() -> bool:
    if not sys.stdin.isatty():
        raise BadInput("nobody is here to ask: say --yes to download it")
    return typer.confirm("Download it?")


@models_app.command()
def warm(
    context: typer.Context,
    profile: Annotated[str, typer.Option(help="mini, 12gb, 24gb, 40gb or 80gb.")] = "auto",
) -> None:
    """Load a profile's models once, and say how long that takes."""
    from flows import models, screen

    for one in models.warm(_home(context), profile):
        screen.say(
            f"{one.name}: {one.bytes / 1e9:.2f} GB in {one.seconds:.1f} s, {one.rate:.2f} GB/s"
        )
