"""`carelake alerts …`: what runs came upon and is still so, and who looks after it."""

from __future__ import annotations

import json
import os
from typing import Annotated

import typer

from .options import Json, State, now

app = typer.Typer(help="See what runs came upon and is still so, and say who looks after it.", no_args_is_help=True)


@app.command("list")
def list_alerts(as_json: Json = False) -> None:
    """List the alerts that are open: since when, what, and who looks after it."""
    from ..lake import opened
    from ..tell import telling
    from . import show_alerts

    with opened(State.project, os.environ, writing=False) as lake:
        found = telling.listed(lake)
    if as_json:
        typer.echo(json.dumps(found, default=str))
    else:
        show_alerts.alerts(found)


@app.command()
def ack(
    alert: Annotated[str, typer.Argument(help="The alert, as `alerts list` calls it.")],
    who: Annotated[str, typer.Option(help="Who looks after it.")],
    note: Annotated[str, typer.Option(help="What is being done.")] = "",
    as_json: Json = False,
) -> None:
    """Say that somebody looks after an alert. Nobody is told of it again, as long as its cause is there."""
    from ..lake import opened
    from ..tell import telling

    with opened(State.project, os.environ, writing=True) as lake:
        telling.acknowledge(lake, alert, who, note, now())
    typer.echo(json.dumps({"alert": alert, "who": who}) if as_json else f"{who} looks after {alert}.")


@app.command()
def digest(
    daily: Annotated[bool, typer.Option("--daily/--weekly", help="Of today, or of this week.")] = True,
    dry_run: Annotated[bool, typer.Option(help="Only show it, and say who would get it.")] = False,
    as_json: Json = False,
) -> None:
    """Tell the channels that want it what a day or a week was like, each of them once.

    Exits with 70 if one could not be told.
    """
    from ..lake import opened
    from ..tell import digesting
    from . import show_alerts

    with opened(State.project, os.environ, writing=not dry_run) as lake:
        ready = digesting.prepared(lake, "daily" if daily else "weekly", now())
        sent = {} if dry_run else dict(digesting.send(lake, ready))
    failed = {name: error for name, error in sent.items() if error}
    if as_json:
        typer.echo(json.dumps(show_alerts.plain_digest(ready, sent) | {"dry_run": dry_run}))
    else:
        show_alerts.digest(ready, sent, dry_run=dry_run)
    raise typer.Exit(next((error.exit_code for error in failed.values()), 0))
