"""`carelake backup …`: copy a lake to where it can be had again, and have it again."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from ..errors import BackupUnfit
from .options import Json, State, now

app = typer.Typer(help="Copy a lake to where it can be had again, and have it again.", no_args_is_help=True)
Folder = Annotated[Path, typer.Argument(help="The folder of backups.", metavar="DIR")]
Which = Annotated[str, typer.Option("--backup", help="One backup, by its id; the latest, if none is named.")]


@app.command()
def make(
    dir: Folder,  # noqa: A002 - the name that people see
    secrets: Annotated[bool, typer.Option(help="Put the secrets into it, sealed with a passphrase.")] = False,
    as_json: Json = False,
) -> None:
    """Add the lake as it is now to the backups in DIR. Only files that are not there yet are copied."""
    from ..upkeep import backup
    from . import show_upkeep

    with show_upkeep.progress(quiet=as_json) as watch:
        made = backup.make(State.project, os.environ, dir, now(), secrets=secrets, watch=watch)
    if as_json:
        typer.echo(json.dumps(asdict(made)))
    else:
        show_upkeep.backed_up(made)


@app.command("list")
def list_backups(dir: Folder, as_json: Json = False) -> None:  # noqa: A002
    """List the backups in DIR."""
    from ..upkeep.backup_store import Store

    store = Store(dir)
    for manifest in (store.manifest(one) for one in store.ids()):
        told: dict[str, Any] = {"id": manifest.id, "release": manifest.release, "files": len(manifest.files)}
        told |= {"bytes": sum(kept.size for kept in manifest.files.values()), "secrets": list(manifest.secrets)}
        typer.echo(json.dumps(told) if as_json else "  ".join(f"{name} {value}" for name, value in told.items()))


@app.command()
def check(dir: Folder, which: Which = "", as_json: Json = False) -> None:  # noqa: A002
    """Read a whole backup, and compare each file with what was copied."""
    from ..upkeep import restoration
    from . import show_upkeep

    with show_upkeep.progress(quiet=as_json) as watch:
        manifest, wrong = restoration.check(dir, which, watch)
    if as_json:
        typer.echo(json.dumps({"id": manifest.id, "files": len(manifest.files), "wrong": wrong}))
    else:
        show_upkeep.checked(manifest, wrong)
    raise typer.Exit(BackupUnfit.exit_code if wrong else 0)


@app.command()
def restore(
    dir: Folder,  # noqa: A002
    to: Annotated[Path, typer.Option(help="The folder of the new project: empty, or not there yet.")],
    which: Which = "",
    lake_yml: Annotated[Path | None, typer.Option(help="A lake.yml to take instead, for roots elsewhere.")] = None,
    secrets: Annotated[bool, typer.Option(help="Bring the sealed secrets back too.")] = False,
    as_json: Json = False,
) -> None:
    """Make a backup the lake of a new project, in an empty place. What was cut short goes on where it was."""
    from ..upkeep import restoration
    from . import show_upkeep

    with show_upkeep.progress(quiet=as_json) as watch:
        done = restoration.restore(dir, to, os.environ, which, lake_yml=lake_yml, secrets=secrets, watch=watch)
    if as_json:
        typer.echo(json.dumps(asdict(done)))
    else:
        show_upkeep.restored(done, to)
