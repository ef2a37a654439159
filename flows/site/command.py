"""`keyreel serve`, and the tokens and webhooks of the site."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from configs.home import Home

if TYPE_CHECKING:
    from flows.site.ledger import Ledger

PORT = 4300
token_app = typer.Typer(help="Who may come into the gallery site.", no_args_is_help=True)
webhook_app = typer.Typer(help="Who is told when a job of the site ends.", no_args_is_help=True)


def _home(context: typer.Context) -> Home:
    given = context.obj
    return Home.find(given if isinstance(given, Path) else None)


def _ledger(context: typer.Context) -> Ledger:
    from flows.site.ledger import Ledger

    return Ledger(_home(context))


def serve(
    context: typer.Context,
    port: Annotated[int, typer.Option(min=1, max=65535, help="To listen on.")] = PORT,
    host: Annotated[
        str, typer.Option(help="Address to listen on; beyond this machine, make a token first.")
    ] = "127.0.0.1",
) -> None:
    """Show runs and assets in a browser: search, compare, approve, try changes, take zips away."""
    from flows import screen
    from flows.site.serve import listen

    screen.say(f"Gallery site        http://{'localhost' if host == '127.0.0.1' else host}:{port}/")
    listen(_home(context), host, port)


@token_app.command("new")
def new_token(
    context: typer.Context,
    role: Annotated[str, typer.Option(help="viewer, reviewer or admin.")] = "viewer",
    name: Annotated[str, typer.Option(help="Whose it is: stands beside their verdicts.")] = "",
) -> None:
    """Make a token and print it: only its hash is kept, so it is never shown again."""
    from flows import screen
    from flows.site.tokens import issue

    screen.say(issue(_ledger(context), role, name))


@token_app.command("list")
def list_tokens(context: typer.Context) -> None:
    """List the tokens, without their secrets."""
    from flows import screen
    from flows.site.tokens import every

    rows = [(token.id, token.role, token.name, token.created) for token in every(_ledger(context))]
    screen.rows(("id", "role", "name", "made"), rows)


@token_app.command("revoke")
def revoke_token(
    context: typer.Context, token: Annotated[str, typer.Argument(help="Its id.")]
) -> None:
    """Take a token back: it and its sessions end at once."""
    from flows.site.tokens import revoke

    revoke(_ledger(context), token)


@webhook_app.command("add")
def add_webhook(
    context: typer.Context, url: Annotated[str, typer.Argument(help="Where letters go.")]
) -> None:
    """Send a signed letter to an address whenever a job ends; print the secret that signs it."""
    from flows import screen
    from flows.site.letters import add_hook

    screen.say(add_hook(_ledger(context), url))


@webhook_app.command("list")
def list_webhooks(context: typer.Context) -> None:
    """List the addresses."""
    from flows import screen
    from flows.site.letters import hooks

    screen.say("\n".join(hooks(_ledger(context))) or "No letters go anywhere.")


@webhook_app.command("remove")
def remove_webhook(context: typer.Context, url: str) -> None:
    """Send nothing more to an address."""
    from flows.site.letters import remove_hook

    remove_hook(_ledger(context), url)
