"""Reconciliations, judged after the marts are built: two figures of each item, and what follows if they disagree.

What has the same inputs as the last time it was judged keeps its figures; its verdict is given anew, so that a changed
tolerance counts without a run of everything.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from . import accounts, comparison, gate, reckoning
from .engine import Engine
from .errors import EngineFailed, SqlUnfit
from .model import Reconciliation
from .plan import instant
from .reckoning import Unit

if TYPE_CHECKING:
    from .lake import Lake  # which makes the table

TABLE = "audit.reconciliations"
COLUMNS = {
    "judgement": "BIGINT", "run_id": "TEXT", "name": "TEXT", "part": "TEXT", "item": "TEXT", "left_name": "TEXT",
    "left_figure": comparison.FIGURE, "right_name": "TEXT", "right_figure": comparison.FIGURE,
    "difference": comparison.FIGURE, "right_is": "TEXT", "tolerated": "DECIMAL(18, 6)", "otherwise": "TEXT",
    "verdict": "TEXT", "found": "TEXT", "as_of": "DATE", "judged_at": "TIMESTAMPTZ", "inputs": "TEXT",
}  # fmt: skip
VERDICTS = comparison.VERDICTS
EXIT_CODE = 31
CODE = "LAKE-311"
LOOK = "`carelake reconcile {}` shows both figures of each item, and the rows behind them."


@dataclass(frozen=True)
class Row:
    """One item: both figures, and what they say."""

    item: str
    left: Decimal | None
    right: Decimal | None
    verdict: str  # holds, warned, failed; idle where there is nothing to compare

    @property
    def difference(self) -> Decimal | None:
        return None if self.left is None or self.right is None else self.right - self.left


@dataclass(frozen=True)
class Result:
    """A reconciliation, judged: over everything, or over one `part` that it is made for."""

    of: Reconciliation
    part: str
    left_name: str
    right_name: str
    reads: tuple[str, ...]
    rows: tuple[Row, ...]
    found: str  # what is wrong and what to do, or why there is nothing to compare
    is_new: bool  # whether figures or verdicts are others than the last time

    @property
    def verdict(self) -> str:
        return comparison.worst(row.verdict for row in self.rows)


def create(engine: Engine) -> None:
    """Make `audit.reconciliations` if it is not there."""
    engine.create(TABLE, COLUMNS)


def judge(lake: Lake, run_id: str, as_of: date, now: datetime, without: frozenset[str] = frozenset()) -> list[Result]:
    """Every reconciliation that is declared, over the tables as they stand now; kept in `audit.reconciliations`. Those
    that read one of the tables and marts `without` are left out.

    Raises `SqlUnfit` for one that cannot be computed.
    """
    stored = latest(lake.engine)
    named = frozenset(feed.source for feed in lake.declared.feeds)
    judged = [
        (unit, _judged(unit, stored.get((unit.of.name, unit.part), []), named))
        for unit in reckoning.units(lake, as_of, now)
        if not without & gate.relations(lake.declared, unit.reads)
    ]
    kept = [
        row
        for unit, result in judged
        if result.is_new or _inputs(stored, unit) != unit.inputs
        for row in _as_rows(unit, result)
    ]
    if kept:
        number = (lake.engine.version(TABLE) or 0) + 1
        shared = {"judgement": number, "run_id": run_id, "as_of": as_of, "judged_at": now}
        lake.engine.lend("reconciled", pa.Table.from_pylist([{**row, **shared} for row in kept], _SCHEMA))
        lake.engine.append(TABLE, "SELECT * FROM reconciled")
        lake.engine.let_go("reconciled")
    return [result for _, result in judged]


def latest(engine: Engine, until: datetime | None = None) -> dict[tuple[str, str], list[dict[str, Any]]]:
    """(name, part) -> the rows of the last time it was judged, by now or `until` then."""
    if engine.version(TABLE) is None:
        return {}
    then = f" WHERE judged_at <= {instant(until)}" if until else ""
    last = f"SELECT name, part, MAX(judgement) AS judgement FROM {TABLE}{then} GROUP BY name, part"
    told = ", ".join(f"kept.{name}" for name in COLUMNS)
    same = "last.name = kept.name AND last.part = kept.part AND last.judgement = kept.judgement"
    asked = f"SELECT {told} FROM {TABLE} AS kept INNER JOIN ({last}) AS last ON {same} ORDER BY kept.item"
    found: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for row in engine.ask(asked).to_pylist():
        found.setdefault((row["name"], row["part"]), []).append(row)
    return found


def _inputs(stored: Mapping[tuple[str, str], Sequence[Mapping[str, Any]]], unit: Unit) -> str | None:
    rows = stored.get((unit.of.name, unit.part))
    return rows[0]["inputs"] if rows else None


def _judged(unit: Unit, before: Sequence[Mapping[str, Any]], named: frozenset[str]) -> Result:
    """The result of one unit; of unchanged inputs, with the figures of `before`."""
    if unit.idle:
        figures = None
    elif before and before[0]["inputs"] == unit.inputs and before[0]["left_figure"] is not None:
        figures = [(row["item"], row["left_figure"], row["right_figure"]) for row in before]
    else:
        figures = _figures(unit)
    rows = [Row(item, left, right, comparison.verdict(unit.of, left, right)) for item, left, right in figures or []]
    rows = rows or [Row("", None, None, "idle")]
    told = [(row["item"], row["left_figure"], row["right_figure"], row["verdict"]) for row in before]
    is_new = [(row.item, row.left, row.right, row.verdict) for row in rows] != told
    found = unit.idle or _found(unit, [row for row in rows if row.verdict in {"failed", "warned"}], len(rows), named)
    return Result(unit.of, unit.part, unit.left_name, unit.right_name, unit.reads, tuple(rows), found, is_new)


def _figures(unit: Unit) -> accounts.Figures:
    try:
        return unit.figures()
    except EngineFailed:
        found = f"the reconciliation '{unit.of.name}' cannot be computed over what is there."
        raise SqlUnfit(found, "Mend its SELECTs in reconciliations.yml: most often a text is no number.") from None


def _found(unit: Unit, bad: Sequence[Row], of: int, named: frozenset[str]) -> str:
    """Both numbers of the gravest item, and what to do. It is named unless a row of a source can have made its name."""
    if not bad:
        return ""
    worst = max(bad, key=lambda row: abs(row.difference or Decimal(0)))
    is_ours = unit.of.sides is None or worst.item in named
    where = f", {worst.item}" if is_ours else ""
    others = f" {len(bad):,} of {of:,} items disagree; this is the worst." if of > 1 else ""
    numbers = (
        f"{unit.left_name} says {plain(worst.left)}, {unit.right_name} {plain(worst.right)}:"
        f" {plain(worst.difference)} apart."
    )
    next_step = " ".join(filter(None, [unit.of.fix, LOOK.format(unit.of.name)]))
    return f"{unit.of.name}{where}: {numbers}{others}\n    {unit.of.about}\n    {next_step}"


def plain(figure: Decimal | None) -> str:
    """A figure as people write it: to the cent, where it has cents."""
    if figure is None:
        return ""
    return f"{figure:,.0f}" if figure == figure.to_integral_value() else f"{figure:,.2f}"


def _as_rows(unit: Unit, result: Result) -> Iterator[dict[str, Any]]:
    for row in result.rows:
        yield {
            "name": unit.of.name,
            "part": unit.part,
            "item": row.item,
            "left_name": unit.left_name,
            "left_figure": row.left,
            "right_name": unit.right_name,
            "right_figure": row.right,
            "difference": row.difference,
            "right_is": unit.of.right_is,
            "tolerated": unit.of.tolerated,
            "otherwise": unit.of.otherwise,
            "verdict": row.verdict,
            "found": result.found if row.verdict != "holds" else "",
            "inputs": unit.inputs,
        }


_KINDS = {
    "BIGINT": pa.int64(), "TEXT": pa.string(), "DATE": pa.date32(), "TIMESTAMPTZ": pa.timestamp("us", "UTC"),
    comparison.FIGURE: pa.decimal128(28, 4), "DECIMAL(18, 6)": pa.decimal128(18, 6),
}  # fmt: skip
_SCHEMA = pa.schema([(name, _KINDS[kind]) for name, kind in COLUMNS.items()])
