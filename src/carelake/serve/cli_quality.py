"""The commands of those who answer for the figures: quality and releases."""

from __future__ import annotations

import getpass
import json
import os
from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated

import typer

from .options import Json, State, now

app = typer.Typer()
release_app = typer.Typer(no_args_is_help=True, help="Go back to an earlier release, or let runs release again.")
app.add_typer(release_app, name="release")


@app.command()
def quality(
    rule: Annotated[str, typer.Option(help="TABLE.RULE: which rows break it, by surrogate key.")] = "",
    as_json: Json = False,
) -> None:
    """Say how good the data is: scores by table and source, rules that are broken, and which marts may be used."""
    from .. import assessment
    from . import show_quality
    from .asker import Asker

    if rule:
        told, keys = assessment.breaking(State.project, rule, Asker.audience)
        _log(rule, keys)
        if as_json:
            typer.echo(json.dumps({"rule": rule, "must": told.must, "because": told.because, "keys": keys}))
        else:
            show_quality.breaking(rule, told, keys)
        return
    found = assessment.assess(State.project)
    if as_json:
        typer.echo(json.dumps(show_quality.plain(found), default=str))
    else:
        show_quality.assessment(found)


@app.command()
def releases(as_json: Json = False) -> None:
    """List the releases, the latest first, with what each of them held back."""
    from .. import assessment
    from . import show_quality

    found = assessment.releases(State.project)
    if as_json:
        typer.echo(json.dumps([asdict(one) for one in found], default=str))
    else:
        show_quality.releases(found)


@release_app.command()
def rollback(
    because: Annotated[str, typer.Option(help="Why; kept with the release. Name no person in it.")],
    to: Annotated[int | None, typer.Option(help="The number of the release. Default: the one before.")] = None,
    dry_run: Annotated[bool, typer.Option(help="Only say what readers would see.")] = False,
    as_json: Json = False,
) -> None:
    """Let readers see an earlier release again. Runs go on, and release nothing until `release resume`."""
    from .. import assessment
    from . import show_quality

    found = assessment.rollback(State.project, os.environ, now(), to, because, getpass.getuser(), dry_run=dry_run)
    if as_json:
        typer.echo(json.dumps(asdict(found) | {"dry_run": dry_run}, default=str))
    else:
        show_quality.rolled_back(found, dry_run=dry_run)


@release_app.command()
def resume(as_json: Json = False) -> None:
    """End a rollback: the next run releases again what passes its checks."""
    from .. import assessment

    found = assessment.resume(State.project, os.environ, now(), getpass.getuser())
    if as_json:
        typer.echo(json.dumps(asdict(found), default=str))
    else:
        typer.echo(f"Release {found.id}: readers see the same tables; the next `carelake run` releases again.")


def _log(rule: str, keys: Sequence[int]) -> None:
    """Say in the access log whose keys are shown."""
    from .. import declare
    from ..lake import root
    from .asker import PERSON, Asker, Log, Read

    declared = declare.read(State.project)
    table = declared.tables[rule.partition(".")[0]]
    log = Log(root(State.project, declared, "lake"), Asker.here(State.project))
    read = Read("quality", (f"silver.{table.name}",), (f"silver.{table.name}.{table.own_key}",), None, (rule,))
    log.shown_of(log.asked(read), len(keys), keys if table.own_key == PERSON else ())
