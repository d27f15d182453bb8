"""Rows as Arrow batches, as they come and in bounded memory: ConnectorX for servers, Python's own module for SQLite."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

import connectorx
import pyarrow as pa

from ..errors import SourceFailed
from .sql_database import Database
from .sql_types import Reading, fit

BATCH_ROWS = 10_000
SQLITE_ROWS = 2_000  # a third faster than 10,000: they stay in the processor's cache


def over_the_wire(
    database: Database, queries: Iterator[str], at_once: int, readings: Sequence[Reading], schema: pa.Schema
) -> Iterator[pa.RecordBatch]:
    """What the queries answer, `at_once` of them side by side.

    ConnectorX reads ahead without bound: a consumer slower than the network would have the whole table in memory. So
    the queries are short, and the next few are asked when these are drained.
    """
    given = {"pre_execution_query": list(database.session)} if database.session else {}
    while group := list(islice(queries, at_once)):
        stream = connectorx.read_sql(database.url, group, return_type="arrow_stream", batch_size=BATCH_ROWS, **given)
        for batch in stream:
            yield fit(batch, readings, schema)


def from_sqlite(
    who: str, client: sqlite3.Connection, query: str, readings: Sequence[Reading], schema: pa.Schema
) -> Iterator[pa.RecordBatch]:
    """What a query answers, in the transaction that counted. Raises `SourceFailed` on text that is not UTF-8."""
    try:
        cursor = client.execute(query)
        while rows := cursor.fetchmany(SQLITE_ROWS):
            columns = zip(readings, zip(*rows, strict=True), strict=True)
            yield pa.record_batch([_column(reading, values) for reading, values in columns], schema=schema)
    except sqlite3.OperationalError as error:
        place = re.match(r"Could not decode to UTF-8 column 'c(\d+)'", str(error))
        if place is None:
            raise
        raise _not_utf8(who, readings[int(place[1])]) from None  # what follows in its words is the text itself


def _not_utf8(who: str, reading: Reading) -> SourceFailed:
    fix = "Mend the text in the source: programs differ in how they read Latin-1 bytes in a SQLite file."
    return SourceFailed(f"{who}: column '{reading.name}' holds text that is not UTF-8.", fix)


def _column(reading: Reading, values: tuple[Any, ...]) -> pa.Array:
    """The values in the type promised: mostly all are text, which is fast, but SQLite lets any value stand anywhere."""
    if reading.type != pa.string():
        return pa.array(values, reading.type)
    try:
        found = pa.array(values)
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        found = None
    return found if found is not None and found.type == pa.string() else pa.array(map(_word, values), pa.string())


def _word(value: Any) -> str | None:
    """A value as text. A float in the fewest digits that give it back, up to seventeen: SQLite's CAST keeps fifteen."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, float):
        return repr(value).removesuffix(".0")
    return value.hex() if isinstance(value, bytes) else str(value)
