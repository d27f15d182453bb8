"""`carelake vault …`: what a token stands for."""

from __future__ import annotations

import json
import os
from typing import Annotated

import typer

from .options import Json, State

app = typer.Typer(help="Find the person behind a token, for a purpose that is kept.", no_args_is_help=True)


@app.callback()
def vault() -> None:
    """One person at a time, and each look in the access log."""


@app.command()
def find(
    token: Annotated[str, typer.Option(help="The token, as a query shows it.")],
    purpose: Annotated[str, typer.Option(help="What for; the access log keeps it.")],
    as_json: Json = False,
) -> None:
    """Show what a token stands for. The access log keeps who asked, for which person, and what for."""
    from . import originals
    from .asker import Asker

    if not purpose.strip():
        raise typer.BadParameter("say what for, for example --purpose 'call back about a refund'.")
    found = originals.find(State.project, os.environ, token, Asker.here(State.project, purpose))
    told = f"{found.original}\n{found.kind} of {found.source_system}; the access log says that you have seen it."
    typer.echo(json.dumps(found._asdict()) if as_json else told)
