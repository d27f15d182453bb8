"""How a source's column is asked for, and the Arrow type it becomes: exact, the same at every load. Pure.

What the driver would get wrong is asked for as text. What cannot be written in the column's type at all (NaN in a
`numeric(18,2)`, a date of the year 20000) is marked in the source, turned into NULL here, and counted.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import pyarrow as pa
import pyarrow.compute as pc

Dialect = Literal["postgres", "mysql", "tsql", "sqlite"]  # by sqlglot's names

# ConnectorX holds a number in 96 bits with 10 decimals: 28 digits, and not more than 18 before the point.
WIRE_DIGITS, WIRE_DECIMALS, WIRE_WHOLE = 28, 10, 18
NO_NUMBER = 5 * 10**WIRE_WHOLE  # no number of at most 18 digits before the point
NO_DATE = 2_932_897  # the days from 1970 to 10000-01-01
MICROSECONDS = 86_400_000_000  # of a day

DATES = "CASE WHEN {0} BETWEEN '0001-01-01' AND '9999-12-31' THEN {0} WHEN {0} IS NOT NULL THEN '10000-01-01' END"
TIMES = DATES.replace("'9999-12-31'", "'9999-12-31 23:59:59.999999'")
NUMBERS = f"CASE WHEN {{0}} = 'NaN' THEN {NO_NUMBER} ELSE {{0}} END"
UNITS = NUMBERS.replace("ELSE {0}", "ELSE ({0} * {units})::int8")  # cents, say: half the driver's work
UTC_TIME = pa.timestamp("us", tz="UTC")

Recipe = tuple[str, pa.DataType]  # SQL with the column at {0}, and what its values are in Arrow

POSTGRES: Mapping[str, Recipe] = {
    "smallint": ("{0}", pa.int16()),
    "integer": ("{0}", pa.int32()),
    "bigint": ("{0}", pa.int64()),
    "boolean": ("{0}", pa.bool_()),
    "text": ("{0}", pa.string()),
    "character varying": ("{0}", pa.string()),
    "date": (DATES, pa.date32()),
    "timestamp without time zone": (TIMES, pa.timestamp("us")),
    "timestamp with time zone": (TIMES, UTC_TIME),
    "bytea": ("ENCODE({0}, 'hex')", pa.string()),
    "money": ("{0}::numeric::text", pa.string()),  # without a currency sign
}

# Dates are text here, since `0000-00-00` may stand in them. A TIMESTAMP is read in a session of UTC, and says so.
MYSQL: Mapping[str, Recipe] = {
    "tinyint": ("{0}", pa.int8()),
    "smallint": ("{0}", pa.int16()),
    "mediumint": ("{0}", pa.int32()),
    "int": ("{0}", pa.int32()),
    "bigint": ("{0}", pa.int64()),
    "year": ("{0}", pa.int16()),
    "tinyint unsigned": ("{0}", pa.int16()),
    "smallint unsigned": ("{0}", pa.int32()),
    "mediumint unsigned": ("{0}", pa.int32()),
    "int unsigned": ("{0}", pa.int64()),
    "bigint unsigned": ("{0}", pa.decimal128(20, 0)),
    "float": ("{0}", pa.string()),  # not CAST AS CHAR, which keeps six digits
    "timestamp": ("CONCAT(CAST({0} AS CHAR), '+00')", pa.string()),
    "bit": ("CAST(CAST({0} AS UNSIGNED) AS CHAR)", pa.string()),
    **{
        name: ("{0}", pa.string())
        for name in ("char", "varchar", "tinytext", "text", "mediumtext", "longtext", "enum", "set")
    },
    **{
        name: ("LOWER(HEX({0}))", pa.string())
        for name in ("binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob")
    },
}

TSQL: Mapping[str, Recipe] = {
    "tinyint": ("CAST({0} AS SMALLINT)", pa.int16()),
    "smallint": ("{0}", pa.int16()),
    "int": ("{0}", pa.int32()),
    "bigint": ("{0}", pa.int64()),
    "bit": ("{0}", pa.bool_()),
    "money": ("CONVERT(VARCHAR(40), {0}, 2)", pa.decimal128(19, 4)),
    "smallmoney": ("CONVERT(VARCHAR(40), {0}, 2)", pa.decimal128(10, 4)),
    "real": ("CONVERT(VARCHAR(40), {0}, 3)", pa.string()),
    "float": ("CONVERT(VARCHAR(40), {0}, 3)", pa.string()),
    "date": ("CONVERT(VARCHAR(10), {0}, 23)", pa.string()),
    "datetimeoffset": ("CONVERT(VARCHAR(40), {0}, 127)", pa.string()),
    **{name: ("CONVERT(VARCHAR(40), {0}, 121)", pa.string()) for name in ("datetime", "smalldatetime", "datetime2")},
    **{
        name: ("LOWER(CONVERT(VARCHAR(MAX), CAST({0} AS VARBINARY(MAX)), 2))", pa.string())
        for name in ("binary", "varbinary", "image", "timestamp", "rowversion")
    },
}

RECIPES: Mapping[Dialect, Mapping[str, Recipe]] = {"postgres": POSTGRES, "mysql": MYSQL, "tsql": TSQL, "sqlite": {}}
AS_TEXT: Mapping[Dialect, str] = {
    "postgres": "{0}::text",
    "mysql": "CAST({0} AS CHAR)",
    "tsql": "CONVERT(NVARCHAR(MAX), {0})",
    "sqlite": "{0}",  # a declared type binds nothing there: `sql_stream` writes each value out
}


@dataclass(frozen=True)
class Stored:
    """A column as the catalogue writes it: `numeric(18,2)`, `int(10) unsigned`, `character varying(30)`."""

    name: str
    declared: str

    @property
    def base(self) -> str:
        """The type's name without its arguments."""
        return " ".join(re.sub(r"\(.*?\)", " ", self.declared.lower()).replace(" zerofill", "").split())

    @property
    def arguments(self) -> tuple[int, ...]:
        found = re.search(r"\(\s*(-?\d+(?:\s*,\s*-?\d+)*)\s*\)", self.declared)
        return tuple(int(number) for number in found[1].split(",")) if found else ()


@dataclass
class Reading:
    """How one column is asked for, what it becomes, and how many of its values did not fit."""

    name: str
    sql: str  # with the column at {0}
    type: pa.DataType
    lost: int = field(default=0, compare=False)


def reading(dialect: Dialect, column: Stored, *, as_text: bool = False) -> Reading:
    """How `column` is read. `as_text` is the feed's own word (`types: {column: text}`)."""
    if not as_text and _is_decimal(column):
        return Reading(column.name, *_decimal(dialect, *_digits(dialect, column)))
    if dialect == "sqlite" and not as_text and is_whole(dialect, column):
        return Reading(column.name, "{0}", pa.int64())
    sql, arrow = RECIPES[dialect].get(column.base, (AS_TEXT[dialect], pa.string()))
    if as_text and arrow != pa.string():
        sql, arrow = AS_TEXT[dialect], pa.string()
    return Reading(column.name, sql, arrow)


def is_whole(dialect: Dialect, column: Stored) -> bool:
    """Whether it holds whole numbers."""
    if dialect == "sqlite":
        return "int" in column.base  # the database's own rule of affinity
    return column.base.removesuffix(" unsigned") in {"tinyint", "smallint", "mediumint", "int", "integer", "bigint"}


def _is_decimal(column: Stored) -> bool:
    return column.base.removesuffix(" unsigned") in {"numeric", "decimal"}


def _digits(dialect: Dialect, column: Stored) -> tuple[int, int]:
    """Digits, and how many of them behind the point; (0, 0) where PostgreSQL sets no bound."""
    if not column.arguments:
        return {"postgres": (0, 0), "mysql": (10, 0)}.get(dialect, (18, 0))
    return (*column.arguments, 0)[:2]  # type: ignore[return-value]


def _decimal(dialect: Dialect, digits: int, decimals: int) -> Recipe:
    if dialect == "sqlite" or not 0 < digits <= WIRE_DIGITS or not 0 <= decimals <= min(digits, WIRE_DECIMALS):
        return AS_TEXT[dialect], pa.string()
    if dialect == "postgres" and digits <= WIRE_WHOLE:
        return UNITS.replace("{units}", str(10**decimals)), pa.decimal128(digits, decimals)
    by_wire = dialect != "tsql" and digits - decimals <= WIRE_WHOLE
    plain = NUMBERS if dialect == "postgres" else "{0}"
    return plain if by_wire else AS_TEXT[dialect], pa.decimal128(digits, decimals)


def fit(batch: pa.RecordBatch, readings: Sequence[Reading], schema: pa.Schema) -> pa.RecordBatch:
    """The batch in the types promised. What does not fit is NULL, and is counted in its reading."""
    columns = [_fitted(column, reading) for column, reading in zip(batch.columns, readings, strict=True)]
    return pa.record_batch(columns, schema=schema)


def _fitted(column: pa.Array, reading: Reading) -> pa.Array:
    strange = _strange(column, reading.type)
    if strange is not None:
        reading.lost += pc.sum(strange).as_py() or 0
        column = pc.if_else(strange, pa.scalar(None, column.type), column)
    if pa.types.is_decimal(reading.type) and pa.types.is_int64(column.type):
        return column.cast(pa.decimal128(19, 0)).view(reading.type)
    return column if column.type == reading.type else column.cast(reading.type)


def _strange(column: pa.Array, wanted: pa.DataType) -> pa.Array | None:
    """Which values the source marked as not to be written in their type; None if there are none."""
    if pa.types.is_date32(wanted):
        column, limit = column.view(pa.int32()), NO_DATE
    elif pa.types.is_timestamp(wanted):
        column, limit = column.view(pa.int64()), NO_DATE * MICROSECONDS
    elif pa.types.is_decimal(wanted) and (pa.types.is_decimal(column.type) or pa.types.is_int64(column.type)):
        limit = NO_NUMBER
    elif pa.types.is_decimal(wanted) and pa.types.is_string(column.type):
        found = pc.equal(column, "NaN")
        return found if pc.any(found).as_py() else None
    else:
        return None
    greatest = pc.max(column).as_py()
    return None if greatest is None or greatest < limit else pc.greater_equal(column, pa.scalar(limit, column.type))


WHOLE = frozenset({"int8", "int16", "int32", "int64"})


def type_changes(
    before: Mapping[str, str], schema: pa.Schema, declared: Mapping[str, str]
) -> Iterator[tuple[str, str, str]]:
    """Columns (with old and new type) that turned into another family and were not told to by the feed's `types`.

    The same family and what holds all of it are no change: more digits, whole numbers to decimals, dates to times.
    """
    old = {name.lower(): arrow for name, arrow in before.items()}
    told = {name.lower() for name in declared}
    for column in schema:
        was, now = old.get(column.name.lower()), str(column.type)
        if was is not None and column.name.lower() not in told and not _holds(_family(now), _family(was)):
            yield column.name, was, now


def _holds(now: str, was: str) -> bool:
    return now == was or (was, now) in {("whole", "decimal"), ("date", "timestamp[us]")}


def _family(arrow: str) -> str:
    if arrow in WHOLE:
        return "whole"
    if "string" in arrow:
        return "text"
    return next((family for family in ("decimal", "date") if arrow.startswith(family)), arrow)
