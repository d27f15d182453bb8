"""`carelake check` and `carelake lineage`: what the privacy page promises, and how it is known to hold."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated

import typer

from .options import Json, State

app = typer.Typer()


@app.command()
def check(as_json: Json = False) -> None:
    """Check every declaration, and prove of each column of a mart that it shows no more than its kind says.

    Fails with each mistake, its file and line. Nothing is read from a source, and no lake is needed.
    """
    from .. import declare
    from ..lake import root
    from . import show_privacy
    from .proof import proof

    declared = declare.read(State.project)
    told = proof(declared, {name: root(State.project, declared, name) for name in declared.place.roots})
    if as_json:
        typer.echo(json.dumps(asdict(told)))
    else:
        show_privacy.proof(told)


@app.command()
def lineage(
    column: Annotated[str, typer.Argument(help="The column, as gold.ar_aging.bucket or silver.patient.full_name.")],
    as_json: Json = False,
) -> None:
    """Say what a column is made of, step by step, down to the columns of its sources."""
    from .. import ancestry, declare
    from . import show_privacy

    steps = ancestry.told(declare.read(State.project), column.lower())
    if as_json:
        typer.echo(json.dumps([asdict(step) for step in steps]))
    else:
        show_privacy.lineage(steps)
