"""`carelake zip3 …`: which areas of three digits of a ZIP code have enough people to be told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from .. import zip3
from .options import Json, State

app = typer.Typer(
    help="Say where so few people live that not even three digits of a ZIP may be told.", no_args_is_help=True
)


@app.callback()
def areas() -> None:
    """By the census that you load."""


@app.command()
def build(
    population: Annotated[
        Path, typer.Option(help="CSV of the census: ZIP codes (ZCTAs), and how many people live in each.")
    ],
    dry_run: Annotated[bool, typer.Option(help="Only count; write nothing.")] = False,
    as_json: Json = False,
) -> None:
    """Add up a census by three digits, into `reference/zip3.csv` of the project. No other area is told from then on."""
    areas = zip3.build(population)
    told = [area for area, people in sorted(areas.items()) if people > zip3.FEW]
    few = [area for area in sorted(areas) if area not in told]
    if not dry_run:
        zip3.write(State.project, areas)
    if as_json:
        typer.echo(json.dumps({"told": told, "hidden": few}))
        return
    typer.echo(f"{len(told):,} areas have more than {zip3.FEW:,} people. Hidden are all others; in the file: "
               f"{', '.join(few) or 'none'}.")  # fmt: skip
    typer.echo(
        "Nothing was written." if dry_run else "Written: reference/zip3.csv. It counts from the next extract on."
    )
