"""Reconciliations -> the pairs of SELECTs that give their figures. Pure: nothing here opens a table."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cache

from sqlglot import exp

from . import recompute, sql
from .model import Declarations, Mart, Reconciliation

FIGURE = "DECIMAL(28, 4)"
VERDICTS = ("failed", "warned", "holds", "idle")  # the gravest first; idle where there is nothing to compare
STANDARD_ERRORS = 3  # of a count: beyond that, it is not chance
APART = {"released": "released_", "bronze": "bronze_"}  # layers that are no tables of the lake -> a relation of the run


@dataclass(frozen=True)
class Comparison:
    """One reconciliation over one thing, as SQL. `part` is the mart it is instantiated for, if it is."""

    of: Reconciliation
    part: str
    left: str  # SELECT of item and figure
    right: str
    left_name: str
    right_name: str
    behind: str | None = None

    @property
    def reads(self) -> tuple[str, ...]:
        return tuple(sorted({*_tables_of(self.left), *_tables_of(self.right)}))


def comparisons(declared: Declarations) -> Iterator[Comparison]:
    """Those that SELECTs give the figures of: the declared ones, and for every fact that it holds what silver does."""
    for one in declared.reconciliations.values():
        if one.sides:
            left, right = one.sides
            yield Comparison(one, "", left.select, right.select, left.name, right.name, one.behind)
        elif one.compares == "silver_and_gold":
            yield from (carried for mart in declared.marts.values() for carried in _carried(one, mart))


def _carried(one: Reconciliation, mart: Mart) -> Iterator[Comparison]:
    """A fact has a row for each row of a silver table, and every amount that it takes over as it stands."""
    fact = _fact(mart.select)
    if fact is None or "source_system" not in fact.columns:
        return
    table = fact.driver.removeprefix("silver.")
    amounts = [c.name for c in mart.columns if c.type == "money" and c.name in fact.columns]
    here, there = fact.driver, f"gold.{mart.name}"
    left, right = _totals(here, mart.name, amounts), _totals(there, mart.name, amounts)
    key = f"{table}_key"
    behind = _unlike(fact.driver, mart.name, key, amounts) if key in fact.columns else None
    yield Comparison(one, mart.name, left, right, here, there, behind)


# A process judges more than once: each test does.
@cache
def _fact(select: str) -> recompute.Fact | None:
    """The fact of all rows that a SELECT makes; None if it makes none, or leaves some out."""
    fact = recompute.fact(select)
    return None if fact is None or sql.tree_of(select).find(exp.Where) else fact


@cache
def _tables_of(select: str) -> tuple[str, ...]:
    return tuple(sql.tables_of(select))


def _totals(relation: str, mart: str, amounts: Sequence[str]) -> str:
    """Rows, and the sum of each amount, by source system."""
    figures = {"rows": "rows_seen", **{name: f"sum_of_{name}" for name in amounts}}
    sums = ", ".join(["COUNT(*) AS rows_seen", *(f"SUM({name}) AS sum_of_{name}" for name in amounts)])
    each = (
        f"SELECT '{mart}.{name} of ' || source_system AS item, COALESCE({figure}, 0) AS figure FROM total"
        for name, figure in figures.items()
    )
    return f"WITH total AS (SELECT source_system, {sums} FROM {relation} GROUP BY source_system) " + " UNION ALL ".join(
        each
    )


def _unlike(driver: str, mart: str, key: str, amounts: Sequence[str]) -> str:
    """The keys of rows that one side lacks, has more than once, or has with another amount."""
    told = ", ".join(["source_system", key, *amounts])
    grouped = f"SELECT {told}, COUNT(*) AS times FROM {{}} GROUP BY {told}"
    one, other = grouped.format(driver), grouped.format(f"gold.{mart}")
    return (
        f"SELECT source_system, {key} FROM (({one} EXCEPT {other}) UNION ALL ({other} EXCEPT {one})) AS unlike"
        f" GROUP BY source_system, {key}"
    )


def side_by_side(left: str, right: str) -> str:
    """Both figures of each item. One that a side does not name is 0 there."""
    sums = "SELECT COALESCE(CAST(item AS TEXT), '') AS item, SUM(figure) AS figure FROM ({}) AS given GROUP BY 1"
    return (
        f"SELECT COALESCE(expected.item, found.item) AS item,"
        f" CAST(COALESCE(expected.figure, 0) AS {FIGURE}) AS left_figure,"
        f" CAST(COALESCE(found.figure, 0) AS {FIGURE}) AS right_figure"
        f" FROM ({sums.format(_apart(left))}) AS expected FULL JOIN ({sums.format(_apart(right))}) AS found"
        f" ON expected.item = found.item ORDER BY item"
    )


@cache
def _apart(select: str) -> str:
    """`select` with a relation of the run in place of what is no table of the lake."""
    tree = sql.tree_of(select).copy()
    for table in tree.find_all(exp.Table):
        if table.db in APART:
            held = exp.to_table(f"{APART[table.db]}{table.name}")
            table.replace(exp.alias_(held, table.alias_or_name, table=True))
    return tree.sql(sql.HOME)


def verdict(one: Reconciliation, left: Decimal, right: Decimal) -> str:
    """`holds`, or what follows: `warned` or `failed`."""
    beyond = {"equal": abs(right - left), "at_least": left - right, "at_most": right - left}[one.right_is]
    by_chance = one.beyond_chance and beyond**2 <= STANDARD_ERRORS**2 * abs(left)
    if beyond <= abs(left) * one.tolerated or by_chance:
        return "holds"
    return "failed" if one.otherwise == "stop" else "warned"


def worst(verdicts: Iterable[str]) -> str:
    """The gravest of several verdicts."""
    return min(verdicts, key=VERDICTS.index, default="idle")
