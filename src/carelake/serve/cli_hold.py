"""`carelake hold …`: what nobody may take away, by whom that was said, and who ended it."""

from __future__ import annotations

import getpass
import json
import os
from dataclasses import asdict
from typing import Annotated

import typer

from .options import Json, State, now

app = typer.Typer(help="Say what may not be purged or vacuumed, and see what is held.", no_args_is_help=True)
Why = Annotated[str, typer.Option(help="Why; it is kept.")]


@app.command()
def place(
    why: Why,
    source: Annotated[str, typer.Option(help="One source; everything, if none is named.")] = "",
    feed: Annotated[str, typer.Option(help="One feed of that source.")] = "",
    as_json: Json = False,
) -> None:
    """Hold everything, a source or a feed: nothing of it is purged, and earlier versions of its tables stay."""
    from ..upkeep import legal_hold

    hold = legal_hold.place(State.project, os.environ, source, feed, getpass.getuser(), why, now())
    typer.echo(json.dumps(asdict(hold), default=str) if as_json else f"Hold {hold.id} is over {hold.over}.")


@app.command()
def lift(
    hold: Annotated[int, typer.Argument(help="The hold, as `hold list` calls it.")], why: Why, as_json: Json = False
) -> None:
    """End a hold. What it kept may go with the next purge or vacuum."""
    from ..upkeep import legal_hold

    done = legal_hold.lift(State.project, os.environ, hold, getpass.getuser(), why, now())
    typer.echo(json.dumps(asdict(done), default=str) if as_json else f"Hold {done.id} over {done.over} is lifted.")


@app.command("list")
def list_holds(
    every: Annotated[bool, typer.Option("--all", help="Also those that were lifted.")] = False, as_json: Json = False
) -> None:
    """List the holds that stand: over what, since when, by whom and why."""
    from ..lake import opened
    from ..upkeep import legal_hold
    from . import show_purge

    with opened(State.project, os.environ, writing=False) as lake:
        found = [hold for hold in legal_hold.every(lake.engine) if every or hold.stands]
    if as_json:
        typer.echo(json.dumps([{**asdict(hold), "stands": hold.stands} for hold in found], default=str))
    else:
        show_purge.holds(found)
