"""The `keyreel` command: a thin shell over the library, which can do all that it can."""

from __future__ import annotations

import datetime as dt
import errno
import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from configs.errors import BadInput, KeyreelError
from configs.home import Home
from flows.approve_command import approve
from flows.models_command import models_app
from flows.provenance_command import keys_app, verify
from flows.site.command import serve, token_app, webhook_app
from flows.up_command import up

app = typer.Typer(
    help="A campaign file becomes a week of on-brand pictures and clips.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
catalog_app = typer.Typer(help="Look after the catalog.", no_args_is_help=True)
app.add_typer(catalog_app, name="catalog")
app.add_typer(models_app, name="models")
app.add_typer(keys_app, name="keys")
app.add_typer(token_app, name="token")
app.add_typer(webhook_app, name="webhook")
app.command()(verify)
app.command()(serve)
app.command()(up)
app.command()(approve)

Name = Annotated[str, typer.Argument(help="A file in the home's campaigns/, without its .yaml.")]
Start = Annotated[
    dt.datetime | None,
    typer.Option(formats=["%Y-%m-%d"], help="First day, in place of the campaign's own."),
]
Profile = Annotated[str | None, typer.Option(help="mini, 12gb, 24gb, 40gb or 80gb.")]
Seed = Annotated[int | None, typer.Option(min=0, help="In place of the campaign's own seed.")]
Asset = Annotated[
    str, typer.Argument(help="A delivered file, or the start of an asset's hash or a node's key.")
]


@app.callback()
def _common(
    context: typer.Context,
    home: Annotated[
        Path | None,
        typer.Option(envvar="KEYREEL_HOME", help="The workspace; else the one you stand in."),
    ] = None,
) -> None:
    context.obj = home


def home_of(context: typer.Context) -> Home:
    """Return the home that this command works in."""
    return Home.find(context.obj)


@app.command()
def init(
    folder: Annotated[Path, typer.Argument(help="A new or existing folder.")],
    demo: Annotated[bool, typer.Option("--demo", help="With the demo campaign in it.")] = False,
) -> None:
    """Make a home: folders, a commented campaign to edit, schemas for your editor."""
    from flows import screen

    screen.initialised(Home.create(folder, demo=demo))


@app.command()
def plan(
    context: typer.Context,
    campaign: Name,
    start: Start = None,
    profile: Profile = None,
    seed: Seed = None,
    explain: Annotated[
        tuple[str, str] | None,
        typer.Option(metavar="SHOT FIELD", help="Say which layer set a value of a shot."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Every node, for programs.")] = False,
) -> None:
    """Show what a run would make, why, how long it takes and how much disk; spends nothing."""
    from flows import screen
    from flows.budget import check_budget
    from flows.explain import explain as explained
    from flows.plan import prepare

    resolved, planned = prepare(
        home_of(context), campaign, start=_day(start), profile=profile, seed=seed
    )
    if explain:
        screen.say(explained(resolved, *explain))
    elif as_json:
        screen.print_json(planned.as_json())
    else:
        screen.plan(planned)
        check_budget(planned, resolved.loaded.source)


@app.command()
def run(
    context: typer.Context,
    campaign: Name,
    start: Start = None,
    profile: Profile = None,
    seed: Seed = None,
) -> None:
    """Make every delivery that is not made yet."""
    from flows import start as starting

    raise typer.Exit(starting.run(home_of(context), campaign, _day(start), profile, seed))


@app.command()
def show(context: typer.Context, asset: Asset) -> None:
    """Print the recipe of an asset and what it was made from."""
    from catalogs.catalog import Catalog
    from catalogs.store import Store
    from flows import screen

    home = home_of(context)
    screen.ancestry(Catalog(home.catalog, Store(home.store)).show(asset))


@app.command()
def query(context: typer.Context, sql: Annotated[str, typer.Argument(help="One SELECT.")]) -> None:
    """Ask the catalog; it is opened read-only, with no access to other files or the network."""
    from catalogs.catalog import Catalog
    from catalogs.store import Store
    from flows import screen

    home = home_of(context)
    screen.rows(*Catalog(home.catalog, Store(home.store)).query(sql))


@app.command()
def rerun(
    context: typer.Context,
    asset: Asset,
    changes: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="STAGE.NAME=VALUE",
            help="Try a change of what it was made of"
            ": prompt, negative, seed or steps. Repeat it for several.",
        ),
    ] = None,
) -> None:
    """Make an asset again from its recipe and say whether its bytes are the same."""
    from flows import screen
    from flows.rerun import rerun as again
    from flows.signals import stop_on_signals
    from flows.variant import variant, wished

    home = home_of(context)
    if not changes:
        raise typer.Exit(screen.reran(again(home, asset)))
    with stop_on_signals() as stop:
        run = variant(home, *wished(home, asset, changes), stop)
    raise typer.Exit(screen.tried(home, run))


@app.command()
def package(
    context: typer.Context,
    campaign: Name,
    out: Annotated[Path | None, typer.Option(help="In place of the home's packages/.")] = None,
) -> None:
    """Zip each platform's finished files with captions, manifest and publish calendar."""
    from flows import screen
    from flows.package import package as pack

    raise typer.Exit(screen.packed(pack(home_of(context), campaign, out)))


@app.command()
def gc(
    context: typer.Context,
    yes: Annotated[bool, typer.Option("--yes", help="Delete; without it, only show.")] = False,
) -> None:
    """Show, or delete, what no campaign's latest run uses."""
    from flows import screen
    from flows.upkeep import collect

    screen.collected(collect(home_of(context), delete=yes), deleted=yes)


@app.command()
def doctor(context: typer.Context) -> None:
    """Check device, memory, models, encoder, fonts, server, catalog and disk."""
    from flows import screen
    from flows.doctor import examine

    raise typer.Exit(screen.findings(examine(home_of(context))))


@app.command()
def schema(
    folder: Annotated[Path, typer.Argument(help="Where the JSON Schemas go.")] = Path(),
) -> None:
    """Write the JSON Schemas with which an editor checks and completes the YAML."""
    from configs.schema import write_schemas
    from flows import screen

    screen.say("\n".join(str(path) for path in write_schemas(folder)))


@catalog_app.command()
def rebuild(context: typer.Context) -> None:
    """Build the catalog anew from the records and runs on disk."""
    from flows import screen
    from flows.upkeep import rebuild_catalog

    screen.say(f"The catalog holds {rebuild_catalog(home_of(context))} nodes.")


def _day(moment: dt.datetime | None) -> dt.date | None:
    return moment.date() if moment else None


def main() -> None:
    """Run the command; an error is one sentence and an exit code, never a traceback."""
    try:
        sys.exit(app(standalone_mode=False))  # what a command raised as typer.Exit, or None
    except (typer.Abort, KeyboardInterrupt):
        sys.exit(130)
    except KeyreelError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except OSError as error:
        _disk_or_bug(error)
    except Exception as error:
        _usage_or_bug(error)


def _disk_or_bug(error: OSError) -> None:
    """End on a disk that is full or may not be written to, or on a bug of ours."""
    advice = {
        errno.ENOSPC: "free some space or run `keyreel gc`, then run again",
        errno.EDQUOT: "free some space or run `keyreel gc`, then run again",
        errno.EROFS: "keyreel writes into its home: give one that can be written to",
        errno.EACCES: "keyreel writes into its home: give one that can be written to",
    }
    if error.errno is None or error.errno not in advice:
        return _usage_or_bug(error)
    place = error.filename2 or error.filename or "the home"
    print(f"error: {place}: {error.strerror}; {advice[error.errno]}", file=sys.stderr)
    sys.exit(KeyreelError.exit_code)


def _usage_or_bug(error: Exception) -> None:
    """End on a wrong word of the command line, or on a bug of ours, in one sentence."""
    if hasattr(error, "format_message"):
        print(f"error: {error.format_message()}", file=sys.stderr)
        sys.exit(BadInput.exit_code)
    if "KEYREEL_TRACE" in os.environ:
        raise error
    print(
        f"error: this is a bug in keyreel: {type(error).__name__}: {error}\n"
        "Set KEYREEL_TRACE=1 to see where, and please report it.",
        file=sys.stderr,
    )
    sys.exit(KeyreelError.exit_code)
