"""`carelake audit …`: who was shown what, and whether the log of it is as it was written."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from typing import Annotated, Any

import typer

from .options import Json, State, now

app = typer.Typer(help="See who was shown what, and check that the log of it is whole.", no_args_is_help=True)
BROKEN = 60  # as all of privacy


@app.command()
def verify(as_json: Json = False) -> None:
    """Compare the access log with its signed heads: fails and names each record that was changed, lost or put in."""
    from .. import checkpoint
    from ..lake import opened
    from . import show_audit

    with opened(State.project, os.environ, writing=False) as lake:
        found, anchor = checkpoint.verify(lake), checkpoint.anchor_of(lake)
    if as_json:
        typer.echo(json.dumps(asdict(found) | {"anchor": bool(anchor)}))
    else:
        show_audit.found(found, anchor)
    raise typer.Exit(BROKEN if found.flaws else 0)


@app.command()
def checkpoint(as_json: Json = False) -> None:
    """Move what was logged to audit.access_log, and sign it. Every run does."""
    from .. import checkpoint as checkpoints
    from ..lake import opened

    with opened(State.project, os.environ, writing=True) as lake:
        moved = checkpoints.of(lake, now())
    typer.echo(json.dumps({"events": moved}) if as_json else f"{moved:,} events were moved and signed.")


@app.command()
def purge(
    dry_run: Annotated[bool, typer.Option(help="Only say what would be taken out.")] = False, as_json: Json = False
) -> None:
    """Take events out of the log that are older than `access_log: {keep: ...}` in lake.yml says: six years."""
    from ..upkeep import log_purge
    from . import show_audit

    done = log_purge.purge(State.project, os.environ, now(), dry_run=dry_run)
    if as_json:
        typer.echo(json.dumps({**asdict(done), "dry_run": dry_run}, default=str))
    else:
        show_audit.purged(done, dry_run=dry_run)


@app.command("who-saw")
def who_saw(patient: Annotated[int, typer.Argument(help="The patient's patient_key.")], as_json: Json = False) -> None:
    """List who was shown rows of a patient; and how often rows were shown that name no patient."""
    from . import audit, show_audit

    told = audit.who_saw(State.project, os.environ, patient)
    if as_json:
        typer.echo(json.dumps(told, default=str))
    else:
        show_audit.events(told["events"])
        show_audit.unnamed(told["unnamed"])
        show_audit.other_keys(told["other_keys"])


@app.command()
def user(name: Annotated[str, typer.Argument(help="The user, as the log says it.")], as_json: Json = False) -> None:
    """List what a user asked for, and how many rows were shown."""
    from . import audit

    _say(audit.by(State.project, os.environ, name), as_json=as_json)


@app.command()
def disclosures(as_json: Json = False) -> None:
    """List what was given to somebody outside: to whom, what and why (45 CFR 164.528). Reading here is none."""
    from . import audit

    _say(audit.disclosures(State.project, os.environ), as_json=as_json)


def _say(told: list[dict[str, Any]], *, as_json: bool) -> None:
    from . import show_audit

    if as_json:
        typer.echo(json.dumps(told, default=str))
    else:
        show_audit.events(told)
