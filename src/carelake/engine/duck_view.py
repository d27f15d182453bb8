"""One version of a Delta table, as SELECTs for DuckDB."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import pyarrow as pa
from deltalake import DeltaTable
from sqlglot import exp

from .revision import latest, quoted, revised_by
from .stored import files_of, sql_type

PART, PLACE = "_lake_part", "_lake_place"  # where a row lies: the number of its file, and its own within that
# Which row of its folder a row is, by DuckDB's own columns: `.../part-0001.parquet` and the number within that file.
PART_ROWS = 1_000_000_000  # more than a part has
NUMBER = (
    f"CAST(SUBSTRING(filename, LENGTH(filename) - 11, 4) AS BIGINT) * {PART_ROWS} + file_row_number"  # see Engine.show
)


def view_of(delta: DeltaTable) -> str:
    """The SELECT that reads one version of a Delta table. Not through `to_pyarrow_dataset()`, whose filters on decimals
    lose rows.
    """
    names = [field.name for field in delta.schema().fields]
    if revision := revised_by(names):
        return latest(names, all_of(delta), revision)
    return f"SELECT {', '.join(map(quoted, names))} FROM {all_of(delta)}"


def all_of(delta: DeltaTable) -> str:
    """The relation of every row of every file, with every column of the table, also those that are in no file yet."""
    return _rows(delta, {})


def placed(delta: DeltaTable) -> str:
    """The same, and where each row lies among the files of the version."""
    return _rows(delta, {PART: "file_index", PLACE: "file_row_number"})


def _rows(delta: DeltaTable, beside: Mapping[str, str]) -> str:
    typed = {field.name: sql_type(field.type) for field in pa.schema(delta.schema().to_arrow())}
    nothing = (
        f"CAST(NULL AS {kind}) AS {quoted(name)}" for name, kind in {**typed, **dict.fromkeys(beside, "BIGINT")}.items()
    )
    empty, files = f"SELECT {', '.join(nothing)} WHERE FALSE", files_of(delta)
    told = ", ".join(["*", *(f"{number} AS {name}" for name, number in beside.items())])
    return f"({empty} UNION ALL BY NAME SELECT {told} FROM {parquet(files)})" if files else f"({empty})"


def has_overruled(delta: DeltaTable, revision: str) -> str:
    """Whether a row has a revision at all: told by the statistics of the files, most often."""
    return f"SELECT EXISTS (SELECT 1 FROM {all_of(delta)} AS stored WHERE {quoted(revision)} > 0)"


def overruled(delta: DeltaTable, identity: Sequence[str], revision: str, gone: str) -> str:
    """Where the rows lie that do not stand: see `Engine.stand`."""
    same = " AND ".join(f"revised.{quoted(name)} = known.{quoted(name)}" for name in identity)
    told, rows, last = ", ".join(map(quoted, identity)), placed(delta), quoted(revision)
    revised = f"SELECT {told}, MAX({last}) AS latest FROM {rows} AS later WHERE {last} > 0 GROUP BY {told}"
    return (
        f"SELECT known.{PART}, known.{PLACE} FROM {rows} AS known LEFT JOIN ({revised}) AS revised ON {same}"
        f" WHERE known.{quoted(gone)} OR COALESCE(known.{last}, 0) < revised.latest"
    )


def without(delta: DeltaTable, relation: str, columns: Iterable[str]) -> str:
    """The rows of a version but for those whose places `relation` names: numbers are compared faster than keys."""
    names = ", ".join(map(quoted, columns))
    same = f"{relation}.{PART} = known.{PART} AND {relation}.{PLACE} = known.{PLACE}"
    return f"SELECT {names} FROM {placed(delta)} AS known ANTI JOIN {relation} ON {same}"


@lru_cache(maxsize=10_000)
def _text(path: str) -> str:
    return exp.Literal.string(path).sql("duckdb")


def parquet(files: Sequence[Any]) -> str:
    listed = ", ".join(_text(str(file)) for file in files)
    return f"read_parquet([{listed}], union_by_name = true, hive_partitioning = false)"
