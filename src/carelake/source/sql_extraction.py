"""The rows of an extraction: cut into queries that fit memory, streamed, and counted on arrival."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal, InvalidOperation

import pyarrow as pa

from ..errors import LakeError, SourceFailed, SourceShrank, SourceUnreachable
from ..model import Feed
from . import Sum, sql_query
from .sql_database import Database
from .sql_query import Range, Relation
from .sql_stream import from_sqlite, over_the_wire
from .sql_types import Reading
from .sql_watermark import Window

PARTITIONS = 4  # queries that run side by side
QUERY_ROWS = 100_000  # of one of the queries that a big answer is cut into
QUERY_PAGES = 3_072  # the same for a PostgreSQL table, which is cut by place: 24 MB
PAYS_TO_CUT = 100_000  # rows; below, one query is as fast


@dataclass(frozen=True)
class Extraction:
    """All that is known before the first row."""

    feed: Feed
    who: str
    database: Database = field(repr=False)
    relation: Relation
    readings: tuple[Reading, ...] = ()
    window: Window | None = None  # which rows; None for all
    watermark: str | None = None  # where the next extraction goes on
    warnings: tuple[str, ...] = ()
    expected: int = 0
    sums: Mapping[str, Sum] = field(default_factory=dict)  # what its amounts come to, where that can be told exactly
    partitions: int = PARTITIONS
    there: Callable[[], str] | None = None  # gives the connection on other machines

    @property
    def schema(self) -> pa.Schema:
        return pa.schema([pa.field(reading.name, reading.type) for reading in self.readings])

    @property
    def rows(self) -> str | None:
        """The condition that the window makes."""
        return sql_query.within(self.relation.dialect, self.window) if self.window else None


def counted(
    extraction: Extraction, figures: Sequence[str] = (), keys: Range | None = None
) -> tuple[Extraction, list[int]]:
    """The extraction with how many rows there are and what its amounts come to; and how many each of `figures`."""
    there, named = extraction.relation, {name.lower() for name in extraction.feed.sums}
    amounts = {one.name: sql_query.added_up(there, one) for one in extraction.readings if one.name.lower() in named}
    told = {name: sums for name, sums in amounts.items() if sums}
    asked = sql_query.count(
        there, figures, extraction.rows, inside(extraction, keys), sums=[total for total, _ in told.values()]
    )
    expected, *rest = extraction.database.ask(asked)[0]
    totals = zip(told.items(), map(_decimal, rest[len(figures) :]), strict=True)
    sums = {name: Sum(total, each) for (name, (_, each)), total in totals if total is not None}
    return replace(extraction, expected=expected, sums=sums), list(rest[: len(figures)])


def _decimal(total: str | None) -> Decimal | None:
    """A sum; None if it is no number. Of no rows it is nothing."""
    try:
        number = Decimal(total or 0)
    except InvalidOperation:
        return None
    return number if number.is_finite() else None


def rows(extraction: Extraction, keys: Range | None, warnings: list[str]) -> Iterator[pa.RecordBatch]:
    """The batches, and behind the last one the proof that all rows came. `warnings` is complete only then."""
    arrived = 0
    readings = tuple(replace(one) for one in extraction.readings)  # each delivery counts for itself
    try:
        for batch in _batches(replace(extraction, readings=readings), keys):
            arrived += batch.num_rows
            yield batch
    except (LakeError, GeneratorExit, KeyboardInterrupt, SystemExit):
        raise
    except BaseException:  # noqa: BLE001 - ConnectorX's panics are no `Exception`, and its words can quote a row
        raise _stopped(extraction) from None
    _compare(extraction, keys, arrived)
    warnings.extend(_warn_lost(extraction.who, one) for one in readings if one.lost)


def _batches(extraction: Extraction, keys: Range | None) -> Iterator[pa.RecordBatch]:
    if not extraction.expected:
        return iter(())
    readings, schema = extraction.readings, extraction.schema
    if extraction.database.sqlite:
        query = sql_query.rows(extraction.relation, readings, extraction.rows, inside(extraction, keys))
        return from_sqlite(extraction.who, extraction.database.sqlite, query, readings, schema)
    return over_the_wire(extraction.database, queries(extraction, keys), extraction.partitions, readings, schema)


def queries(extraction: Extraction, keys: Range | None) -> Iterator[str]:
    """The queries whose answers are together what is to be read, each a stretch of the table."""
    there, readings = extraction.relation, extraction.readings
    for stretch in _stretches(extraction, keys):
        yield sql_query.rows(there, readings, extraction.rows, stretch)


def _stretches(extraction: Extraction, keys: Range | None) -> Iterator[str | None]:
    there, expected = extraction.relation, extraction.expected
    if keys is None and expected > PAYS_TO_CUT:
        if there.pages and extraction.database.snapshot:
            yield from sql_query.by_place(there, max(extraction.partitions, -(-there.pages // QUERY_PAGES)))
            return
        keys = _any_order(extraction)
    if keys is None or expected <= PAYS_TO_CUT:
        yield inside(extraction, keys)
        return
    after: str | None = keys.after
    while (until := boundary(extraction, replace(keys, after=after), QUERY_ROWS)) is not None:
        yield inside(extraction, replace(keys, after=after, until=until))
        after = until
    yield inside(extraction, replace(keys, after=after))


def _any_order(extraction: Extraction) -> Range | None:
    """A column to cut by: the first of the key, else the watermark."""
    names = [*extraction.feed.key[:1], *extraction.relation.key[:1], *filter(None, [extraction.feed.watermark])]
    found = (sql_query.orderable(extraction.relation, name) for name in names)
    return next((Range(column) for column in found if column), None)


def _compare(extraction: Extraction, keys: Range | None, arrived: int) -> None:
    """Raises `SourceShrank` if rows were lost on the way, and not just written or deleted meanwhile."""
    if arrived == extraction.expected:
        return
    if not extraction.database.snapshot:
        sql = sql_query.count(extraction.relation, [], extraction.rows, inside(extraction, keys))
        if extraction.database.ask(sql)[0][0] != extraction.expected:
            return
    found = f"{extraction.who}: {arrived:,} rows arrived, and the source counts {extraction.expected:,}."
    raise SourceShrank(found, "Run again. If it happens again, read with one connection, and report it to us.")


def _stopped(extraction: Extraction) -> SourceFailed:
    """The error for a driver that gave up between two batches."""
    try:
        extraction.database.ask("SELECT 1")
    except Exception:  # noqa: BLE001 - whatever a driver raises, there is no connection
        return SourceUnreachable(f"{extraction.who}: the connection was lost while rows were read.", "Run again.")
    fix = "Run again. If it stops again, declare `types: {column: text}` for columns of unusual types."
    return SourceFailed(f"{extraction.who}: the driver stopped while rows were read.", fix)


def _warn_lost(who: str, one: Reading) -> str:
    return (
        f"{who}: {one.lost:,} values of '{one.name}' cannot be written as {one.type} (NaN, infinity, a year beyond "
        f"9999) and were read as NULL. `types: {{{one.name}: text}}` in the feed keeps them as they are."
    )


def boundary(extraction: Extraction, keys: Range, size: int) -> str | None:
    """The key that ends the first `size` rows of a range, as `Range` wants it; None if the range ends before."""
    found = extraction.database.ask(sql_query.boundary(extraction.relation, keys, size))
    ends = [str(key) for (key,) in found if sql_query.is_end(extraction.relation.dialect, str(key))]
    return ends[0] if ends else None


def inside(extraction: Extraction, keys: Range | None) -> str | None:
    return sql_query.inside(extraction.relation.dialect, keys) if keys else None
