"""Deliveries from a SQL database: everything, or the window that a watermark opens, exact and in bounded memory.

The upper bound is read first, then the rows up to it. What the source counted must arrive. The first load of a big
table is cut into key ranges, each a delivery, so that a restart repeats one range.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime
from functools import partial

import pyarrow as pa

from ..errors import SourceWatermarkUnfit
from ..model import Feed
from . import Delivery, Progress, Unfinished, sql_query, sql_watermark
from .sql_catalogue import relation
from .sql_connect import connected
from .sql_contract import check_columns, check_schema
from .sql_database import at_one_moment, in_our_words
from .sql_extraction import PARTITIONS, PAYS_TO_CUT, Extraction, boundary, counted, rows
from .sql_query import Range
from .sql_stretch import stretches
from .sql_types import Stored, reading
from .sql_watermark import Unreadable, Window

RANGE_ROWS = 2_000_000


def read(
    feed: Feed,
    connection: str,
    progress: Progress,
    now: datetime,
    *,
    whole: bool,
    partitions: int = PARTITIONS,
    range_rows: int = RANGE_ROWS,
    there: Callable[[], str] | None = None,
) -> Iterator[Delivery]:
    """The deliveries of `feed`, of which there is one, or one a key range of a big first load: see `Reader`. `there`
    gives the connection to other machines, which may then read what is big.

    A delivery's batches must be pulled before the next delivery is asked for. Raises a kind of `SourceFailed`.
    """
    who = f"{feed.source}/{feed.name}"
    with connected(who, connection) as database:
        found = relation(database, who, feed.at)
        check_columns(feed, found)
        at_one_moment(database)
        everything = whole or feed.load == "full"
        began = Extraction(feed, who, database, found, partitions=partitions, there=there)
        extraction = _typed(_windowed(began, progress, now, everything), progress)
        key = _key_to_cut_by(extraction, progress, range_rows)
        if key is None:
            yield _delivery(extraction, whole=everything)
        else:
            part = progress.unfinished or Unfinished(f"{now:%Y%m%dT%H%M%S}", 0, None, extraction.watermark)
            yield from _ranges(extraction, key, part, range_rows)


def _windowed(extraction: Extraction, progress: Progress, now: datetime, everything: bool) -> Extraction:
    """The bounds of what is read, and where the watermark moves to."""
    feed, there = extraction.feed, extraction.relation
    column = there.column(feed.watermark) if feed.watermark else None
    if column is None:
        return extraction
    try:
        window = _bounds(extraction, column, progress, now)
        if progress.unfinished:  # its ranges share one bound: what came later waits for the next extraction
            window = replace(window, high=progress.unfinished.watermark_to)
        watermark = sql_watermark.latest(window.kind, window.high, progress.watermark)
    except Unreadable as wanted:
        fix = f"It takes {wanted}. Mend the feed's watermark or lookback, or declare `load: full`."
        raise SourceWatermarkUnfit(f"{extraction.who}: the watermark '{column.name}' cannot be used.", fix) from None
    return replace(extraction, window=None if everything else window, watermark=watermark)


def _bounds(extraction: Extraction, column: Stored, progress: Progress, now: datetime) -> Window:
    dialect, feed = extraction.relation.dialect, extraction.feed
    kind = sql_watermark.kind_of(dialect, column)
    if dialect == "sqlite":  # a declared type binds nothing there
        held = extraction.database.ask(sql_query.stored_as(extraction.relation, column.name))[0][0]
        kind = "integer" if held in {"integer", "real"} else kind if held == "null" else "text"
    if kind is None:
        raise Unreadable("a column of dates, times, whole numbers or rowversions")
    window = Window(column.name, kind, cap=sql_watermark.cap(kind, now, feed.time_zone))
    high = extraction.database.ask(sql_query.upper(extraction.relation, window))[0][0]
    low = sql_watermark.low(kind, progress.watermark, feed.lookback) if progress.watermark else None
    return replace(window, low=low, high=None if high is None else str(high))


def _typed(extraction: Extraction, progress: Progress) -> Extraction:
    """How each column is read, how many rows there are, and what the operator should know of them."""
    there, dialect = extraction.relation, extraction.relation.dialect
    text = {name.lower() for name, told in extraction.feed.types.items() if told == "text"}
    if dialect == "sqlite":  # where a column of whole numbers held something else once, it stays text
        text |= {name.lower() for name, arrow in (progress.schema or {}).items() if "string" in arrow}
    readings = [reading(dialect, column, as_text=column.name.lower() in text) for column in there.columns]
    doubtful = [one.name for one in readings if dialect == "sqlite" and one.type == pa.int64()]
    unplaced = sql_query.unplaced(dialect, extraction.window) if extraction.window else None
    figures = [sql_query.not_whole(there, name) for name in doubtful] + ([unplaced] if unplaced else [])
    typed, found = counted(replace(extraction, readings=tuple(readings)), figures)
    wrong = {name for name, many in zip(doubtful, found, strict=False) if many}
    readings = [replace(one, type=pa.string()) if one.name in wrong else one for one in readings]
    warnings = _warn_unplaced(extraction, found[-1]) if unplaced else []
    typed = replace(typed, readings=tuple(readings))
    return replace(typed, warnings=(*check_schema(typed.feed, typed.schema, progress.schema), *warnings))


def _warn_unplaced(extraction: Extraction, many: int) -> list[str]:
    if not many or not extraction.window:
        return []
    what = f"{many:,} rows whose '{extraction.window.column}' lies in the future or is no date"
    return [f"{extraction.who}: {what}. They do not move the watermark, and are read at every load."]


def _key_to_cut_by(extraction: Extraction, progress: Progress, range_rows: int) -> Stored | None:
    """The key whose ranges a big first load is cut into; None if it is not one, or has no single key in order."""
    if progress.unfinished is None and (progress.sequence or extraction.expected <= range_rows):
        return None
    key = extraction.feed.key or extraction.relation.key
    return sql_query.orderable(extraction.relation, key[0]) if len(key) == 1 else None


def _ranges(extraction: Extraction, key: Stored, part: Unfinished, range_rows: int) -> Iterator[Delivery]:
    after, place = part.until, part.ranges
    while True:
        until = boundary(extraction, Range(key, after), range_rows)
        keys = Range(key, after, until)
        one, _ = counted(extraction, keys=keys)
        delivery = _delivery(one, keys, whole=False)
        yield replace(delivery, part_of=part.part_of, range=place, until=until, is_last=until is None)
        if until is None:
            return
        after, place = until, place + 1
        at_one_moment(extraction.database)  # one for hours would keep the source from cleaning up


def _delivery(extraction: Extraction, keys: Range | None = None, *, whole: bool) -> Delivery:
    delivery = Delivery(
        name=extraction.relation.name,
        schema=extraction.schema,
        batches=iter(()),
        whole=whole,
        watermark_from=extraction.window.low if extraction.window else None,
        watermark_to=extraction.watermark,
        expected=extraction.expected,
        sums=extraction.sums,
        warnings=list(extraction.warnings),
    )
    delivery.batches = _watched(delivery, extraction, keys)
    if extraction.there and not extraction.database.sqlite and extraction.expected > PAYS_TO_CUT:
        delivery.elsewhere = partial(stretches, extraction, extraction.there, keys)
        delivery.arrived = partial(_count_anew, delivery, extraction, keys)
    return delivery


def _watched(delivery: Delivery, extraction: Extraction, keys: Range | None) -> Iterator[pa.RecordBatch]:
    yield from rows(extraction, keys, delivery.warnings)
    _count_anew(delivery, extraction, keys)


def _count_anew(delivery: Delivery, extraction: Extraction, keys: Range | None) -> None:
    """Where rows are not of one moment, and the table has changed since, what was counted says nothing."""
    if not extraction.database.snapshot and not extraction.database.sqlite:
        with in_our_words(extraction.who):
            again, _ = counted(extraction, keys=keys)
        if (again.expected, again.sums) != (extraction.expected, extraction.sums):
            delivery.expected, delivery.sums = None, {}
