"""Rows as Arrow batches, as they come and in bounded memory: ConnectorX for servers, Python's own module for SQLite."""

from __future__ import annotations

import sqlite3
from collections import deque
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

import connectorx
import pyarrow as pa

from ..errors import SourceFailed
from .sql_database import Database
from .sql_types import Reading, fit

BATCH_ROWS = 10_000
GROUPS = 2  # of queries that are on their way or drained


def over_the_wire(
    database: Database, queries: Iterator[str], at_once: int, readings: Sequence[Reading], schema: pa.Schema
) -> Iterator[pa.RecordBatch]:
    """What the queries answer, `at_once` of them side by side.

    ConnectorX reads ahead without bound: a consumer slower than the network would have the whole table in memory. So
    the queries are short, and while the answers of one group are drained only one other group is on its way.
    """
    begun: deque[Iterator[pa.RecordBatch]] = deque()
    while True:
        while len(begun) < GROUPS and (group := list(islice(queries, at_once))):
            begun.append(_begin(database, group))
        if not begun:
            return
        for batch in begun.popleft():
            yield fit(batch, readings, schema)


def _begin(database: Database, queries: list[str]) -> Iterator[pa.RecordBatch]:
    given = {"pre_execution_query": list(database.session)} if database.session else {}
    return iter(connectorx.read_sql(database.url, queries, return_type="arrow_stream", batch_size=BATCH_ROWS, **given))


def from_sqlite(
    who: str, client: sqlite3.Connection, query: str, readings: Sequence[Reading], schema: pa.Schema
) -> Iterator[pa.RecordBatch]:
    """What a query answers, in the transaction that counted. Raises `SourceFailed` on text that is not UTF-8."""
    cursor = client.execute(query)
    while rows := cursor.fetchmany(BATCH_ROWS):
        columns = zip(readings, zip(*rows, strict=True), strict=True)
        yield pa.record_batch([_column(who, reading, values) for reading, values in columns], schema=schema)


def _column(who: str, reading: Reading, values: tuple[Any, ...]) -> pa.Array:
    try:
        return pa.array(values, reading.type)
    except pa.ArrowTypeError:  # numbers with decimals among the text
        return pa.array([_exact(value) for value in values], reading.type)
    except pa.ArrowInvalid:
        pass
    fix = "Mend the text in the source: Latin-1 bytes in a SQLite file are read differently by every program."
    raise SourceFailed(f"{who}: column '{reading.name}' holds text that is not UTF-8.", fix)


def _exact(value: Any) -> Any:
    """A float in the fewest digits that give it back: up to seventeen, of which SQLite's own CAST keeps fifteen."""
    return repr(value).removesuffix(".0") if isinstance(value, float) else value
