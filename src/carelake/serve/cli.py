"""The command line: an operator's tool, which trusts its operating system user."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import asdict
from datetime import date
from enum import StrEnum
from io import TextIOWrapper
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from .. import __version__
from ..errors import LakeFull
from ..foreign import as_ours, is_no_space
from . import (
    cli_alerts,
    cli_audit,
    cli_backup,
    cli_epochs,
    cli_extract,
    cli_history,
    cli_hold,
    cli_keys,
    cli_privacy,
    cli_purge,
    cli_quality,
    cli_quarantine,
    cli_reconcile,
    cli_report,
    cli_suppress,
    cli_upkeep,
    cli_vault,
    cli_zip3,
)
from .options import DAY, Answers, AsOf, Json, On, State, now

CLOSED = 141  # what a shell says of a program that writes to where nobody reads any more


class Commands(TyperGroup):
    """The commands. One whose answer is no longer read, as by `| head`, ends without a word."""

    def invoke(self, ctx: Any) -> Any:
        try:
            told = super().invoke(ctx)
            sys.stdout.flush()
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(CLOSED) from None
        return told


app = typer.Typer(
    cls=Commands,
    help="CareLake: hospitals' databases and insurers' files to figures that can be trusted.\n\n"
    "Begin with `carelake demo`, or with `carelake init DIR`.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
app.add_typer(cli_history.app)
app.add_typer(cli_quality.app)
app.add_typer(cli_reconcile.app)
app.add_typer(cli_epochs.app)
app.add_typer(cli_quarantine.app, name="quarantine")
app.add_typer(cli_upkeep.app)
app.add_typer(cli_purge.app)
app.add_typer(cli_hold.app, name="hold")
app.add_typer(cli_privacy.app)
app.add_typer(cli_extract.app)
app.add_typer(cli_suppress.app)
app.add_typer(cli_alerts.app, name="alerts")
app.add_typer(cli_report.app)
app.add_typer(cli_audit.app, name="audit")
app.add_typer(cli_vault.app, name="vault")
app.add_typer(cli_keys.app, name="keys")
app.add_typer(cli_zip3.app, name="zip3")
app.add_typer(cli_backup.app, name="backup")


class Format(StrEnum):
    table = "table"
    csv = "csv"
    json = "json"


def main() -> None:
    """Run the command line. A failure says what, why and what next, and exits with its code."""
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8")  # names have letters that the locale of a server may not have
    try:
        app()
    except Exception as error:  # noqa: BLE001 - whatever it is, its words could quote a value of a row
        ours = (
            LakeFull("there was no space left to write the answer.", "Free some.")
            if is_no_space(error)
            else as_ours(error)
        )
        typer.echo(str(ours), err=True)
        sys.exit(ours.exit_code)


def _say_version(asked: bool) -> None:
    if asked:
        typer.echo(f"carelake {__version__}")
        raise typer.Exit


def _list_defects(asked: bool) -> None:
    if asked:
        from . import demo

        demo.list_defects()
        raise typer.Exit


@app.callback()
def options(
    project: Annotated[Path, typer.Option("-p", "--project", help="The project's folder.")] = Path(),
    version: Annotated[
        bool, typer.Option("--version", help="Say the version, and stop.", is_eager=True, callback=_say_version)
    ] = False,
) -> None:
    State.project = project


@app.command()
def init(
    folder: Annotated[Path, typer.Argument(help="Where to make the project.")],
    template: Annotated[str, typer.Option(help="What to start from.")] = "rcm",
) -> None:
    """Make a project: two hospitals' databases and a landing folder, ready to be connected."""
    from .. import project

    for name in project.make(folder, template):
        typer.echo(f"made {folder / name}")
    typer.echo(
        "\nNext: set HOS_A_URL and HOS_B_URL (sqlite:///…, postgresql://…, mysql://…, mssql://…) and LANDING (the\n"
        f"folder with claims/ and cptcodes/), then run `carelake -p {folder} plan` and `carelake -p {folder} run`.\n"
        f"Keep {folder / 'secrets'} safe: without its key no token can be traced back."
    )


@app.command()
def run(
    as_of: AsOf = None,
    reconcile: Annotated[bool, typer.Option(help="Read everything, and find late commits and deletes.")] = False,
    strict: Annotated[bool, typer.Option(help="Let warnings fail the run too.")] = False,
    engine: On = None,
    as_json: Json = False,
) -> None:
    """Bring the lake up to what the sources hold now, and release it. Exits with 0 only if all of it was done."""
    from .. import pipeline, project
    from . import show

    project.note_replaced(State.project)
    with show.progress(quiet=as_json) as watch:
        did = pipeline.run(
            State.project, os.environ, now(), as_of=as_of, reconcile=reconcile, engine=engine or "", watch=watch
        )
    if as_json:
        typer.echo(json.dumps(asdict(did) | {"exit_code": did.exit_code(strict=strict)}, default=str))
    else:
        show.run(did)
    raise typer.Exit(did.exit_code(strict=strict))


@app.command()
def plan(as_of: AsOf = None, as_json: Json = False) -> None:
    """Say what `run` would do and why, and what has changed in the declarations. Nothing is read from a source."""
    from .. import foresee
    from . import show

    steps = foresee.plan(State.project, os.environ, now(), as_of)
    if as_json:
        typer.echo(json.dumps([asdict(step) for step in steps], default=str))
    else:
        show.plan(steps)


@app.command()
def status(as_json: Json = False) -> None:
    """Say what is in the lake: the latest release, the last run, and where every feed stands."""
    from .. import foresee
    from . import show

    told = foresee.status(State.project)
    if as_json:
        typer.echo(json.dumps(told, default=str))
    else:
        show.status(told)


@app.command()
def query(
    question: Annotated[str, typer.Argument(help="One SELECT over bronze, silver, gold and audit.")] = "",
    form: Annotated[Format, typer.Option("--format", help="How to write the answer.")] = Format.table,
    list_tables: Annotated[bool, typer.Option("--tables", help="List what can be asked, and stop.")] = False,
    purpose: Annotated[str, typer.Option(help="What for; the access log keeps it.")] = "",
    engine: Answers = None,
) -> None:
    """Ask one SELECT of the latest release."""
    from . import door, show
    from .asker import Asker

    if list_tables or not question:
        for name in door.tables(State.project, engine or ""):
            typer.echo(name)
        return
    asker = Asker.here(State.project, purpose)
    with door.ask(State.project, question, asker=asker, engine=engine or "") as batches:
        show.answer(batches, form)


@app.command()
def kpi(
    name: Annotated[str, typer.Argument(help="One KPI; all of them, if none is named.")] = "",
    as_json: Json = False,
) -> None:
    """Show the KPIs of the latest release, each with numerator, denominator, day and definition."""
    from . import kpis, show

    for told in kpis.read(State.project, name):
        if as_json:
            typer.echo(json.dumps(told.plain(), default=str))
        else:
            show.kpi(told)


@app.command()
def diff(
    accept: Annotated[bool, typer.Option(help="Take the shipped files as seen.")] = False, as_json: Json = False
) -> None:
    """Compare the files that the project replaces with the shipped ones, and say which of those have moved on."""
    from .. import project
    from . import show

    found = list(project.differences(State.project))
    taken = project.accept(State.project) if accept else None
    if as_json:
        typer.echo(json.dumps([asdict(one) for one in found]))
    else:
        show.differences(found, taken)


@app.command()
def migrate(
    dry_run: Annotated[bool, typer.Option(help="Only say what would change.")] = False, as_json: Json = False
) -> None:
    """Bring an older lake to the declarations of today: add what only adds, and name what must be reprocessed."""
    from .. import migrate as moves
    from . import show

    changes = moves.migrate(State.project, os.environ, dry_run=dry_run)
    if as_json:
        typer.echo(json.dumps([asdict(change) for change in changes]))
    else:
        show.migration(changes, dry_run)
    raise typer.Exit(moves.exit_code(changes))


@app.command()
def synth(
    folder: Annotated[Path, typer.Argument(help="Where the databases and the landing folder go; new, or synth's own.")],
    patients: Annotated[int, typer.Option(help="Patients of both hospitals together.", min=1)] = 10_000,
    transactions: Annotated[
        int | None, typer.Option(help="Transactions of both together; four a patient, if nothing is said.", min=1)
    ] = None,
    day: Annotated[int, typer.Option(help="1 makes the hospitals; 2, 3, … is a following day of change.", min=1)] = 1,
    seed: Annotated[int, typer.Option(help="The same seed makes the same hospitals.")] = 7,
    as_of: Annotated[date | None, typer.Option(help="The day of day 1; 2026-06-30, if nothing is said.", **DAY)] = None,
    clean: Annotated[bool, typer.Option(help="Plant no defects.")] = False,
    detailed: Annotated[bool, typer.Option(help="With the columns that `init --template detailed` maps.")] = False,
    defect: Annotated[
        list[str] | None, typer.Option(help="Clean and detailed, but for this defect; may be given again.")
    ] = None,
    defects: Annotated[
        bool, typer.Option("--defects", help="List the defects, and stop.", is_eager=True, callback=_list_defects)
    ] = False,
) -> None:
    """Make two synthetic hospitals with planted truth: no real person is in them.

    A following day (--day 2) changes those that are there: only FOLDER is asked for then.
    """
    from . import demo

    made = {"seed": seed, "as_of": as_of, "defects": not (clean or defect), "detailed": detailed or bool(defect)}
    demo.synthesise(folder, patients, transactions, day, made, defect or ())


@app.command()
def demo(
    folder: Annotated[Path, typer.Argument(help="Where to make it; new, or the demo's own.")] = Path("carelake-demo"),
    patients: Annotated[int, typer.Option(help="Patients of both hospitals together.", min=1)] = 10_000,
) -> None:
    """Two synthetic hospitals, day 1, day 2, and their KPIs: everything in one go, in a few seconds."""
    from . import demo as shows

    raise typer.Exit(shows.play(folder, patients))
