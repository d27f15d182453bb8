"""`carelake extract`: a data set for a recipient outside, and the evidence of how it was made."""

from __future__ import annotations

import json
import os
from datetime import date
from pathlib import Path
from typing import Annotated

import typer

from .options import DAY, Json, State, now

app = typer.Typer()


@app.command()
def extract(
    profile: Annotated[str, typer.Option(help="safe_harbor, limited_data_set, or the project's custom.")],
    recipient: Annotated[str, typer.Option(help="Who gets it.")],
    out: Annotated[Path, typer.Option(help="The new folder that it is made in.")],
    purpose: Annotated[str, typer.Option(help="What for; the access log keeps it.")] = "not stated",
    address: Annotated[str, typer.Option(help="Where the recipient is, if it is known.")] = "",
    agreement: Annotated[str, typer.Option(help="The id of the data use agreement.")] = "",
    as_of: Annotated[date | None, typer.Option(help="The day of ages. Default: today.", **DAY)] = None,
    smallest_class: Annotated[
        int, typer.Option(help="Persons in smaller classes show no quasi-identifiers; 1 suppresses nobody.", min=1)
    ] = 1,
    dry_run: Annotated[bool, typer.Option(help="Only say what would leave, and how it is treated.")] = False,
    as_json: Json = False,
) -> None:
    """Make a data set for somebody outside, of the latest release, with the evidence of how it was made."""
    from ..extract.extraction import Order
    from . import extracting, show_extract
    from .asker import Asker

    asker = Asker.here(State.project, purpose, os.environ).to(recipient)
    moment = now()
    order = Order(
        profile, recipient, address, purpose, agreement, out, asker.who, moment, as_of or moment.date(), smallest_class
    )
    told = extracting.extract(State.project, os.environ, order, asker, dry_run=dry_run)
    typer.echo(json.dumps(told)) if as_json else show_extract.extract(told, out, dry_run=dry_run)
