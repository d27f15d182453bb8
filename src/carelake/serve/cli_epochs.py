"""The commands that begin tables anew: reprocess and restore."""

from __future__ import annotations

import getpass
import json
import os
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from .options import Json, State, now

if TYPE_CHECKING:
    from ..epochs import Asked

app = typer.Typer()

Table = Annotated[str, typer.Argument(help="One table of silver.")]
All = Annotated[bool, typer.Option("--all", help="All tables.")]
Because = Annotated[str, typer.Option(help="Why, for the audit.")]
Shorter = Annotated[bool, typer.Option("--shorter", help="Even if bronze was purged, and so history is lost.")]
DryRun = Annotated[bool, typer.Option(help="Only say what would be done.")]


@app.command()
def reprocess(
    because: Because,
    table: Table = "",
    every: All = False,
    shorter: Shorter = False,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Make a table of silver anew from all of bronze, by the declarations of today: the next run does."""
    from ..epochs import Asked

    _begin(table, every, Asked(getpass.getuser(), because, now(), shorter=shorter), dry_run, as_json)


@app.command()
def restore(
    release: Annotated[int, typer.Option(help="The release whose rows to go back to.")],
    because: Because,
    table: Table = "",
    every: All = False,
    shorter: Shorter = False,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Set a table of silver back to what a release knew; the next run takes in anew what came later."""
    from ..epochs import Asked

    _begin(table, every, Asked(getpass.getuser(), because, now(), release, shorter), dry_run, as_json)


def _begin(table: str, every: bool, asked: Asked, dry_run: bool, as_json: bool) -> None:
    from .. import epochs
    from ..lake import opened
    from . import show_epochs

    if bool(table) == every:
        raise typer.BadParameter("name a table, or say --all.")
    if dry_run:
        with opened(State.project, os.environ, writing=False) as lake:
            tables = epochs.named(lake.declared, table)
            told = epochs.foreseen(lake.engine, lake.declared, tables, asked)
    else:
        begin = epochs.beginning(table, asked)
        with opened(State.project, os.environ, writing=True, first=begin) as lake:
            told = epochs.waiting(lake.engine, lake.declared, epochs.named(lake.declared, table))
    if as_json:
        typer.echo(json.dumps({"tables": [asdict(one) for one in told], "dry_run": dry_run}))
    else:
        show_epochs.begun(told, dry_run=dry_run)
