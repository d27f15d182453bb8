"""The commands that look after a lake: verify it, keep it small, run it by itself."""

from __future__ import annotations

import getpass
import json
import os
import sys
from dataclasses import asdict
from datetime import datetime, time
from pathlib import Path
from typing import Annotated

import typer

from ..errors import LakeDamaged
from .options import Json, State, now

app = typer.Typer()
tables = typer.Typer(help="The stored tables.", no_args_is_help=True)
app.add_typer(tables, name="tables")
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


@tables.command()
def upgrade(
    spark: Annotated[bool, typer.Option("--spark", help="To what only Spark can write.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do it, and do not ask.")] = False,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Let every table have what only Spark can write. It goes one way: the embedded engine refuses the lake then."""
    from ..upkeep import upgrade as upgrading
    from . import show_upkeep

    if not spark:
        raise typer.BadParameter("say to what: --spark is all there is.")
    would = upgrading.upgrade(State.project, os.environ, dry_run=True)
    if would and not dry_run:
        show_upkeep.upgraded(would, dry_run=True)
        if not (yes or typer.confirm("Only a backup takes this back (`carelake backup make`). Upgrade them?")):
            raise typer.Exit(1)
        would = upgrading.upgrade(State.project, os.environ)
    if as_json:
        typer.echo(json.dumps(would))
    else:
        show_upkeep.upgraded(would, dry_run)


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


def _time(told: str | time) -> time:
    """A time of day as it is written on the command line."""
    try:
        return told if isinstance(told, time) else datetime.strptime(told, "%H:%M").time()
    except ValueError:
        raise typer.BadParameter("write the time as HH:MM, for example 02:30.") from None


@app.command()
def schedule(
    cron: Annotated[bool, typer.Option("--cron/--systemd", help="Lines for a crontab, or units for systemd.")] = True,
    at: Annotated[time, typer.Option(help="When, in the machine's own time.", parser=_time, metavar="HH:MM")] = time(2),
    environment: Annotated[Path, typer.Option(help="The file of NAME=value lines to read first.")] = Path(
        "carelake.env"
    ),
    backup: Annotated[Path | None, typer.Option(help="Make a backup in this folder after each.")] = None,
) -> None:
    """Print the lines that let cron or systemd run the lake daily, and look after it weekly. Nothing is installed."""
    from .. import declare, lake
    from ..upkeep import schedule as schedules

    project = State.project.resolve()
    lake.root(project, declare.read(project), "lake")  # a name that cannot be used is told here
    folder = backup.resolve() if backup else None
    program = (sys.executable, "-m", "carelake")
    plan = schedules.Plan(program, project, project / environment, getpass.getuser(), at, folder)
    typer.echo(schedules.cron(plan) if cron else schedules.systemd(plan), nl=False)
