"""The commands that look after a lake: verify it."""

from __future__ import annotations

import json
import os

import typer

from ..errors import LakeDamaged
from .options import Json, State, now

app = typer.Typer()


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
