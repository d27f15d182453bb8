"""The command that shows which figures agree."""

from __future__ import annotations

import json
from itertools import chain, islice
from typing import Annotated

import typer

from .options import Json, State

app = typer.Typer()
MOST = 1000  # rows behind one reconciliation, as JSON


@app.command()
def reconcile(
    name: Annotated[str, typer.Argument(help="One reconciliation, with the rows behind it; else all of them.")] = "",
    as_json: Json = False,
) -> None:
    """Show which figures agree: both of them, their difference and the verdict of the last run.

    Exits with 31 if one that stops does not hold.
    """
    from . import reconciliations, show_reconcile

    told = reconciliations.read(State.project, name)
    bad = [one for one in told if name and one.behind and one.verdict in {"failed", "warned"}]
    if as_json:
        answers = [one.plain() for one in told]
        for one, answer in zip(told, answers, strict=True):
            if one in bad:
                with reconciliations.behind(State.project, one) as batches:
                    answer["behind"] = list(islice(chain.from_iterable(batch.to_pylist() for batch in batches), MOST))
        typer.echo(json.dumps(answers, default=str))
    else:
        show_reconcile.reconciled(told, name)
        for one in bad:
            with reconciliations.behind(State.project, one) as batches:
                show_reconcile.behind(one, batches)
    raise typer.Exit(reconciliations.exit_code(told))
