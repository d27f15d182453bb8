"""The commands that look after a lake: verify it, keep it small."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from typing import Annotated

import typer

from ..errors import LakeDamaged
from .options import Json, State, now

app = typer.Typer()
DryRun = Annotated[bool, typer.Option(help="Only say what would be done.")]


@app.command()
def verify(as_json: Json = False) -> None:
    """Compare bronze, ledger, tables, releases and vault with each other, byte by byte. Changes nothing."""
    from ..upkeep import verification
    from . import show_upkeep

    with show_upkeep.progress(quiet=as_json) as watch:
        told = verification.verify(State.project, os.environ, now(), watch)
    if as_json:
        findings = [finding.plain() for finding in told.findings]
        typer.echo(json.dumps({**vars(told), "findings": findings, "whole": told.is_whole}))
    else:
        show_upkeep.verified(told)
    raise typer.Exit(0 if told.is_whole else LakeDamaged.exit_code)


@app.command()
def optimize(
    table: Annotated[str, typer.Argument(help="One table, as silver.claim; all of them, if none is named.")] = "",
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Write many small files anew as few large ones, along the `z_order` that a table declares. No row changes."""
    from ..upkeep import compaction
    from . import show_upkeep

    with show_upkeep.progress(quiet=as_json) as watch:
        done = compaction.optimize(State.project, os.environ, table, dry_run=dry_run, watch=watch)
    if as_json:
        typer.echo(json.dumps([asdict(one) for one in done]))
    else:
        show_upkeep.optimized(done, dry_run)


@app.command()
def vacuum(dry_run: DryRun = False, as_json: Json = False) -> None:
    """Take away the files that no release which stays readable needs, and what killed runs left."""
    from ..upkeep import vacuum as sweeping
    from . import show_upkeep

    with show_upkeep.progress(quiet=as_json) as watch:
        done = sweeping.vacuum(State.project, os.environ, now(), dry_run=dry_run, watch=watch)
    if as_json:
        typer.echo(json.dumps(asdict(done)))
    else:
        show_upkeep.vacuumed(done, dry_run)
