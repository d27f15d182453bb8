"""The demo: two synthetic hospitals, day 1, day 2, their KPIs, and what was loaded, refused and treated."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import sys
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import typer

from .. import declare, pipeline, project, synth
from ..project import ProjectExists
from ..secret import Secrets
from ..synth import defects
from ..synth.defect_table import listed
from . import door, kpis, show

OURS = (".carelake-demo",)  # marks a folder that the demo may make anew
SYNTHETIC = (".carelake-synth", "truth.json")  # each marks a folder in which hospitals may be made anew
SHOWN = ("days_in_ar", "ar_over_90", "ar_aging", "collection_rates", "claim_status")
QUESTIONS = {
    "Landed, by feed": "SELECT data_source, feed, COUNT(*) AS loads, SUM(numberofrowscopied) AS rows,"
    " SUM(rows_deleted) AS vanished, SUM(rows_rejected) AS bad_lines FROM audit.load_logs GROUP BY ALL ORDER BY ALL",
    "Held back or flagged, by rule": "SELECT table_name, rule, otherwise, SUM(violating) AS rows, SUM(rows_seen) AS of"
    " FROM audit.rule_results GROUP BY ALL HAVING SUM(violating) > 0 ORDER BY ALL",
    "Treated: what silver shows of three patients": "SELECT patient_key, source_system, patient_id, full_name, gender,"
    " address, updated_at FROM silver.patient ORDER BY patient_key LIMIT 3",
    "Changed overnight: transactions with more than one version": "SELECT source_system, COUNT(*) AS versions,"
    " COUNT(DISTINCT transaction_key) AS transactions FROM silver.transaction_history WHERE transaction_key IN ("
    "SELECT transaction_key FROM silver.transaction_history GROUP BY 1 HAVING COUNT(*) > 1) GROUP BY ALL ORDER BY ALL",
}


def synthesise(
    folder: Path,
    patients: int,
    transactions: int | None,
    day: int,
    how: Mapping[str, Any],
    planted: Sequence[str] = (),
) -> None:
    """Make synthetic hospitals as `how` says, or a following day of theirs, and say how a project is connected to them.

    Raises `ProjectExists` for a folder that holds something else, `DefectUnknown` for one to plant that is not known.
    """
    defects.known(planted)
    if day == 1:  # a following day finds hospitals there, or says that there are none
        _claim(folder, SYNTHETIC, "Name another folder: `carelake synth FOLDER`.")
    made = {**how, "as_of": how["as_of"] or synth.AS_OF}
    truth = synth.make(folder, patients=patients, transactions=transactions, day=day, **made)
    for name, keys in (synth.plant(folder, planted) if planted else {}).items():
        typer.echo(f"planted {len(keys)} x {name}; where, stands in {folder / defects.FILE}")
    typer.echo(
        f"Day {truth.day} stands in {folder}; what is true of it is in {folder / 'truth.json'}. To connect a project:"
    )
    for name, value in synth.connections(folder).items():
        typer.echo(f"export {name}={shlex.quote(value)}")


def list_defects() -> None:
    """Say what can be planted, and what is meant to find it."""
    for one in listed():
        besides = f" (and {', '.join(one.implied)})" if one.implied else ""
        typer.echo(f"{one.name:40} {one.found_by}{besides}")


def play(folder: Path, patients: int) -> int:
    """The whole demo in `folder`; its exit code. Raises `ProjectExists` for a folder that is not its own."""
    _claim(folder, OURS, "Name another folder: `carelake demo FOLDER`.", anew=True)
    out = show.console()
    made = folder / "project"
    project.make(made, "rcm")
    Secrets(made, {}).bring(synth.connections(folder / "hospitals"))
    spent = 0.0
    for day in (1, 2):
        out.print(f"\n[bold]Day {day}: what the hospitals hold {'now' if day == 1 else 'a day later'}[/]\n")
        truth = synth.make(folder / "hospitals", patients=patients, day=day)
        began = time.monotonic()
        with show.progress(quiet=False) as watch:
            _seen_from(synth.AS_OF + timedelta(days=day - 1), made / "lake.yml")
            did = pipeline.run(made, os.environ, datetime.now(UTC), watch=watch)
        spent += time.monotonic() - began
        show.run(did)
        if code := did.exit_code(strict=False):
            return code
    _tell(made)
    out.print(f"Two days of {truth.made_with.transactions:,} transactions took {spent:.1f} s. Where to look next:\n")
    command = _command()
    out.print(
        f'  {command} -p {made} query "SELECT * FROM gold.charge_by_provider_department LIMIT 10"\n'
        f'  {command} -p {made} query "SELECT * FROM silver.patient_all WHERE is_quarantined"\n'
        f"  {command} -p {made} status          where every feed stands\n"
        f"  {command} -p {made} plan            what the next run would do, and why\n"
        f"  {made}/sources/hos-a.yml           how a hospital is connected: add a file, and there are three\n"
        "  docs/index.md                      everything else"
    )
    return 0


def _seen_from(day: date, page: Path) -> None:
    """The day stands in lake.yml, so that who runs the lake once more finds the figures that the demo has shown."""
    page.write_text(re.sub(r"^as_of: \S+", f"as_of: {day}", page.read_text("utf-8"), flags=re.MULTILINE), "utf-8")


def _command() -> str:
    """How the person called us: `make demo` has no `carelake` on the path."""
    called = Path(sys.argv[0])
    return os.path.relpath(called) if called.name == "carelake" and called.is_absolute() else "carelake"


def _tell(made: Path) -> None:
    out = show.console()
    out.print("\n[bold]KPIs of the second day[/]\n")
    for name in SHOWN:
        for told in kpis.read(made, name):
            show.kpi(told)
    out.print("[bold]What was loaded, refused and treated[/]\n")
    for title, question in QUESTIONS.items():
        out.print(f"[bold]{title}[/]")
        with door.ask(made, question) as batches:
            show.grid(batches)
        out.print()
    stored = sorted(declare.read(made).policy.stored.items())
    out.print("[bold]Stored in silver, by kind of fact (declarations/privacy.yml)[/]")
    out.print(", ".join(f"{kind}: {treatment}" for kind, treatment in stored) + "\n")


def _claim(folder: Path, marks: Sequence[str], fix: str, *, anew: bool = False) -> None:
    """Make `folder`, and mark it as one of ours; if `anew`, without what was in it.

    Raises `ProjectExists` for one that is not empty and has none of the marks, and for one that cannot be made.
    """
    try:
        if folder.exists() and any(folder.iterdir()):
            if not any((folder / mark).exists() for mark in marks):
                raise ProjectExists(f"{folder} is not empty, and what is in it was not made by this command.", fix)
            if anew:
                shutil.rmtree(folder)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / marks[0]).touch()
    except OSError:
        raise ProjectExists(f"{folder} cannot be made a folder, or not be written to.", fix) from None
