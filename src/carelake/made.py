"""How the columns of silver are made, for as long as an epoch of their table lasts: `audit.silver_columns`."""

from __future__ import annotations

from collections.abc import Mapping

import pyarrow as pa

from . import plan
from .engine import Engine
from .model import Declarations

TABLE = "audit.silver_columns"
COLUMNS = {"table_name": "TEXT", "column_name": "TEXT", "made_as": "TEXT", "epoch": "BIGINT"}
SAME = {  # how DuckDB and Spark name the types of a stored table -> how declarations do
    "VARCHAR": "TEXT", "TIMESTAMP WITH TIME ZONE": "TIMESTAMPTZ", "STRING": "TEXT", "TIMESTAMP": "TIMESTAMPTZ",
}  # fmt: skip


def known(engine: Engine, began: Mapping[str, int]) -> dict[tuple[str, str], str]:
    """(table, column) -> how its stored values were made, in the epochs that tables `began`; else in their first."""
    if engine.version(TABLE) is None:
        return {}
    rows = engine.ask(f"SELECT * FROM {plan.widened(TABLE, engine.columns(TABLE), COLUMNS)} AS noted").to_pylist()
    mine = [row for row in rows if (row["epoch"] or 1) == began.get(row["table_name"], 1)]
    return {(row["table_name"], row["column_name"]): row["made_as"] for row in mine}


def note(engine: Engine, declared: Declarations, began: Mapping[str, int]) -> None:
    """Note how each column is made that is not known yet."""
    engine.create(TABLE, COLUMNS)
    there = known(engine, began)
    new = [
        {"table_name": table.name, "column_name": column, "made_as": how, "epoch": began.get(table.name, 1)}
        for table in declared.tables.values()
        for column, how in plan.made_as(table, declared.policy).items()
        if (table.name, column) not in there
    ]
    if new:
        engine.lend("new_columns", pa.Table.from_pylist(new))
        engine.append(TABLE, "SELECT * FROM new_columns")
        engine.let_go("new_columns")


def spelled(kind: str) -> str:
    """The name of a type, as engines and declarations alike."""
    name = kind.upper().replace(", ", ",")
    return SAME.get(name, name)
