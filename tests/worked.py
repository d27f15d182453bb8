"""Tables that a person wrote, as data: the grids of a mart's page, and those of the tests."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from sql_engines import SqlEngine

from carelake.gold import in_order
from carelake.model import Declarations
from carelake.plan import HIDDEN, SHOWN, TIMELINE, stored_columns
from carelake.sql import tables_of

Row = Mapping[str, str]


@dataclass(frozen=True)
class Example:
    mart: str
    title: str
    as_of: date
    given: Mapping[str, list[Row]]
    expect: list[Row]
    whole: bool  # the mart gives these rows and no others

    def __str__(self) -> str:
        return f"{self.mart}: {self.title}"


def examples(folder: Path) -> list[Example]:
    return [example for page in sorted(folder.glob("*/*.md")) for example in read_examples(page)]


def read_examples(page: Path) -> list[Example]:
    intro, *sections = re.split(r"^## ", page.read_text(encoding="utf-8"), flags=re.M)
    return [read_example(page.stem, section, intro) for section in sections]


def read_example(mart: str, section: str, intro: str) -> Example:
    title, body = section.split("\n", 1)
    as_of = re.findall(r"as of (\d{4}-\d\d-\d\d)", intro + body)[-1]
    grids = re.findall(r"^(given \S+|expect some|expect)\n+((?:\|.*\n?)+)", body, flags=re.M)
    given = {word.removeprefix("given "): read_grid(grid) for word, grid in grids if word.startswith("given")}
    ((word, expect),) = ((word, read_grid(grid)) for word, grid in grids if word.startswith("expect"))
    return Example(mart, title, date.fromisoformat(as_of), given, expect, word == "expect")


def read_grid(grid: str) -> list[Row]:
    header, _, *rows = ([cell.strip() for cell in line.strip().split("|")[1:-1]] for line in grid.strip().splitlines())
    return [dict(zip(header, row, strict=True)) for row in rows]


def columns_of_relation(relation: str, declared: Declarations) -> Mapping[str, str]:
    """Name -> SQL type of what a mart sees of `silver.x` or `reference.x`."""
    layer, name = relation.split(".")
    if layer == "silver":
        told = stored_columns(declared.tables[name.removesuffix("_history")], declared.policy)
        held = [n for n in TIMELINE if n not in HIDDEN] if name.endswith("_history") else SHOWN
        return {**{n: t for n, t in told.items() if n not in TIMELINE}, **{n: TIMELINE[n] for n in held}}
    if relation == "reference.setting":
        return {"name": "TEXT", "value": "TEXT"}
    return dict.fromkeys(declared.references[name].columns, "TEXT")


def selected(rows: Sequence[Row], types: Mapping[str, str]) -> str:
    """Rows as a portable SELECT of all the columns of `types`: an empty cell is NULL, and so is a column not named."""
    named = list(rows[0]) if rows else []
    told = ", ".join("(" + ", ".join(literal(row[name]) for name in named) + ")" for row in rows)
    columns = ", ".join(
        f"CAST({name if name in named else 'NULL'} AS {kind}) AS {name}" for name, kind in types.items()
    )
    source = f"(VALUES {told}) AS told({', '.join(named)})" if rows else "(SELECT 1 AS n) AS nobody WHERE n = 0"
    return f"SELECT {columns} FROM {source}"


def literal(cell: str) -> str:
    return "'" + cell.replace("'", "''") + "'" if cell else "NULL"


def build(
    engine: SqlEngine, declared: Declarations, mart: str, given: Mapping[str, Sequence[Row]], as_of: date
) -> None:
    """`gold.<mart>` and all it reads: the tables that are `given`, and empty ones for those that are not."""
    for relation in tables_of(declared.marts[mart].select):
        layer, name = relation.split(".")
        if layer == "gold":
            build(engine, declared, name, given, as_of)
        else:
            engine.define(relation, selected(given.get(relation, []), columns_of_relation(relation, declared)))
    engine.define(f"gold.{mart}", declared.marts[mart].select, as_of)


def build_all(engine: SqlEngine, declared: Declarations, given: Mapping[str, Sequence[Row]], as_of: date) -> None:
    """Every mart, once, and all that they read."""
    read = {relation for mart in declared.marts.values() for relation in tables_of(mart.select)}
    for relation in sorted(relation for relation in read if not relation.startswith("gold.")):
        engine.define(relation, selected(given.get(relation, []), columns_of_relation(relation, declared)))
    for mart in in_order(declared.marts):
        engine.define(f"gold.{mart.name}", mart.select, as_of)


def shown(value: object) -> str:
    """A cell of a result, as a person would write it."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "" if value is None else str(value)
