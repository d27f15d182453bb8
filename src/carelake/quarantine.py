"""What is held back: how much, why, since when; one row of it; all of a table for who mends it. Nothing is changed.

Rows are shown as silver would show them, with tokens for identifiers. What a source had told stays in bronze.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, TextIO

from . import amend, plan, quality, suppressions, timeline
from .errors import RepairRefused, choose
from .lake import Lake
from .model import Table
from .repair import Correction, address

DAYS = "quarantine_days"  # the setting that says how many days a row may wait
SEEN = "silver."  # how the names of columns begin in a file for who mends rows: they say, and are not taken back
NOTHING = "(nothing)"  # what stands in a cell of such a file for no value
BECAUSE = {amend.AMBIGUOUS: "another row of its load has its key and time, and tells something else"}


@dataclass(frozen=True)
class Waits:
    """How many rows wait for one reason. A row that has several is counted under each."""

    table: str
    rule: str
    source: str
    rows: int
    mended: int  # of which a later, trusted version of their key is there
    overdue: int  # of the others, those that wait for longer than they may
    since: datetime  # the oldest


@dataclass(frozen=True)
class Row:
    """One row that is held back."""

    id: str
    table: str
    source: str
    feed: str
    reasons: Mapping[str, str]  # rule -> why there is such a rule
    since: datetime
    mended: bool
    shows: Mapping[str, Any]  # as silver would show it
    corrects: Sequence[str]  # columns of its source that can be corrected


def known(lake: Lake, table: str) -> Table:
    """The table of that name. Raises `RepairRefused`."""
    if table not in lake.declared.tables:
        raise RepairRefused(f"there is no table '{table[:60]}'.", choose(table, lake.declared.tables))
    return lake.declared.tables[table]


def days(lake: Lake) -> int:
    """How many days a row may wait."""
    return int(lake.declared.settings[DAYS].value)


def waits(lake: Lake, now: datetime, table: str = "", rule: str = "", source: str = "") -> list[Waits]:
    """How many rows are held back, by table, rule and source; the most first."""
    limit = now - timedelta(days=days(lake))
    tables = [known(lake, table)] if table else lake.declared.tables.values()
    found = [one for each in tables for one in _waits(lake, each, limit)]
    return [one for one in found if rule in {"", one.rule} and source in {"", one.source}]


def _waits(lake: Lake, table: Table, limit: datetime) -> Iterator[Waits]:
    overdue = f"NOT is_mended AND quarantined_at < {plan.instant(limit)}"
    told = lake.engine.ask(
        "SELECT source_system, quarantine_reasons AS why, COUNT(*) AS n, MIN(quarantined_at) AS since,"
        f" COUNT(CASE WHEN is_mended THEN 1 END) AS mended, COUNT(CASE WHEN {overdue} THEN 1 END) AS overdue"
        f" FROM {_held(lake, table)} AS held GROUP BY source_system, quarantine_reasons"
    ).to_pylist()
    pairs = [(row["source_system"], rule, row) for row in told for rule in row["why"].split(";")]
    for source, rule in sorted({(source, rule) for source, rule, _ in pairs}):
        mine = [row for one, named, row in pairs if (one, named) == (source, rule)]
        rows, mended, late = (sum(row[name] for row in mine) for name in ("n", "mended", "overdue"))
        yield Waits(table.name, rule, source, rows, mended, late, min(row["since"] for row in mine))


def _held(lake: Lake, table: Table) -> str:
    """What is held back of a table; `is_mended` says whether its key has a later version that is trusted."""
    policy, held, stored = lake.declared.policy, f"quarantine.{table.name}", f"silver.{table.name}_versions"
    columns, versions = plan.quarantine_columns(table, policy), plan.stored_columns(table, policy)
    waiting = plan.widened(held, lake.engine.columns(held), columns)
    waiting = suppressions.without(suppressions.hidden(lake.engine), lake.declared.person_key, waiting, columns)
    standing = timeline.standing(table, policy, plan.widened(stored, lake.engine.columns(stored), versions))
    later = f"SELECT {table.own_key}, MAX({plan.LOAD}) AS later FROM ({standing}) AS version WHERE is_current"
    mended = f"later.later >= held.{plan.LOAD}"
    return (
        f"(SELECT held.*, COALESCE({mended}, FALSE) AS is_mended FROM {waiting} AS held LEFT JOIN"
        f" ({later} GROUP BY {table.own_key}) AS later ON later.{table.own_key} = held.{table.own_key})"
    )


def rows(lake: Lake, table: str = "", rule: str = "", source: str = "") -> Iterator[Mapping[str, Any]]:
    """Id, table, source, reasons and day of every row that is held back, in the order of their ids."""
    for each in [known(lake, table)] if table else lake.declared.tables.values():
        asked = (
            f"SELECT {plan.LOAD}, {plan.ROW}, source_system, quarantine_reasons AS why, quarantined_at AS since,"
            f" is_mended FROM {_held(lake, each)} AS held ORDER BY {plan.LOAD}, {plan.ROW}"
        )
        for row in lake.engine.ask(asked).to_pylist():
            if source in {"", row["source_system"]} and (not rule or rule in row["why"].split(";")):
                yield {
                    "id": _id(row),
                    "table": each.name,
                    "source": row["source_system"],
                    "rules": row["why"],
                    "since": row["since"],
                    "mended": row["is_mended"],
                }


def _id(row: Mapping[str, Any]) -> str:
    """Empty of a row that was held back before rows had ids: `carelake reprocess` gives it one."""
    return "" if row[plan.ROW] is None else f"{row[plan.LOAD]}-{row[plan.ROW]}"


def row(lake: Lake, told: str) -> Row:
    """One row that is held back. Raises `RepairRefused` if there is none of that id."""
    place = address(told)
    for table in lake.declared.tables.values() if place else ():
        where = f"{plan.LOAD} = {place[0]} AND {plan.ROW} = {place[1]}" if place else "FALSE"
        for found in lake.engine.ask(f"SELECT * FROM {_held(lake, table)} AS held WHERE {where}").to_pylist():
            return _row(lake, table, found)
    raise RepairRefused(f"no row of the id '{told[:30]}' is held back.")


def _row(lake: Lake, table: Table, found: Mapping[str, Any]) -> Row:
    load = next(one for feed in lake.declared.feeds for one in lake.ledger.loads(feed) if one.id == found[plan.LOAD])
    because = {rule.name: rule.because for rule in quality.counted(table)} | BECAUSE
    shown = [name for name in plan.stored_columns(table, lake.declared.policy) if name not in plan.TIMELINE]
    reasons = found["quarantine_reasons"].split(";")
    return Row(
        id=_id(found),
        table=table.name,
        source=load.feed.source,
        feed=load.feed.name,
        reasons={rule: because.get(rule, "a rule that is declared no more") for rule in reasons},
        since=found["quarantined_at"],
        mended=found["is_mended"],
        shows={name: found[name] for name in shown if name != plan.TRACKED},
        corrects=list(load.schema),
    )


# --- files for who mends rows ----------------------------------------------------------------------------------------


def export(lake: Lake, table: str, out: Path) -> int:
    """Write what is held back of a table to a new CSV, in which corrections can be filled in; how many rows.

    Raises `RepairRefused` if the file is there already.
    """
    each = known(lake, table)
    held = lake.engine.ask(f"SELECT * FROM {_held(lake, each)} AS held ORDER BY {plan.LOAD}, {plan.ROW}").to_pylist()
    told = [one for one in held if one[plan.ROW] is not None]
    shown = [name for name in plan.stored_columns(each, lake.declared.policy) if name not in plan.TIMELINE]
    brought = {one[plan.LOAD] for one in told}
    loads = (load for feed in lake.declared.feeds for load in lake.ledger.loads(feed) if load.id in brought)
    own = dict.fromkeys(name for load in loads for name in load.schema)
    with _new(out) as file:
        lines = csv.writer(file)
        lines.writerow(["id", f"{SEEN}quarantine_reasons", *(f"{SEEN}{name}" for name in shown), *own])
        for one in told:
            lines.writerow([_id(one), one["quarantine_reasons"], *(one[name] for name in shown), *[""] * len(own)])
    return len(told)


def persons(lake: Lake, table: str, column: str) -> list[int]:
    """The keys of persons, in `column`, of all that is held back of a table; none if it has no such column."""
    held = f"quarantine.{known(lake, table).name}"
    if column not in lake.engine.columns(held):
        return []
    told = lake.engine.ask(f"SELECT DISTINCT {column} AS key FROM {held} WHERE NOT {column} IS NULL")
    return [int(key) for key in told["key"].to_pylist()]


def _new(out: Path) -> TextIO:
    """A new file that only its owner may read."""
    try:
        return os.fdopen(os.open(out, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8", newline="")
    except OSError:
        found = "the file cannot be made: it is there already, or its folder is not."
        raise RepairRefused(found, "Name a new file.") from None


def corrections(path: Path) -> list[Correction]:
    """What a CSV says of how rows should have been: `id`, and columns of their source. An empty cell corrects nothing.

    Raises `RepairRefused`.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            header, *lines = [*csv.reader(file)] or [[]]
    except (OSError, UnicodeDecodeError, csv.Error):
        raise RepairRefused("the file cannot be read as a CSV in UTF-8.", "Save it as CSV, in UTF-8.") from None
    if "id" not in header or len(set(header)) < len(header):
        raise RepairRefused("the file has no column 'id', or two columns of one name.", "Begin with an export.")
    if uneven := [number for number, line in enumerate(lines, 2) if line and len(line) != len(header)]:
        raise RepairRefused(f"line {uneven[0]} has not as many cells as the header.", "Mend that line.")
    told = ((number, dict(zip(header, line, strict=True))) for number, line in enumerate(lines, 2) if line)
    return [Correction(f"line {number}", cells["id"].strip(), _given(cells)) for number, cells in told if _given(cells)]


def _given(cells: Mapping[str, str]) -> dict[str, str | None]:
    own = {name: cell for name, cell in cells.items() if name != "id" and not name.startswith(SEEN)}
    return {name: None if cell == NOTHING else cell for name, cell in own.items() if cell}
