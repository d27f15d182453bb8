"""What became of what was landed: figures that the ledger, the tables and their marks tell independently."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from . import epochs, refinery
from .engine import Engine
from .landed import since_whole
from .ledger import TABLE
from .model import REPAIR
from .plan import LOAD, REVISION

Figures = list[tuple[str, Decimal, Decimal]]  # item, what is expected, what is found
WEEKS, ENOUGH = 8, 4  # that are looked back, and of those that there must be
LATE = timedelta(minutes=5)  # a scheduled run begins some seconds earlier or later


def loads(engine: Engine) -> list[Mapping[str, Any]]:
    """Every load of the lake, as far as figures are told of it."""
    names = "id, data_source, feed, sequence, load_type, part_of, numberofrowscopied, extracted_at"
    told = "rows_told, rows_read, summed, sum_told, sum_read"
    return list(engine.ask(f"SELECT {names}, {told} FROM {TABLE} ORDER BY id").to_pylist())


def arrived(name: str, mine: Sequence[Mapping[str, Any]]) -> Figures:
    """What a source counted, and what was counted where it landed, since its last whole extraction. `mine` are all the
    loads of the feed `name`.
    """
    recent = since_whole(mine)
    counted = [load for load in recent if load["rows_told"] is not None]
    added = [load for load in recent if load["sum_told"] is not None]
    figures = [(f"rows of {name}", _total(counted, "rows_told"), _total(counted, "rows_read"))] if counted else []
    if added:
        what = f"{added[-1]['summed']} of {name}"
        figures.append((what, _total(added, "sum_told"), _total(added, "sum_read")))
    return figures


def _total(rows: Sequence[Mapping[str, Any]], column: str) -> Decimal:
    return sum((Decimal(load[column]) for load in rows), Decimal(0))


def usual(name: str, mine: Sequence[Mapping[str, Any]], now: datetime) -> Figures:
    """The rows that a feed has landed on the day of `now` so far, and what it usually has by then: the mean of that
    weekday in the last weeks. None before there are enough of them. What its first day brought is not usual.
    """
    begun = min((load["extracted_at"].date() for load in mine), default=now.date())
    days = [now - timedelta(weeks=week) for week in range(1, WEEKS + 1)]
    days = [day for day in days if day.date() > begun]
    if len(days) < ENOUGH:
        return []
    before = sum(_by_then(mine, day, day + LATE) for day in days)
    mean = (Decimal(before) / len(days)).quantize(Decimal("0.01"))
    return [(f"rows of {name}", mean, Decimal(_by_then(mine, now, now)))]


def _by_then(mine: Sequence[Mapping[str, Any]], day: datetime, until: datetime) -> int:
    """Rows that were landed on a day, and not after a moment."""
    landed = (load for load in mine if load["extracted_at"].date() == day.date() and load["extracted_at"] <= until)
    return sum(load["numberofrowscopied"] for load in landed)


def refined(engine: Engine, table: str, fed: Sequence[tuple[str, str]], landed: Sequence[Mapping[str, Any]]) -> Figures:
    """Rows that were landed and taken in, by the ledger; and where they are, counted in the tables themselves. `fed`
    are the (source, feed) that fill the table now.
    """
    stored, began = f"silver.{table}_versions", epochs.current(engine)
    landed = [load for load in landed if load["data_source"] != REPAIR]  # they stand for rows that were landed before
    marked = {
        (source, feed): engine.marked(stored, refinery.mark(table, source, feed, began))
        for source, feed in dict.fromkeys((load["data_source"], load["feed"]) for load in landed)
    }
    mine = [load for load in landed if marked[load["data_source"], load["feed"]] or _of(load) in fed]
    taken = [load for load in mine if load["sequence"] <= marked[_of(load)]]
    waiting = [load["id"] for load in mine if load["sequence"] > marked[_of(load)]]
    expected = sum(load["numberofrowscopied"] for load in taken)
    return [(f"rows of {table}", Decimal(expected), Decimal(_placed(engine, table, waiting)))]


def _of(load: Mapping[str, Any]) -> tuple[str, str]:
    return load["data_source"], load["feed"]


def _placed(engine: Engine, table: str, waiting: Sequence[int]) -> int:
    """Rows that are a version, held back, or were refused for a reason that was counted when it was found."""
    stored = f"silver.{table}_versions"
    seen = f"{LOAD} NOT IN ({', '.join(map(str, waiting))})" if waiting else "TRUE"  # of a killed run, some are held
    counts = (
        f"SELECT COUNT(*) AS n FROM {stored} WHERE {REVISION} = 0",
        f"SELECT COUNT(*) AS n FROM quarantine.{table} WHERE {seen}",
    )
    physical = sum(int(engine.ask(count).to_pylist()[0]["n"]) for count in counts)
    epoch = epochs.current(engine).get(table, 1)
    signs = {refinery.REFUSED: 1, refinery.SETTLED: 1, refinery.PURGED: 1, refinery.TAKEN_BACK: -1}
    told = (sign * engine.marked(stored, refinery.tally_of(table, tally, epoch)) for tally, sign in signs.items())
    return physical + sum(told)
