"""What a person sees on the terminal."""

from __future__ import annotations

import csv
import json
import os
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, TypeVar

import pyarrow as pa
from rich.console import Console
from rich.markup import escape
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from ..foresee import Foreseen
from ..migrate import Change
from ..project import Difference
from ..step import Run, Step
from .kpis import Kpi

Key = TypeVar("Key")
COLOUR = {"failed": "red", "warned": "yellow"}
OF = {"extract": "feeds", "refine": "tables", "build": "marts"}  # a step -> what it is a step of
QUIET = {  # what would be done to a thing that only waits for others -> how that is said
    "skip": "",
    "refine if rows land": "Refined if rows land",
    "build if its inputs change": "Built if its inputs change",
}
WIDE = 160  # columns, where the output is no terminal
NUMBERS = {"loads", "rows", "seconds", "current", "versions", "quarantined", "trusted", "broken", "of", "overall"}
ENDLESS = 1_000_000  # columns, to measure how wide a table would like to be
CONTROLS = dict.fromkeys({*range(32), *range(127, 160)} - {9, 10}, "\ufffd")  # they could steer the terminal
SHOWN = 50  # rows of an answer that is shown as a table


class Drawn(Console):
    """Where tables are drawn."""

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError  # rich would end with 1, as if it had failed


def console() -> Console:
    """Where tables are drawn."""
    return Drawn(highlight=False, width=None if sys.stdout.isatty() else WIDE)


@contextmanager
def progress(*, quiet: bool) -> Iterator[Callable[[Step], None]]:
    """What tells a person how far a run has come: on a terminal one line that changes, in a log one for each step."""
    columns, out = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn()), Console(stderr=True)
    if not quiet and not out.is_terminal:
        yield _logged
        return
    with Progress(*columns, console=out, transient=True, disable=quiet) as bar:
        task = bar.add_task("reading declarations")

        def watch(step: Step) -> None:
            bar.update(task, description=f"{step.step} {step.name}: {step.rows:,} rows", advance=1)

        yield watch


def _logged(step: Step) -> None:
    if step.outcome in {"unchanged", "inactive"}:
        return
    now, what = datetime.now(UTC).isoformat(sep=" ", timespec="seconds"), dict.fromkeys((step.step, step.name))
    try:
        print(f"{now} {' '.join(what)}: {step.outcome}, {step.rows:,} rows", file=sys.stderr)  # noqa: T201
    except OSError:  # a run goes on, whether anybody reads this or not
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())


def run(did: Run) -> None:
    """What a run did; what went wrong, once per cause; and in a few words what it had nothing to do for."""
    drawn = table("step", "name", "rows", "seconds", "found")
    for step in did.steps:
        if step.outcome == "done" or (step.outcome == "warned" and step.rows):
            found = step.found if step.outcome == "done" else "with warnings: see below"
            drawn.add_row(step.step, step.name, f"{step.rows:,}", f"{step.seconds:.2f}", escape(found))
    out = console()
    if drawn.row_count:
        out.print(drawn, "")
    troubles(did.steps)
    idle = [(step.found, step.name) for step in did.steps if step.outcome == "inactive"]
    moved = {(step.step, step.name) for step in did.steps if step.outcome != "unchanged"}
    still = {(step.step, step.name) for step in did.steps} - moved  # a table is refined twice if it is looked up too
    if unchanged := Counter(what for step, what in OF.items() for one, _ in still if one == step):
        out.print(f"[dim]Unchanged: {', '.join(f'{count} {what}' for what, count in unchanged.items())}.[/]")
    for why, names in _grouped(idle).items():
        out.print(f"[dim]Inactive ({escape(why)}): {', '.join(names)}.[/]")
    landed = sum(step.rows for step in did.steps if step.step == "extract")
    failed = any(step.outcome == "failed" for step in did.steps)
    nothing = "nothing is released: see what failed" if failed else "nothing new to release"
    released = f"release {did.released}" if did.released else nothing
    out.print(f"Run {did.run_id}, as of {did.as_of}: {landed:,} rows landed, {released}.")


def troubles(steps: Iterable[Step]) -> None:
    """What failed or warned: each cause once, with the names of all that it hit."""
    hit = [((s.outcome, s.step, s.cause), s.name) for s in steps if s.outcome in {"failed", "warned"}]
    for (outcome, step, cause), names in _grouped(hit).items():
        console().print(f"[{COLOUR[outcome]}]{outcome}[/]: {step} {', '.join(names)}\n{escape(cause)}\n")


def _grouped(pairs: Iterable[tuple[Key, str]]) -> dict[Key, list[str]]:
    """The names of each key, in the order in which they come."""
    groups: dict[Key, list[str]] = {}
    for key, name in pairs:
        groups.setdefault(key, []).append(name)
    return groups


def plan(steps: Sequence[Foreseen]) -> None:
    """What would run, in a row for each reason; below, what would not, or only if something comes of the rest."""
    drawn = table("step", "would", "why", "name")
    loud = [((step.step, step.would, step.why), step.name) for step in steps if step.would not in QUIET]
    for (step, would, why), names in _grouped(loud).items():
        drawn.add_row(step, would, escape(why), ", ".join(names))
    out = console()
    if drawn.row_count:
        out.print(drawn, "")
    skipped = [(f"Skipped ({one.why})", one.name) for one in steps if one.would == "skip"]
    later = [(QUIET[one.would], one.name) for one in steps if one.would in QUIET and one.would != "skip"]
    for what, names in _grouped([*later, *skipped]).items():
        out.print(f"[dim]{escape(what)}: {', '.join(names)}.[/]")


def status(told: Mapping[str, Any]) -> None:
    """What is in the lake."""
    out = console()
    release, last = told["release"], told["last_run"]
    out.print(
        f"Release {release['id']}, as of {release['as_of']}, of {shown(release['released_at'])}."
        if release
        else "Nothing is released yet: run `carelake run`."
    )
    for title, rows in (("Feeds", told["feeds"]), ("Tables", told["tables"])):
        if rows:
            drawn = table(*rows[0], title=title)
            for row in rows:
                drawn.add_row(*(escape(shown(value)) for value in row.values()))
            out.print("", drawn)
    if last:
        bad = [Step(row["step"], row["name"], row["outcome"], found=row["found"]) for row in last["steps"]]
        out.print(f"\nLast run: {last['run_id']}, as of {last['as_of']}: {last['rows']:,} rows landed.")
        troubles(bad)


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


def grid(batches: pa.RecordBatchReader, more: str = "`--format csv` writes them all") -> None:
    """The first rows of an answer: as a table, or a column a line where a table would be wider than the terminal."""
    rows: list[dict[str, Any]] = []
    count = 0
    for batch in batches:
        rows += batch.slice(0, SHOWN - len(rows)).to_pylist() if len(rows) < SHOWN else []
        count += batch.num_rows
    draw(batches.schema.names, [[str(_plain(value)) for value in row.values()] for row in rows])
    if count > SHOWN:
        console().print(f"{count:,} rows, of which {SHOWN} are shown: {more}.")


def draw(names: Sequence[str], rows: Sequence[Sequence[str]], title: str | None = None) -> None:
    """Rows under the names of their columns, or each row by itself where they would not fit side by side."""
    out = console()
    drawn = table(*names, title=title)
    rows = [[cell.translate(CONTROLS) for cell in row] for row in rows]
    for row in rows:
        drawn.add_row(*map(escape, row))
    if out.measure(drawn, options=out.options.update(width=ENDLESS)).maximum <= out.width:
        out.print(drawn)
        return
    if title:
        out.print(f"[bold]{escape(title)}[/]")
    left = max(map(len, names))
    for number, row in enumerate(rows, 1):
        out.print(f"[dim]-[ row {number:,} ]{'-' * left}[/]")
        for name, value in zip(names, row, strict=True):
            lines = value.replace("\n", f"\n{' ' * left} | ")
            out.print(Text(f"{name.ljust(left)} | {lines}"), soft_wrap=True)


STATED = ("as_of", "definition")  # said once below a KPI, not in every row


def kpi(told: Kpi) -> None:
    """One KPI: its figures, and below them the day and what they mean."""
    out = console()
    shown = [n for n, name in enumerate(told.columns) if name not in STATED]
    figures = [[str(_plain(row[n])) for n in shown] for row in told.rows]
    draw([told.columns[n] for n in shown], figures, f"{told.name} ({told.unit})")
    rows = [dict(zip(told.columns, row, strict=True)) for row in told.rows]
    for name in STATED:
        for text in dict.fromkeys(str(row[name]) for row in rows if row.get(name) is not None):
            out.print(f"[dim]{name}: {escape(text)}[/]")
    out.print()


def differences(found: Sequence[Difference], taken: Sequence[str] | None) -> None:
    """Which shipped files a project replaces, and how; and those that were `taken` as seen, if that was asked for."""
    out = console()
    if not found:
        out.print("The project replaces no shipped file.")
    for one in found:
        moved = one.moved_on and taken is None
        then = " [yellow]The shipped one has moved on: compare, then `carelake diff --accept`.[/]" if moved else ""
        out.print(f"[bold]{one.name}[/]{then}")
        out.print(escape("\n".join(one.lines)) or "The same as the shipped one: without it, yours would follow that.")
    if taken is not None:
        out.print(f"Taken as seen: {', '.join(taken)}." if taken else "Nothing had moved on since it was last seen.")


def migration(changes: Iterable[Change], dry_run: bool) -> None:
    """What migrating did, or would do."""
    out = console()
    drawn = table("table", "column", "change", "what next")
    for change in changes:
        drawn.add_row(change.table, change.column, change.change, change.fix)
    out.print(drawn if drawn.row_count else "The lake is as the declarations want it.")
    if dry_run and drawn.row_count:
        out.print("Nothing was changed: this was a dry run.")


def table(*columns: str, title: str | None = None) -> Table:
    """A table to fill and to print; numbers stand at the right."""
    drawn = Table(title=title, title_justify="left", box=None, pad_edge=False, header_style="bold")
    for name in columns:
        drawn.add_column(name, justify="right" if name in NUMBERS else "left")
    return drawn


def shown(value: Any) -> str:
    """A value of a status, as briefly as it can be said."""
    if isinstance(value, datetime):
        return f"{value.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
    return f"{value:,}" if isinstance(value, int) else str(_plain(value))


def _plain(value: Any) -> Any:
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else value
