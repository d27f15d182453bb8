"""Reconciliations, judged after the marts are built: two figures of each item, and what follows if they disagree.

What has the same inputs as the last time it was judged keeps its figures; its verdict is given anew, so that a changed
tolerance counts without a run of everything.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from . import accounts, bronze, comparison, gold, release
from .comparison import Comparison
from .engine import Engine
from .errors import EngineFailed, SqlUnfit
from .model import Feed, Reconciliation

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


@dataclass(frozen=True)
class _Unit:
    """What is judged: figures, and what they were made from."""

    of: Reconciliation
    part: str
    left_name: str
    right_name: str
    reads: tuple[str, ...]
    inputs: str
    figures: Callable[[], accounts.Figures]
    idle: str = ""  # why there is nothing to compare


def create(engine: Engine) -> None:
    """Make `audit.reconciliations` if it is not there."""
    engine.create(TABLE, COLUMNS)


def judge(lake: Lake, run_id: str, as_of: date, now: datetime) -> list[Result]:
    """Every reconciliation that is declared, over the tables as they stand now; kept in `audit.reconciliations`.

    Raises `SqlUnfit` for one that cannot be computed.
    """
    stored = latest(lake.engine)
    named = frozenset(feed.source for feed in lake.declared.feeds)
    judged = [
        (unit, _judged(unit, stored.get((unit.of.name, unit.part), []), named)) for unit in _units(lake, as_of, now)
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


def latest(engine: Engine) -> dict[tuple[str, str], list[dict[str, Any]]]:
    """(name, part) -> the rows of the last time it was judged."""
    if engine.version(TABLE) is None:
        return {}
    last = f"SELECT name, part, MAX(judgement) AS judgement FROM {TABLE} GROUP BY name, part"
    told = ", ".join(f"kept.{name}" for name in COLUMNS)
    same = "last.name = kept.name AND last.part = kept.part AND last.judgement = kept.judgement"
    asked = f"SELECT {told} FROM {TABLE} AS kept INNER JOIN ({last}) AS last ON {same} ORDER BY kept.item"
    found: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for row in engine.ask(asked).to_pylist():
        found.setdefault((row["name"], row["part"]), []).append(row)
    return found


def _inputs(stored: Mapping[tuple[str, str], Sequence[Mapping[str, Any]]], unit: _Unit) -> str | None:
    rows = stored.get((unit.of.name, unit.part))
    return rows[0]["inputs"] if rows else None


def _judged(unit: _Unit, before: Sequence[Mapping[str, Any]], named: frozenset[str]) -> Result:
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


def _figures(unit: _Unit) -> accounts.Figures:
    try:
        return unit.figures()
    except EngineFailed:
        found = f"the reconciliation '{unit.of.name}' cannot be computed over what is there."
        raise SqlUnfit(found, "Mend its SELECTs in reconciliations.yml: most often a text is no number.") from None


def _found(unit: _Unit, bad: Sequence[Row], of: int, named: frozenset[str]) -> str:
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


# --- what is judged ---------------------------------------------------------------------------------------------------


def _units(lake: Lake, as_of: date, now: datetime) -> Iterator[_Unit]:
    landed = accounts.loads(lake.engine)
    last = release.latest(lake.engine)
    released = last.tables if last else {}
    for compared in comparison.comparisons(lake.declared):
        yield _compared(lake, compared, as_of, landed, released)
    for one in lake.declared.reconciliations.values():
        if one.compares == "bronze_and_silver":
            yield from _refined(lake, one, landed)


def _refined(lake: Lake, one: Reconciliation, landed: Sequence[Mapping[str, Any]]) -> Iterator[_Unit]:
    """For each table: what its feeds landed is in it, held back, or was refused for a reason."""
    for table in lake.declared.tables:
        fed = [(feed.source, feed.name) for feed in lake.declared.feeds if feed.fills == table]
        reads = f"silver.{table}"
        inputs = _digest(gold.state(lake.engine, reads), str(landed[-1]["id"] if landed else 0))
        figures = _Counted(lake.engine, table, fed, landed)
        yield _Unit(one, table, "bronze", "silver and quarantine", (reads,), inputs, figures)


@dataclass(frozen=True)
class _Counted:
    engine: Engine
    table: str
    fed: Sequence[tuple[str, str]]
    landed: Sequence[Mapping[str, Any]]

    def __call__(self) -> accounts.Figures:
        return accounts.refined(self.engine, self.table, self.fed, self.landed)


def _compared(
    lake: Lake, one: Comparison, as_of: date, landed: Sequence[Mapping[str, Any]], released: Mapping[str, int]
) -> _Unit:
    """What SELECTs give the figures of."""
    states = {name: _state(lake, name, landed, released) for name in one.reads}
    absent = sorted(name for name, state in states.items() if not state.strip())
    idle = f"nothing to compare yet: there is no {', no '.join(absent)}" if absent else ""
    day = as_of.isoformat() if "$as_of" in one.left + one.right else ""
    inputs = _digest(one.left, one.right, day, *(f"{name} {state}" for name, state in sorted(states.items())))
    figures = _Asked(lake, one, as_of, released)
    return _Unit(one.of, one.part, one.left_name, one.right_name, one.reads, inputs, figures, idle)


def _state(lake: Lake, name: str, landed: Sequence[Mapping[str, Any]], released: Mapping[str, int]) -> str:
    """What tells one state of a relation from another; empty if it is not there."""
    layer, _, table = name.partition(".")
    if layer == "released":
        return str(released.get(f"gold.{table}", ""))
    if layer == "bronze":
        feed = _feed(lake, name)
        mine = [load["id"] for load in landed if (load["data_source"], load["feed"]) == (feed.source, feed.name)]
        return str(mine[-1]) if mine else ""
    return gold.state(lake.engine, name)


def _feed(lake: Lake, relation: str) -> Feed:
    return next(feed for feed in lake.declared.feeds if feed.relation == relation)


@dataclass(frozen=True)
class _Asked:
    lake: Lake
    one: Comparison
    as_of: date
    released: Mapping[str, int]

    def __call__(self) -> accounts.Figures:
        engine = self.lake.engine
        shown = [_shown(self.lake, name, self.released) for name in self.one.reads if name.startswith(_APART)]
        try:
            rows = engine.ask(comparison.side_by_side(self.one.left, self.one.right), self.as_of).to_pylist()
        finally:
            engine.let_go(*(name for names in shown for name in names))
        return [(row["item"], row["left_figure"], row["right_figure"]) for row in rows]


_APART = tuple(f"{layer}." for layer in comparison.APART)


def _shown(lake: Lake, name: str, released: Mapping[str, int]) -> tuple[str, ...]:
    """Let SELECTs read what is no table of the lake: a mart as it was released, or what a feed holds in bronze."""
    layer, _, table = name.partition(".")
    relation = f"{comparison.APART[layer]}{table}"
    if layer == "released":
        lake.engine.recall(relation, f"gold.{table}", released[f"gold.{table}"])
        return (relation,)
    feed, raw = _feed(lake, name), f"{relation}_landed"
    lake.engine.show(raw, bronze.files(lake.bronze, lake.ledger.loads(feed)))
    lake.engine.hold(relation, bronze.standing(feed, raw))
    return (relation, raw)


def _digest(*told: str) -> str:
    return hashlib.sha256("\n".join(told).encode()).hexdigest()


def _as_rows(unit: _Unit, result: Result) -> Iterator[dict[str, Any]]:
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
