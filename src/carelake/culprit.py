"""Which line of the declarations an engine could not compute: each is asked by itself, once something has failed.

An engine's own words would say it too, and are never shown: they quote the value that it stumbled over.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlglot import exp

from . import plan, sql
from .engine import Engine
from .errors import EngineFailed, LakeError, SourceColumnMissing, SqlUnfit
from .model import Feed, Mart, Table


def in_table(engine: Engine, table: Table, feeds: Sequence[Feed], failed: EngineFailed) -> LakeError:
    """What to say of a refinement that failed while its pending rows are shown; `failed` itself if nothing is found."""
    if failed.lacks_memory:
        return failed
    for feed in feeds:
        there = engine.columns(plan.pending(feed))
        for name, expression in feed.columns.items() if there else ():
            if missing := _missing(expression, there):
                found = f"{feed.source}.{feed.name} has no column {', '.join(missing)}, from which {name} is made."
                fix = f"Mend the feed in sources/{feed.source}.yml. It has: {', '.join(_own(there))}."
                return SourceColumnMissing(found, fix)
    for what, select in plan.apart(table, [feed for feed in feeds if engine.columns(plan.pending(feed))]):
        if not _computes(engine, select):
            return SqlUnfit(f"{what} cannot be computed.", "Look at the types of the columns that it names.")
    return failed


def in_mart(engine: Engine, mart: Mart, failed: EngineFailed) -> LakeError:
    """What to say of a mart that an engine could not build."""
    if failed.lacks_memory:
        return failed
    read = (f"{name}({', '.join(_columns(engine, name))})" for name in sorted(sql.tables_of(mart.select)))
    return SqlUnfit(f"the mart gold.{mart.name} cannot be computed.", f"It reads: {'; '.join(read)}.")


def _columns(engine: Engine, name: str) -> list[str]:
    return list(engine.ask(f"SELECT * FROM {name} WHERE FALSE").column_names)


def _missing(expression: str, there: dict[str, str]) -> list[str]:
    known = {name.lower() for name in there}
    columns = sql.tree_of(expression).find_all(exp.Column)
    return sorted({column.name for column in columns if column.name.lower() not in known})


def _own(there: dict[str, str]) -> list[str]:
    return [name for name in there if name not in (plan.SEQUENCE, plan.DELETED, plan.NUMBER)]


def _computes(engine: Engine, select: str) -> bool:
    try:
        engine.ask(f"SELECT COUNT(told) AS n FROM ({select}) AS asked")
    except EngineFailed:
        return False
    return True
