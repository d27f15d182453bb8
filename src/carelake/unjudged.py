"""Which rules cannot be judged of which source, and why: it does not have what they look at. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from sqlglot import exp

from . import quality, sql
from .model import Declarations, Feed, Rule, Table

VIEWS = ("_history", "_all")  # of a silver table, beside the one of its own name


@dataclass(frozen=True)
class Unjudged:
    table: str
    rule: str
    source: str
    why: str


def unjudged(declared: Declarations) -> list[Unjudged]:
    """Every rule that cannot be judged of a source that fills its table."""
    return [
        Unjudged(table.name, rule.name, source, why)
        for table in declared.tables.values()
        for source in sorted({feed.source for feed in declared.feeds if feed.fills == table.name})
        for rule in (*table.rules, *quality.set_rules_of(table))
        for why in _reasons(declared, table, rule, source)
    ]


def _reasons(declared: Declarations, table: Table, rule: Rule, source: str) -> Iterator[str]:
    """At most one reason."""
    mine = [feed for feed in declared.feeds if feed.source == source]
    filled, anybody = ({feed.fills for feed in feeds} for feeds in (mine, declared.feeds))
    others = [name for name in quality.beside(rule.must) if name not in filled]
    tables = (name.removeprefix("silver.") for name in sql.tables_of(rule.must) if name.startswith("silver."))
    unknown = [name for name in map(_without_view, tables) if name not in anybody]
    empty = _empty(table, [feed for feed in mine if feed.fills == table.name])
    if others or unknown:
        yield f"{source} has no {', '.join(others)}" if others else f"nothing fills {', '.join(unknown)}"
    elif is_null(sql.tree_of(rule.must), empty):
        lacking = [name for name in quality.columns_of(rule.must) if name in empty]
        yield f"{source} does not have {', '.join(lacking)}"


def _without_view(name: str) -> str:
    view = next((view for view in VIEWS if name.endswith(view)), "")
    return name.removesuffix(view)


def _empty(table: Table, feeds: Collection[Feed]) -> set[str]:
    """The columns that no feed of a source fills with anything."""
    told = {name for feed in feeds for name, says in feed.columns.items() if says.strip().upper() != "NULL"}
    return {column.name for column in table.columns} - told - {"source_system"}


def is_null(tree: exp.Expr | None, empty: Collection[str]) -> bool:
    """Whether SQL is NULL in every row, if these columns are. False where that is not certain."""
    if tree is None or isinstance(tree, exp.Null):
        return True
    if isinstance(tree, exp.Column):
        return not tree.table and tree.name in empty
    if isinstance(tree, exp.Is | exp.Window | exp.Query):
        return False
    if isinstance(tree, exp.In):
        return is_null(tree.this, empty)
    if isinstance(tree, exp.Case):
        given = [when.args["true"] for when in tree.args["ifs"]]
        return all(is_null(one, empty) for one in (*given, tree.args.get("default")))
    children = list(tree.iter_expressions())
    if isinstance(tree, exp.And | exp.Or | exp.Coalesce):  # NULL AND FALSE is FALSE
        return all(is_null(child, empty) for child in children)
    return any(is_null(child, empty) for child in children)
