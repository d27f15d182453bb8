"""`carelake purge`: what is older than it is to be kept, taken out of bronze; and the certificate of it."""

from __future__ import annotations

import getpass
import json
import os
from dataclasses import asdict
from typing import Annotated

import typer

from .options import Json, State, now

app = typer.Typer()


@app.command()
def purge(
    dry_run: Annotated[bool, typer.Option(help="Only say what would be taken away, and why the rest stays.")] = False,
    certificate: Annotated[
        int | None, typer.Option(metavar="NUMBER", help="Take nothing away: say what an earlier purge took.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Take away rows of bronze that are history and older than `retention` in lake.yml says; nothing, if it is silent.

    What still stands at its source, waits in quarantine, was repaired or is held stays. Silver and gold do not change.
    """
    from ..upkeep import purge as purging
    from . import show_purge, show_upkeep

    if certificate is not None:
        _certificate(certificate, as_json)
        return
    with show_upkeep.progress(quiet=as_json) as watch:
        done = purging.purge(State.project, os.environ, now(), getpass.getuser(), dry_run=dry_run, watch=watch)
    if as_json:
        typer.echo(json.dumps({**asdict(done), "dry_run": dry_run}))
    else:
        show_purge.purged(done, dry_run)


def _certificate(number: int, as_json: bool) -> None:
    from ..lake import opened
    from ..upkeep import certificate as certificates
    from . import show_purge

    with opened(State.project, os.environ, writing=False) as lake:
        told = certificates.certificate(lake.engine, number)
    if as_json:
        typer.echo(json.dumps(told, default=str))
    else:
        show_purge.certificate(told)
