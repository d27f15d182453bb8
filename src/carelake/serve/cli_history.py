"""The command that tells the history of one row."""

from __future__ import annotations

import json
import sys
from typing import Annotated

import typer

from .options import Json, State

app = typer.Typer()


@app.command()
def history(
    table: Annotated[str, typer.Argument(help="A silver table, as claim.")],
    key: Annotated[
        str, typer.Argument(help="The row's key; with --source its own id; - reads it from standard input.")
    ],
    source: Annotated[str, typer.Option(help="The source system whose own id KEY is, as silver shows it.")] = "",
    as_json: Json = False,
) -> None:
    """Tell what happened to a row: when, what changed from what to what, and which load and run brought it."""
    from . import history as histories
    from . import show_history

    named = sys.stdin.readline().strip() if key == "-" else key
    told = histories.read(State.project, table, named, source)
    if as_json:
        typer.echo(json.dumps(told.plain(), default=str))
    else:
        show_history.history(told)
