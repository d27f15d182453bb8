"""Which rows of a mart a change of its inputs can reach. Pure: read from its SELECT, and nothing is run.

A fact has one row for each row of a silver table (its driver), with what that row looks up elsewhere: `FROM driver LEFT
JOIN other ON other.column = <something of the driver>`, nothing grouped, ranked or cut off. Then a change of the driver
reaches the rows of its keys; a change of what is looked up, those that look it up; and another `$as_of`, those whose
date it is compared with lies in between. All others stand as they are, and need not be computed anew.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cache

import sqlglot
from sqlglot import exp

from .sql import HOME, tree_of

COMPARED = (exp.GT, exp.GTE, exp.LT, exp.LTE, exp.EQ, exp.NEQ)
NOT_OF_ONE_ROW = (exp.AggFunc, exp.Window, exp.Subquery, exp.Query, exp.Exists)
CUTS = ("group", "having", "distinct", "limit", "offset", "qualify", "order", "windows", "sample")


@dataclass(frozen=True)
class Lookup:
    table: str
    column: str  # of the table, by which it is looked up
    used: tuple[str, ...]  # columns of the table that the mart reads, that one among them
    by: str  # SQL over columns of the driver


@dataclass(frozen=True)
class Fact:
    driver: str
    columns: tuple[str, ...]  # of the driver that come out of the mart under their own names
    lookups: tuple[Lookup, ...]
    days: tuple[str, ...] | None  # columns of the driver that are compared with $as_of; None if it is used otherwise


def proven(select: str, key: str) -> Fact | None:
    """What a SELECT says of itself, if it is a fact's with the key of its driver, `silver.<table>`; None if that cannot
    be shown.
    """
    found = fact(select)
    if found is None or found.days is None or key not in found.columns:
        return None
    return found if found.driver == f"silver.{key.removesuffix('_key')}" else None


@cache
def fact(select: str) -> Fact | None:
    """What a SELECT says of itself, if it is a fact's, whatever its key."""
    tree = tree_of(select)
    if not isinstance(tree, exp.Select) or not _is_by_row(tree, len(tree.args.get("joins") or [])):
        return None
    inner = _inner(tree)
    if inner is None:
        return None
    driver, alias, passed = inner
    own = {c.name for c in tree.expressions if isinstance(c, exp.Column) and c.table in ("", alias)}
    lookups = [_lookup(tree, join, alias, passed) for join in tree.args.get("joins") or []]
    ctes = {cte.alias for cte in tree.ctes}
    if None in lookups or not _is_qualified(tree, lookups):
        return None
    found = tuple(one for one in lookups if one and one.table not in ctes)
    if _read_beside(tree) & {driver, *(one.table for one in found)}:
        return None  # a change of it would reach more than those who look it up
    kept = tuple(name for name in own if passed is None or name in passed)
    return Fact(driver, kept, found, _days(tree, alias, passed))


def _read_beside(tree: exp.Select) -> set[str]:
    """What is read by CTEs that are not between the SELECT and its driver."""
    begin = tree.args["from_"].this.name
    return {_name(table) for cte in tree.ctes if cte.alias != begin for table in cte.find_all(exp.Table)}


def over(rows: str, select: str) -> str:
    """The `select` of a fact, over `rows`, a SELECT from its driver, instead of all that its driver has."""
    tree = tree_of(select).copy()
    driver = next(_first(tree).find_all(exp.Table))
    some = sqlglot.parse_one(rows, dialect=HOME)  # its keys are of this once
    driver.replace(exp.Subquery(this=some, alias=exp.TableAlias(this=exp.to_identifier(driver.alias_or_name))))
    return tree.sql(HOME)


def reached(fact: Fact, key: str, changed: Sequence[tuple[str, str]], between: tuple[date, date] | None) -> str:
    """The keys of the driver's rows that look up one of `changed` (SQL over the driver, relation of one column), or
    whose days lie between two dates, both included. They are literals: `$as_of` is one date only.
    """
    conditions = [f"{by} IN (SELECT * FROM {relation})" for by, relation in changed]
    if between:
        first, last = (f"CAST('{day.isoformat()}' AS DATE)" for day in sorted(between))
        conditions += [f"{day} BETWEEN {first} AND {last}" for day in fact.days or ()]
    return f"SELECT {key} FROM {fact.driver} WHERE {' OR '.join(conditions) or 'FALSE'}"


def _inner(tree: exp.Select) -> tuple[str, str, frozenset[str] | None] | None:
    """The driver, its alias, and the columns that a CTE between the two hands on as they are (None without a CTE)."""
    table = tree.args["from_"].this if tree.args.get("from_") else None
    if not isinstance(table, exp.Table):
        return None
    cte = next((cte.this for cte in tree.ctes if cte.alias == table.name and not table.db), None)
    if cte is None:
        return _name(table), table.alias_or_name, None
    below = cte.args["from_"].this if isinstance(cte, exp.Select) and cte.args.get("from_") else None
    if not isinstance(below, exp.Table) or not below.db or not _is_by_row(cte, 0):
        return None
    passed = frozenset(column.name for column in cte.expressions if isinstance(column, exp.Column))
    return _name(below), table.alias_or_name, passed


def _first(tree: exp.Expr) -> exp.Expr:
    """The part of a SELECT that reads its driver."""
    begin: exp.From = tree.args["from_"]
    return next((cte.this for cte in tree.find_all(exp.CTE) if cte.alias == begin.this.name), begin)


def _is_by_row(select: exp.Select, joins: int) -> bool:
    """Whether it makes of each row one row, or none."""
    cut = any(select.args.get(word) for word in CUTS) or len(select.args.get("joins") or []) != joins
    parts = [*select.expressions, *filter(None, [select.args.get("where")])]
    return not cut and not any(isinstance(node, NOT_OF_ONE_ROW) for part in parts for node in part.walk())


def _is_qualified(tree: exp.Select, lookups: Sequence[Lookup | None]) -> bool:
    """Whether each column of a SELECT with joins says whose it is."""
    return not lookups or all(column.table for part in _own_parts(tree) for column in part.find_all(exp.Column))


def _own_parts(tree: exp.Select) -> Iterator[exp.Expr]:
    yield from tree.expressions
    yield from filter(None, [tree.args.get("where")])
    yield from tree.args.get("joins") or []


def _lookup(tree: exp.Select, join: exp.Join, alias: str, passed: frozenset[str] | None) -> Lookup | None:
    """What a LEFT JOIN looks up; None if the join is of another sort."""
    on, table = join.args.get("on"), join.this
    if join.side != "LEFT" or not isinstance(on, exp.EQ) or not isinstance(table, exp.Table):
        return None
    other = table.alias_or_name
    sides = [(on.left, on.right), (on.right, on.left)]
    pair = next(((a, b) for a, b in sides if isinstance(a, exp.Column) and a.table == other), None)
    if pair is None or not _is_of(pair[1], alias, passed):
        return None
    used = {column.name for part in _own_parts(tree) for column in part.find_all(exp.Column) if column.table == other}
    by = pair[1].copy().transform(lambda node: exp.column(node.name) if isinstance(node, exp.Column) else node)
    return Lookup(_name(table), pair[0].name, tuple(sorted(used)), by.sql(HOME))


def _is_of(node: exp.Expr, alias: str, passed: frozenset[str] | None) -> bool:
    """Whether it is made of the driver's own columns."""
    if any(isinstance(one, (*NOT_OF_ONE_ROW, exp.Placeholder)) for one in node.walk()):
        return False
    columns = list(node.find_all(exp.Column))
    return bool(columns) and all(c.table == alias and (passed is None or c.name in passed) for c in columns)


def _days(tree: exp.Select, alias: str, passed: frozenset[str] | None) -> tuple[str, ...] | None:
    days: set[str] = set()
    for day in tree.find_all(exp.Placeholder):
        compared = day.parent
        sides = [compared.left, compared.right] if isinstance(compared, COMPARED) else []
        other = next((side for side in sides if side is not day), None)
        if not isinstance(other, exp.Column) or other.table not in ("", alias):
            return None
        if passed is not None and other.table == alias and other.name not in passed:
            return None
        days.add(other.name)
    return tuple(sorted(days))


def _name(table: exp.Table) -> str:
    return ".".join(part.name for part in table.parts)
