"""`carelake keys …`: what protects the vault, renewed and kept elsewhere."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from .options import Json, State, now

app = typer.Typer(help="Renew the keys that protect the vault, and keep them elsewhere.", no_args_is_help=True)
File = Annotated[Path, typer.Argument(help="The file with the sealed keys.", metavar="FILE")]


@app.command()
def rotate(
    dry_run: Annotated[bool, typer.Option(help="Only say what would be done.")] = False, as_json: Json = False
) -> None:
    """Protect the vault with a new key, and seal every original anew. What was cut short goes on where it was."""
    from ..upkeep import rotation
    from . import show_keys, show_upkeep

    with show_upkeep.progress(quiet=as_json) as watch:
        done = rotation.rotate(State.project, os.environ, now(), dry_run=dry_run, watch=watch)
    if as_json:
        typer.echo(json.dumps(asdict(done)))
    else:
        show_keys.rotated(done, dry_run)


@app.command()
def backup(file: File, as_json: Json = False) -> None:
    """Write the keys of the project into a new file, sealed with CARELAKE_BACKUP_PASSPHRASE."""
    from ..upkeep import key_backup
    from . import show_keys

    names = key_backup.write(State.project, os.environ, file)
    if as_json:
        typer.echo(json.dumps({"keys": names}))
    else:
        show_keys.backed_up(names, file)


@app.command()
def restore(file: File, as_json: Json = False) -> None:
    """Bring the keys of such a file into `secrets/` of the project. It overwrites nothing."""
    from ..upkeep import key_backup
    from . import show_keys

    names = key_backup.read(State.project, os.environ, file)
    if as_json:
        typer.echo(json.dumps({"keys": names}))
    else:
        show_keys.restored(names)
