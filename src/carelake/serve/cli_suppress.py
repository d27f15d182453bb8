"""`carelake suppress`: show nobody a person any more."""

from __future__ import annotations

import getpass
import json
import os
from typing import Annotated

import typer

from .options import Json, State, now

app = typer.Typer()
Person = Annotated[str, typer.Argument(help="The person's key or token, as a query shows it.", metavar="PERSON")]


@app.command()
def suppress(
    person: Person,
    why: Annotated[str, typer.Option(help="Why; it is kept.")] = "",
    lift: Annotated[bool, typer.Option("--lift", help="Show the person again.")] = False,
    certificate: Annotated[
        bool, typer.Option("--certificate", help="Only say what was done, and what it hides.")
    ] = False,
    dry_run: Annotated[bool, typer.Option(help="Only say what would be hidden.")] = False,
    as_json: Json = False,
) -> None:
    """Show nobody a person any more: no row of theirs in any view, also none that comes later."""
    from ..upkeep import suppress as doing
    from . import show_suppress

    if certificate:
        done = doing.certificate(State.project, os.environ, person, now())
    else:
        who = getpass.getuser()
        done = doing.suppress(
            State.project, os.environ, person, who, why, now(), lift=lift, dry_run=dry_run
        )  # fmt: skip
    if as_json:
        typer.echo(json.dumps(done.plain()))
    else:
        show_suppress.done(done, dry_run=dry_run and not certificate)


@app.command()
def suppressions(as_json: Json = False) -> None:
    """List who was suppressed or shown again, by key, when, by whom and why."""
    from ..upkeep import suppress as doing
    from . import show_suppress

    acts = doing.every(State.project, os.environ)
    if as_json:
        typer.echo(json.dumps(acts, default=str))
    else:
        show_suppress.listed(acts)
