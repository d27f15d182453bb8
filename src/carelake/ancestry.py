"""What a column is made of, step by step down to the columns of its sources. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from . import leaks
from .check import bare_column
from .errors import LakeError, choose
from .model import VIEWS, Declarations, Table
from .reach import Reach, Untraceable


class ColumnUnknown(LakeError):
    code = "LAKE-151"
    exit_code = 10
    why = "Lineage is told of the columns that the declarations make."


@dataclass(frozen=True)
class Step:
    """One column, and one that it is made of."""

    depth: int  # 0 for what was asked for
    column: str  # relation and column; of a source its feed and what is read there
    kind: str  # empty for what a source has
    how: str  # how it reaches the column above it; empty for what was asked for
    over: tuple[str, ...] = ()  # the columns of CTEs that it passes on the way


def told(declared: Declarations, column: str) -> list[Step]:
    """The column, `gold.mart.column` or `silver.table.column`, and everything that it is made of.

    Raises `ColumnUnknown`.
    """
    relation, _, name = column.rpartition(".")
    known = leaks.kinds(declared)
    if name not in known.get(relation, {}):
        names = [f"{one}.{each}" for one, held in known.items() for each in held]
        raise ColumnUnknown(f"there is no column '{column[:80]}'.", choose(column, names))
    return list(_below(declared, Step(0, column, known[relation][name], "")))


def _below(declared: Declarations, step: Step) -> Iterator[Step]:
    yield step
    layer, relation, name = step.column.split(".")
    if layer == "gold":
        for reach in _reaching(declared, relation, name):
            yield from _below(declared, Step(step.depth + 1, reach.leaf, reach.kind, reach.how, reach.path))
    elif layer == "silver":
        yield from _of_silver(declared, _table(declared, relation), name, step.depth + 1)


def _reaching(declared: Declarations, mart: str, column: str) -> list[Reach]:
    try:
        return sorted(leaks.flows(declared, declared.marts[mart])[column], key=lambda one: (one.how, one.leaf))
    except Untraceable:
        return []  # no project with such a mart loads


def _table(declared: Declarations, relation: str) -> Table:
    """The table that a view of silver shows."""
    return next(table for name, table in declared.tables.items() if relation in {f"{name}{view}" for view in VIEWS})


def _of_silver(declared: Declarations, table: Table, name: str, depth: int) -> Iterator[Step]:
    minted = {table.own_key: table.key, **{key: ("source_system", column) for key, column in table.refers.items()}}
    made_of = minted.get(name) or ((table.sequence_by,) if name in leaks.TIMES else (name,))
    for feed in declared.feeds:
        if feed.fills == table.name:
            for column in made_of:
                if expression := feed.columns.get(column):
                    read = bare_column(expression) or expression
                    how = "minted from" if name in minted else "ordered by" if name in leaks.TIMES else "mapped from"
                    yield Step(depth, f"{feed.source}.{feed.name}: {read}", "", how)
