"""The commands of what is held back: list, show, repair, accept, replay, export."""

from __future__ import annotations

import getpass
import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import RepairRefused
from ..step import WARNED
from .options import Json, State, now

if TYPE_CHECKING:
    from ..lake import Lake
    from ..repair import Act, Correction, Done
    from .asker import Log, Read

app = typer.Typer(help="Rows that are held back: what they are, and what becomes of them.", no_args_is_help=True)

Table = Annotated[str, typer.Argument(help="One table; all of them, if none is named.")]
Rule = Annotated[str, typer.Option(help="Only what is held back for this rule.")]
Because = Annotated[str | None, typer.Option(help="Why, for the audit. No value of a row: it is kept.")]
DryRun = Annotated[bool, typer.Option(help="Only say what would be done.")]


@contextmanager
def _lake(*, writing: bool) -> Iterator[Lake]:
    from ..lake import opened

    with opened(State.project, os.environ, writing=writing) as lake:
        yield lake


def _log(lake: Lake) -> Log:
    from .asker import Asker, Log

    return Log(lake.root("audit"), Asker.here(State.project))


def _read(action: str, table: str, *said: str) -> Read:
    from .asker import Read

    return Read(f"quarantine {action}", (f"quarantine.{table}",), (f"quarantine.{table}.*",), None, said)


def _act(how: str, why: str | None, *, dry_run: bool) -> Act:
    from ..repair import Act

    return Act(how, getpass.getuser(), why, now(), dry_run)


def _say(done: Done, act: Act, *, as_json: bool) -> None:
    from . import show_quarantine

    if as_json:
        typer.echo(json.dumps(asdict(done) | {"dry_run": act.dry_run}))
    else:
        show_quarantine.done(done, act)


@app.command("list")
def list_(
    table: Table = "",
    rule: Rule = "",
    source: Annotated[str, typer.Option(help="Only what this source sent.")] = "",
    rows: Annotated[bool, typer.Option(help="List each row, with its id.")] = False,
    strict: Annotated[bool, typer.Option(help="Fail if rows wait for longer than they may.")] = False,
    as_json: Json = False,
) -> None:
    """Count what is held back, by table, rule and source, and say what waits for too long."""
    from .. import quarantine
    from . import show_quarantine

    with _lake(writing=False) as lake:
        waits, allowed = quarantine.waits(lake, now(), table, rule, source), quarantine.days(lake)
        listed = list(quarantine.rows(lake, table, rule, source)) if rows else []
        if listed:
            log = _log(lake)
            log.shown_of(log.asked(_read("list", table or "*", rule, source)), len(listed))
    if as_json:
        told: dict[str, Any] = {"days": allowed, "waits": [asdict(one) for one in waits]}
        typer.echo(json.dumps(told | ({"rows": listed} if rows else {}), default=str))
    else:
        show_quarantine.waits(waits, allowed, now())
        show_quarantine.rows(listed)
    raise typer.Exit(WARNED if strict and any(one.overdue for one in waits) else 0)


@app.command("show")
def show_(
    row: Annotated[str, typer.Argument(help="The id of a row, as `list --rows` says it.")],
    as_json: Json = False,
) -> None:
    """Show one row as silver would show it, why it is held back, and which columns of its source can be corrected."""
    from .. import quarantine
    from . import show_quarantine

    with _lake(writing=False) as lake:
        told, log = quarantine.row(lake, row), _log(lake)
        log.rows(log.asked(_read("show", told.table, row)), [told.shows])
    if as_json:
        typer.echo(json.dumps(asdict(told), default=str))
    else:
        show_quarantine.row(told)


@app.command()
def repair(
    row: Annotated[str, typer.Argument(help="The id of one row, to be corrected with --set.")] = "",
    set_: Annotated[
        list[str] | None, typer.Option("--set", help="COLUMN=VALUE, in words of its source; VALUE may be empty.")
    ] = None,
    from_: Annotated[Path | None, typer.Option("--from", help="A CSV of ids and corrected columns.")] = None,
    because: Because = None,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Correct rows that are held back. The next run takes them in at their place in the history."""
    from .. import quarantine, repair

    if bool(from_) == bool(row and set_):
        raise typer.BadParameter("name a row and its --set, or a file with --from.")
    told = quarantine.corrections(from_) if from_ else [_correction(row, set_ or [])]
    act = _act("repair", because, dry_run=dry_run)
    with _lake(writing=True) as lake:
        done = repair.repair(lake, told, act)
    _say(done, act, as_json=as_json)


def _correction(row: str, told: Iterable[str]) -> Correction:
    from ..repair import Correction

    pairs = [one.partition("=") for one in told]
    if not all(equals for _, equals, _ in pairs):
        raise RepairRefused("a --set has no '='.", "Write it as COLUMN=VALUE.")
    return Correction(row, row, {column: value or None for column, _, value in pairs})


@app.command()
def accept(
    ids: Annotated[list[str], typer.Argument(help="The ids of the rows.")],
    because: Annotated[str, typer.Option(help="Why they are right as they are. No value of a row: it is kept.")],
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Take rows as they are, whichever rules they break; not without a key, or with an impossible time."""
    from .. import repair

    act = _act("accept", because, dry_run=dry_run)
    with _lake(writing=True) as lake:
        done = repair.accept(lake, ids, act)
    _say(done, act, as_json=as_json)


@app.command()
def replay(
    table: Table = "", rule: Rule = "", because: Because = None, dry_run: DryRun = False, as_json: Json = False
) -> None:
    """Have rows judged anew, after a rule or a mapping was changed: by what the project declares today."""
    from .. import quarantine, repair

    act = _act("replay", because, dry_run=dry_run)
    with _lake(writing=True) as lake:
        done = repair.replay(lake, quarantine.known(lake, table) if table else None, rule or None, act)
    _say(done, act, as_json=as_json)


@app.command()
def export(
    table: Annotated[str, typer.Argument(help="The table.")],
    out: Annotated[Path, typer.Option(help="The CSV to make.")],
    as_json: Json = False,
) -> None:
    """Write what is held back of a table to a CSV in which corrections are filled in, for `repair --from`."""
    from .. import quarantine
    from .asker import PERSON

    with _lake(writing=False) as lake:
        log = _log(lake)
        number = log.asked(_read("export", quarantine.known(lake, table).name))
        count = quarantine.export(lake, table, out)
        log.shown_of(number, count, quarantine.persons(lake, table, PERSON))
    typer.echo(json.dumps({"rows": count}) if as_json else f"{count:,} rows written to {out}.")
