"""The pages for people who were not there: what a run did, and what a month was like."""

from __future__ import annotations

import getpass
import json
import os
from pathlib import Path
from typing import Annotated, Any

import typer

from ..report.month import Month, before
from .options import Json, State, now

app = typer.Typer()
Out = Annotated[Path | None, typer.Option(help="Where to write it. Default: `report` of lake.yml, else reports/.")]


@app.command()
def report(
    run: Annotated[str, typer.Option(help="The id of a run. Default: the last one.")] = "",
    out: Out = None,
    as_json: Json = False,
) -> None:
    """Write what a run did and how good the data is: one page that stands alone, and the same as JSON."""
    from ..lake import opened
    from ..report import writing

    with opened(State.project, os.environ, writing=False) as lake:
        written = writing.quality(lake, writing.folder(lake, out), run, now())
    _say(written, as_json)


def _say(written: list[Path], as_json: bool) -> None:
    kinds = ("html", "json", "signed")  # in the order in which they are written
    names = dict(zip(kinds, map(str, written), strict=False))
    typer.echo(json.dumps(names) if as_json else "\n".join(f"wrote {path}" for path in written))


compliance_app = typer.Typer()
app.add_typer(compliance_app, name="compliance")


def _month(told: str | Month) -> Month:
    """A month as it is written on the command line."""
    try:
        return told if isinstance(told, Month) else Month(told)
    except ValueError:
        raise typer.BadParameter("write the month as YYYY-MM, for example 2024-11.") from None


MONTH: dict[str, Any] = {"parser": _month, "metavar": "YYYY-MM"}


@compliance_app.callback(invoke_without_command=True)
def compliance(
    context: typer.Context,
    month: Annotated[Month | None, typer.Option(help="The month. Default: the last one that is over.", **MONTH)] = None,
    out: Out = None,
    as_json: Json = False,
) -> None:
    """Write what a month was like for whoever answers for privacy and security: a page to print and sign, and JSON."""
    from ..lake import opened
    from ..report import writing

    if context.invoked_subcommand is None:
        moment = now()
        with opened(State.project, os.environ, writing=False) as lake:
            written = writing.compliance(lake, writing.folder(lake, out), month or before(moment), moment)
        _say(written, as_json)


@compliance_app.command()
def sign(
    month: Annotated[Month, typer.Option(help="The month, which must be over.", **MONTH)],
    by: Annotated[str, typer.Option(help="Who has reviewed it.")],
    role: Annotated[str, typer.Option(help="In which role, as 'privacy officer'.")],
    note: Annotated[str, typer.Option(help="What is to be kept with it. Name no person of the data.")] = "",
    out: Out = None,
    as_json: Json = False,
) -> None:
    """Keep that a month's report was reviewed: by whom, when, and the SHA-256 of what exactly was signed."""
    from ..lake import opened
    from ..report import review, writing

    signature = review.Signature(by, role, getpass.getuser(), note, now())
    with opened(State.project, os.environ, writing=True) as lake:
        written = writing.signed(lake, writing.folder(lake, out), month, signature)
    _say(written, as_json)
