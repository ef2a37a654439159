"""`keyreel keys` and `keyreel verify`: what proves where files come from."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Annotated

import typer

from configs.errors import BadFile, BadInput
from configs.home import Home

keys_app = typer.Typer(help="Certificates to sign deliveries with.", no_args_is_help=True)


@keys_app.callback()
def _keys() -> None:
    """Keep `new` a word of its own, though it is the only one."""


@keys_app.command()
def new(
    context: typer.Context,
    company: Annotated[str, typer.Option(help="Its name, which stands in every signature.")],
    years: Annotated[int, typer.Option(min=1, max=30, help="How long the pair counts.")] = 5,
) -> None:
    """Make a certificate of your own and its private key in the home's keys/."""
    from flows import screen
    from flows.keys import new_keys

    given = context.obj
    home = Home.find(given if isinstance(given, Path) else None)
    made = new_keys(home, company, years=years, now=dt.datetime.now(dt.UTC))
    names = [path.relative_to(home.root).as_posix() for path in (made.certificate, made.key)]
    screen.say(
        f"Made {made.certificate}\n     {made.key} (private; keep a copy that only you get at)\n"
        f"     {made.root} (give this one to whoever is to trust your signatures)\n\n"
        f"Write into the campaign:\n  brand:\n    signing: "
        f"{{certificate: {names[0]}, key: {names[1]}}}"
    )


def verify(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="A picture or a clip, from anywhere.")],
    trust: Annotated[
        Path | None, typer.Option(help="PEM of root certificates to trust, e.g. a root.pem.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Say what made a file, whether it was altered since, and which delivery it once was.

    Ends with 0 where the file is whole, with 1 where it was altered or nothing is known of it.
    """
    from flows import screen
    from flows.verify import verify as examined

    report = examined(file, _home_if_any(context.obj), _anchors(trust))
    if as_json:
        screen.print_json(report.as_json())
    else:
        screen.verified(report)
    raise typer.Exit(0 if report.verdict == "whole" else 1)


def _home_if_any(given: object) -> Home | None:
    """Return the home; none where a stranger has none."""
    if isinstance(given, Path):
        return Home.find(given)
    try:
        return Home.find(None)
    except BadInput:
        return None


def _anchors(trust: Path | None) -> str:
    if trust is None:
        return ""
    try:
        text = trust.read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError) as error:
        raise BadFile(f"--trust {trust}: cannot be read as PEM: {error}") from None
    if "-----BEGIN CERTIFICATE-----" not in text:
        raise BadFile(f"--trust {trust}: holds no PEM certificate")
    return text
