"""The window of an incremental extraction: what is read again, what is new, what cannot be placed in time. Pure.

Bounds are text, as the source writes them. A row without a place in the window (no watermark, a date in the future or
before the year 1000) would never be seen again once the watermark has passed: such rows are read each time.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Literal
from zoneinfo import ZoneInfo

from .sql_types import Dialect, Stored, is_whole

Kind = Literal["date", "datetime", "instant", "integer", "text", "rowversion"]

FIRST = "1000-01-01"  # MySQL's `0000-00-00` and what else cannot be meant come before it
OFFSET = "+00:00"  # of UTC: behind every bound that is an instant
DEFAULT_LOOKBACK = {"date": "1 day", "datetime": "15 minutes", "instant": "15 minutes", "text": "1 day"}
UNITS = ("second", "minute", "hour", "day", "week")


class Unreadable(Exception):
    """A lookback or a bound that does not suit the watermark's type. Says what does; holds no value."""


@dataclass(frozen=True)
class Window:
    """Rows from `low` to `high`, both included, and those of no place: NULL, before `FIRST`, from `cap` on."""

    column: str
    kind: Kind
    cap: str | None = None  # where the future begins; None for numbers, which have none
    low: str | None = None
    high: str | None = None


def kind_of(dialect: Dialect, column: Stored) -> Kind | None:
    """What sort of watermark `column` makes by its declared type; None if it makes none."""
    if column.base in {"timestamp", "rowversion"} and dialect == "tsql":
        return "rowversion"
    if column.base in {"timestamp with time zone", "datetimeoffset", "timestamp"}:  # the last is MySQL's
        return "instant"
    if is_whole(dialect, column) or column.base in {"numeric", "decimal", "bigint unsigned", "int unsigned"}:
        return "integer"
    if dialect == "sqlite":
        return "text"  # by what is stored in it: see `sql`
    if column.base == "date":
        return "date"
    if column.base in {"timestamp without time zone", "datetime", "datetime2", "smalldatetime"}:
        return "datetime"
    return "text" if re.match(r"(n?(var)?char|character|(tiny|medium|long)?text)", column.base) else None


def cap(kind: Kind, now: datetime, time_zone: str) -> str | None:
    """Where the future begins: a day from now, so that no clock and no time zone is taken for it."""
    if kind in {"integer", "rowversion"}:
        return None
    if kind == "instant":
        return (now + timedelta(days=1)).astimezone(UTC).replace(microsecond=0).isoformat(" ")
    local = now.astimezone(ZoneInfo(time_zone)).replace(tzinfo=None, microsecond=0)
    if kind == "datetime":
        return (local + timedelta(days=1)).isoformat(" ")
    return (local + timedelta(days=2)).date().isoformat()  # behind all of tomorrow, however times are spelled


def low(kind: Kind, last: str, lookback: str | None) -> str:
    """Where reading begins again: `last`, less the lookback. Raises `Unreadable`."""
    back = lookback or DEFAULT_LOOKBACK.get(kind, "0")
    if kind in {"integer", "rowversion"}:
        if not re.fullmatch(r"\d+", back):
            raise Unreadable("a lookback in numbers, such as `lookback: 1000`")
        return _number_less(kind, last, int(back))
    moment = (_moment(last) - _span(kind, back)).replace(microsecond=0)
    if kind == "date" or len(last) == len(FIRST):
        return moment.date().isoformat()
    if kind == "text":  # compared letter by letter: what follows the minutes, if anything does, only makes it greater
        return moment.replace(tzinfo=None).isoformat("T" if "T" in last else " ", timespec="minutes")
    return moment.isoformat(" ")


def latest(kind: Kind, *bounds: str | None) -> str | None:
    """The latest of the bounds; None if there are none. Raises `Unreadable`."""
    places = {bound: _place(kind, bound) for bound in bounds if bound is not None}
    return max(places, key=lambda bound: places[bound], default=None)


def _place(kind: Kind, bound: str) -> datetime | Decimal | int:
    if kind == "rowversion":
        return int(_number_less(kind, bound, 0), 16)
    if kind == "integer":
        return Decimal(_number_less(kind, bound, 0))
    moment = _moment(bound)
    return moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo else moment


def _number_less(kind: Kind, last: str, back: int) -> str:
    try:
        if kind == "rowversion":
            return f"0x{max(0, int(last, 16) - back):016X}"
        return format(Decimal(last) - back, "f")
    except (ValueError, InvalidOperation):
        raise Unreadable("a number") from None


def _span(kind: Kind, lookback: str) -> timedelta:
    found = re.fullmatch(rf"(\d+)\s*({'|'.join(UNITS)})s?", lookback.strip().lower())
    if found:
        return timedelta(**{f"{found[2]}s": int(found[1])})
    if re.fullmatch(r"\d+", lookback) and kind == "date":
        return timedelta(days=int(lookback))
    raise Unreadable(f"a lookback in time, such as `lookback: {DEFAULT_LOOKBACK[kind]}`")


def _moment(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        raise Unreadable("dates written year first (2024-01-31)") from None
