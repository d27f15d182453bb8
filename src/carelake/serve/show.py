"""What a person sees on the terminal."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import pyarrow as pa
from rich.console import Console
from rich.markup import escape
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from ..foresee import Foreseen
from ..migrate import Change
from ..pipeline import Run, Step
from ..project import Difference
from .kpis import Kpi

COLOUR = {"done": "green", "failed": "red", "warned": "yellow", "inactive": "dim", "unchanged": "dim"}
WIDE = 160  # columns, where the output is no terminal
SHOWN = 50  # rows of an answer that is shown as a table


def console() -> Console:
    """Where tables are drawn."""
    return Console(highlight=False, width=None if sys.stdout.isatty() else WIDE)


@contextmanager
def progress(*, quiet: bool) -> Iterator[Callable[[Step], None]]:
    """What tells a person how far a run has come."""
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True, disable=quiet) as bar:
        task = bar.add_task("reading declarations")

        def watch(step: Step) -> None:
            bar.update(task, description=f"{step.step} {step.name}: {step.rows:,} rows", advance=1)

        yield watch


def run(did: Run) -> None:
    """What a run did, and what it did not."""
    table = _table("step", "name", "outcome", "rows", "seconds", "found")
    for step in did.steps:
        if step.outcome != "unchanged":
            found = step.found if step.outcome != "failed" else step.found.splitlines()[0]
            colour = COLOUR[step.outcome]
            cells = (step.step, step.name, f"[{colour}]{step.outcome}[/]", f"{step.rows:,}", f"{step.seconds:.2f}")
            table.add_row(*cells, escape(found))
    out = console()
    out.print(table)
    for step in did.steps:
        if step.outcome in {"failed", "warned"}:
            out.print(f"[{COLOUR[step.outcome]}]{step.step} {step.name}[/]: {escape(step.found)}\n")
    landed = sum(step.rows for step in did.steps if step.step == "extract")
    released = f"release {did.released}" if did.released else "nothing new to release"
    idle = [step.name for step in did.steps if step.outcome == "inactive"]
    out.print(f"Run {did.run_id}, as of {did.as_of}: {landed:,} rows landed, {released}.")
    if idle:
        out.print(f"Inactive: {', '.join(idle)}.")


def plan(steps: Sequence[Foreseen]) -> None:
    """What would run, and why."""
    table = _table("step", "name", "would", "why")
    for step in steps:
        table.add_row(step.step, step.name, step.would, escape(step.why))
    console().print(table)


def status(told: Mapping[str, Any]) -> None:
    """What is in the lake."""
    out = console()
    release = told["release"]
    out.print(f"Release {release['id']}, as of {release['as_of']}." if release else "Nothing is released yet.")
    for title, rows in (("Feeds", told["feeds"]), ("Last run", told["last_run"]), ("Tables", told["tables"])):
        if rows:
            table = _table(*rows[0], title=title)
            for row in rows:
                table.add_row(*("" if value is None else escape(str(value)) for value in row.values()))
            out.print(table)


def answer(batches: pa.RecordBatchReader, form: str) -> None:
    """The answer to a question, in the form that was asked for."""
    if form == "csv":
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(batches.schema.names)
        for batch in batches:
            writer.writerows(zip(*(map(_plain, column.to_pylist()) for column in batch.columns), strict=True))
    elif form == "json":
        for batch in batches:
            for row in batch.to_pylist():
                print(json.dumps(row, default=str))  # noqa: T201 - the answer itself
    else:
        grid(batches)


def grid(batches: pa.RecordBatchReader) -> None:
    """The first rows of an answer, as a table."""
    rows: list[dict[str, Any]] = []
    count = 0
    for batch in batches:
        rows += batch.slice(0, SHOWN - len(rows)).to_pylist() if len(rows) < SHOWN else []
        count += batch.num_rows
    table = _table(*batches.schema.names)
    for row in rows:
        table.add_row(*(escape(str(_plain(value))) for value in row.values()))
    console().print(table)
    if count > SHOWN:
        console().print(f"{count:,} rows, of which {SHOWN} are shown: `--format csv` writes them all.")


STATED = ("as_of", "definition")  # said once below a KPI, not in every row


def kpi(told: Kpi) -> None:
    """One KPI: its figures, and below them the day and what they mean."""
    out = console()
    shown = [n for n, name in enumerate(told.columns) if name not in STATED]
    table = _table(*(told.columns[n] for n in shown), title=f"{told.name} ({told.unit})")
    for row in told.rows:
        table.add_row(*(escape(str(_plain(row[n]))) for n in shown))
    out.print(table)
    rows = [dict(zip(told.columns, row, strict=True)) for row in told.rows]
    for name in STATED:
        for text in dict.fromkeys(str(row[name]) for row in rows if row.get(name) is not None):
            out.print(f"[dim]{name}: {escape(text)}[/]")
    out.print()


def differences(found: Sequence[Difference]) -> None:
    """Which shipped files a project replaces, and how."""
    out = console()
    if not found:
        out.print("The project replaces no shipped file.")
    for one in found:
        moved = (
            " [yellow]The shipped one has moved on: compare, then `carelake diff --accept`.[/]" if one.moved_on else ""
        )
        out.print(f"[bold]{one.name}[/]{moved}")
        out.print(escape("\n".join(one.lines)))


def migration(changes: Iterable[Change], dry_run: bool) -> None:
    """What migrating did, or would do."""
    out = console()
    table = _table("table", "column", "change", "what next")
    for change in changes:
        table.add_row(change.table, change.column, change.change, change.fix)
    out.print(table if table.row_count else "The lake is as the declarations want it.")
    if dry_run and table.row_count:
        out.print("Nothing was changed: this was a dry run.")


def _table(*columns: str, title: str | None = None) -> Table:
    table = Table(title=title, title_justify="left", box=None, pad_edge=False, header_style="bold")
    for name in columns:
        table.add_column(name, justify="right" if name in {"rows", "seconds"} else "left")
    return table


def _plain(value: Any) -> Any:
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else value
