"""Catalogue and bounds in, SQL in the source's own dialect out. Pure: nothing is run here.

ConnectorX binds no parameters, so values stand in the text: names and texts are quoted by sqlglot, numbers checked.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import pyarrow as pa
from sqlglot import exp

from .sql_types import AS_TEXT, Dialect, Reading, Stored, is_whole
from .sql_watermark import FIRST, OFFSET, Kind, Window

KeyKind = Literal["number", "text"]

TEXT_KEYS = frozenset({"char", "varchar", "nchar", "nvarchar", "text", "date", "uuid"})
TEXT_KEYS |= {"character", "character varying"}  # as PostgreSQL spells them


@dataclass(frozen=True)
class Relation:
    """A table or view, as the catalogue describes it."""

    dialect: Dialect
    schema: str | None
    name: str
    columns: tuple[Stored, ...]
    key: tuple[str, ...] = ()  # its primary key
    pages: int | None = None  # of a PostgreSQL table that lies in one heap, so that it can be cut by place

    def column(self, name: str) -> Stored | None:
        """The column of that name: as written, else in any case of its letters."""
        alike = [column for column in self.columns if column.name.lower() == name.lower()]
        return next((column for column in alike if column.name == name), alike[0] if alike else None)


@dataclass(frozen=True)
class Range:
    """Keys behind `after`, up to and including `until`. The first one takes the rows without a key along."""

    key: Stored
    after: str | None = None
    until: str | None = None


def quoted(dialect: Dialect, name: str) -> str:
    return exp.to_identifier(name, quoted=True).sql(dialect)


def text(dialect: Dialect, value: str) -> str:
    """A text literal. MySQL's sessions are set up to read backslashes as sqlglot writes them."""
    literal = exp.Literal.string(value).sql(dialect)
    return f"N{literal}" if dialect == "tsql" else literal


def table(relation: Relation) -> str:
    return exp.table_(relation.name, db=relation.schema, quoted=True).sql(relation.dialect)


def rows(relation: Relation, readings: Sequence[Reading], *conditions: str | None) -> str:
    """The rows that meet every condition, a column a reading, named by its place."""
    columns = (f"{_asked(relation, reading)} AS c{place}" for place, reading in enumerate(readings))
    return f"SELECT {', '.join(columns)} FROM {table(relation)}{_where(conditions)}"


def count(relation: Relation, figures: Sequence[str], *conditions: str | None, sums: Sequence[str] = ()) -> str:
    """How many rows meet every condition, of those how many each of `figures`, and what each of `sums` comes to."""
    counted = "".join(f", COUNT(CASE WHEN {figure} THEN 1 END)" for figure in figures)
    added = "".join(f", {one}" for one in sums)
    return f"SELECT COUNT(*){counted}{added} FROM {table(relation)}{_where(conditions)}"


def added_up(relation: Relation, reading: Reading) -> tuple[str, str] | None:
    """SQL of what a column comes to, and portable SQL of what each of its values adds once it is landed; None if it
    holds no numbers. Of binary fractions, as all of SQLite's are, whole cents are added up: their sum is exact. What is
    no amount of money is left out on both sides: SQLite adds up 64 bits, and fails where they do not hold the sum.
    """
    dialect, name = relation.dialect, quoted(relation.dialect, reading.name)
    base = column.base if (column := relation.column(reading.name)) else ""
    if pa.types.is_decimal(reading.type) or (pa.types.is_integer(reading.type) and dialect not in {"tsql", "sqlite"}):
        return AS_TEXT[dialect].format(f"SUM({name})"), "{0}"
    if dialect == "sqlite" and re.search(r"real|floa|doub|num|dec|int", base):
        number = f"CASE WHEN TYPEOF({name}) IN ('integer', 'real') AND {name} {MONEY} THEN {name} END"
        return f"SUM(CAST({_cents(number)} AS INTEGER)) || 'e-2'", LANDED_CENTS
    cut = {("postgres", "double precision"): "TRUNC({})", ("mysql", "double"): "TRUNCATE({}, 0)"}.get((dialect, base))
    total = f"SUM({cut.format(_cents(f'CASE WHEN {name} {MONEY} THEN {name} END'))}) / 100" if cut else ""
    return (AS_TEXT[dialect].format(f"({total})"), LANDED_CENTS) if cut else None


MONEY = "BETWEEN -1e12 AND 1e12"  # a trillion, of which 64 bits hold the cents of 92,000


def _cents(number: str) -> str:
    """Cents, to be cut off at the point: the same in every binary arithmetic, which rounding is not."""
    return f"(({number}) * 100 + CASE WHEN ({number}) < 0 THEN -0.5 ELSE 0.5 END)"


_LANDED = "TRY_CAST({0} AS DOUBLE)"
LANDED_CENTS = (
    f"CAST(CAST(TRUNC({_cents(f'CASE WHEN {_LANDED} {MONEY} THEN {_LANDED} END')}) AS BIGINT) AS DECIMAL(20, 0)) * 0.01"
)


def not_whole(relation: Relation, column: str) -> str:
    """Where SQLite holds something else than a whole number."""
    return f"TYPEOF({quoted(relation.dialect, column)}) NOT IN ('integer', 'null')"


def upper(relation: Relation, window: Window) -> str:
    """The greatest watermark that has a place, as text."""
    name = quoted(relation.dialect, window.column)
    if window.kind == "rowversion":  # of transactions that are still open, none is lower
        return "SELECT CONVERT(VARCHAR(18), CONVERT(BINARY(8), CONVERT(BIGINT, MIN_ACTIVE_ROWVERSION()) - 1), 1)"
    found = f"MAX({_letter_by_letter(relation.dialect, window.kind, name)})"
    placed = _where([_placed(relation.dialect, window)] if window.cap else [])
    return f"SELECT {_bound(relation.dialect, window.kind, found)} FROM {table(relation)}{placed}"


def stored_as(relation: Relation, column: str) -> str:
    """What SQLite holds in a column at most: its declared type does not say. `integer` < `real` < `text`."""
    name = quoted(relation.dialect, column)
    return f"SELECT TYPEOF(MAX({name})) FROM {table(relation)}"


def within(dialect: Dialect, window: Window) -> str:
    """The rows of the window, and those that have no place in one."""
    name = _letter_by_letter(dialect, window.kind, quoted(dialect, window.column))
    parts = [f"{name} >= {_value(dialect, window.kind, window.low)}"] if window.low else []
    parts += [f"{name} <= {_value(dialect, window.kind, window.high)}"] if window.high else []
    placed = [" AND ".join(parts)] if window.high else []
    return " OR ".join([*placed, f"{quoted(dialect, window.column)} IS NULL", *_unplaced(dialect, window)])


def unplaced(dialect: Dialect, window: Window) -> str | None:
    """Where a watermark lies in the future, or before `FIRST`. None for numbers."""
    return " OR ".join(_unplaced(dialect, window)) or None


def inside(dialect: Dialect, keys: Range) -> str | None:
    """The rows of a range of keys; None if that is all of them."""
    name = quoted(dialect, keys.key.name)
    behind = f"{name} > {_key(dialect, keys.key, keys.after)}" if keys.after is not None else None
    up_to = f"{name} <= {_key(dialect, keys.key, keys.until)}" if keys.until is not None else None
    if behind and up_to:
        return f"{behind} AND {up_to}"
    return behind or (f"{up_to} OR {name} IS NULL" if up_to else None)


def boundary(relation: Relation, keys: Range, size: int) -> str:
    """The key that ends the first `size` rows of a range, as text; no row if it holds fewer.

    Text only outside: PostgreSQL would sort by the text, which bears the column's name. SQLite gives a literal, since 7
    and '7' are two keys there.
    """
    dialect, name = relation.dialect, quoted(relation.dialect, keys.key.name)
    shown = f"QUOTE({name})" if dialect == "sqlite" else AS_TEXT[dialect].format(name)
    conditions = _where([f"{name} IS NOT NULL", inside(dialect, keys)])
    one = f"OFFSET {size - 1} ROWS FETCH NEXT 1 ROWS ONLY" if dialect == "tsql" else f"LIMIT 1 OFFSET {size - 1}"
    return f"SELECT {shown} FROM (SELECT {name} FROM {table(relation)}{conditions} ORDER BY {name} {one}) AS found"


def by_place(relation: Relation, queries: int) -> list[str]:
    """Conditions that cut a PostgreSQL heap into stretches of pages. Exact only within one snapshot: rows move."""
    edges = [(relation.pages or 0) * place // queries for place in range(1, queries)]
    starts = ["", *(f"ctid >= '({edge},0)'::tid" for edge in edges)]
    ends = [*(f"ctid < '({edge},0)'::tid" for edge in edges), ""]
    return [" AND ".join(filter(None, pair)) for pair in zip(starts, ends, strict=True)]


def orderable(relation: Relation, name: str) -> Stored | None:
    """The column, if its values stand in an order that text can write down."""
    column = relation.column(name)
    return column if column and _key_kind(relation.dialect, column) else None


def _key_kind(dialect: Dialect, column: Stored) -> KeyKind | None:
    if dialect == "sqlite":  # any value may stand anywhere, so that each says itself what it is: see `boundary`
        return "text"
    if is_whole(dialect, column) or column.base in {"numeric", "decimal"}:
        return "number"
    return "text" if column.base in TEXT_KEYS and not (dialect == "tsql" and column.base == "text") else None


def _key(dialect: Dialect, column: Stored, value: str) -> str:
    if _key_kind(dialect, column) == "number" or (dialect == "sqlite" and not value.startswith("'")):
        return _number(value)
    return text(dialect, value[1:-1].replace("''", "'") if dialect == "sqlite" else value)


def is_end(dialect: Dialect, value: str) -> bool:
    """Whether a range can end there. Not at one of SQLite's blobs, which come last: the rest is one range."""
    return dialect != "sqlite" or not value.startswith("X'")


def _value(dialect: Dialect, kind: Kind, value: str) -> str:
    if kind == "integer":
        return _number(value)
    if kind == "rowversion":
        return f"0x{int(value, 16):016X}"
    if kind == "instant" and dialect == "mysql":  # which knows no offsets: the session's clock is UTC
        return text(dialect, value.removesuffix(OFFSET))
    types = {"date": "DATE", "datetime": "DATETIME2(7)", "instant": "DATETIMEOFFSET(7)"}
    literal = text(dialect, value)
    return f"CAST({literal} AS {types[kind]})" if dialect == "tsql" and kind in types else literal


def _number(value: str) -> str:
    if not re.fullmatch(r"-?\d+(\.\d+)?([eE][+-]?\d+)?", value):
        raise ValueError("not a number")  # without the value, which is a row's
    return value


def _bound(dialect: Dialect, kind: Kind, found: str) -> str:
    if dialect == "mysql" and kind == "instant":
        return f"CONCAT({found}, '{OFFSET}')"
    if dialect != "tsql":
        return AS_TEXT[dialect].format(found)
    if kind == "datetime":  # as DATETIME2: a DATETIME shows thirds of a hundredth as .003 and compares as .0033333
        return f"CONVERT(VARCHAR(33), CAST({found} AS DATETIME2(7)), 121)"
    if kind == "instant":
        utc = f"CAST(SWITCHOFFSET({found}, '{OFFSET}') AS DATETIME2(7))"
        return f"CONVERT(VARCHAR(33), {utc}, 121) + '{OFFSET}'"
    return f"CONVERT(VARCHAR(10), {found}, 23)" if kind == "date" else AS_TEXT[dialect].format(found)


def _letter_by_letter(dialect: Dialect, kind: Kind, name: str) -> str:
    """Dates that are text are compared as letters, not as words of a language."""
    return f'{name} COLLATE "C"' if dialect == "postgres" and kind == "text" else name


def _placed(dialect: Dialect, window: Window) -> str:
    name = _letter_by_letter(dialect, window.kind, quoted(dialect, window.column))
    first, cap = (_value(dialect, window.kind, bound or "") for bound in (_first(window), window.cap))
    return f"{name} >= {first} AND {name} < {cap}"


def _unplaced(dialect: Dialect, window: Window) -> list[str]:
    if window.cap is None:
        return []
    name = _letter_by_letter(dialect, window.kind, quoted(dialect, window.column))
    first, cap = (_value(dialect, window.kind, bound or "") for bound in (_first(window), window.cap))
    return [f"{name} < {first}", f"{name} >= {cap}"]


def _first(window: Window) -> str:
    return f"{FIRST} 00:00:00{OFFSET}" if window.kind == "instant" else FIRST


def _asked(relation: Relation, reading: Reading) -> str:
    return reading.sql.format(quoted(relation.dialect, reading.name))


def _where(conditions: Sequence[str | None]) -> str:
    given = [f"({condition})" for condition in conditions if condition]
    return f" WHERE {' AND '.join(given)}" if given else ""
