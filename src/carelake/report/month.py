"""A month, and what can be told of its moments without asking anything else. Pure. Months are UTC."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

SHAPE = re.compile(r"[0-9]{4}-(0[1-9]|1[0-2])")
LOOKED_BACK = timedelta(days=90)  # for what is usual
NEAR, DAY = timedelta(hours=1), timedelta(days=1)
ENOUGH, SELDOM = 20, 0.05  # moments, and the share of them near a time of day below which it is unusual


@dataclass(frozen=True)
class Month:
    """From its first moment on, and before the first one of the next. Raises `ValueError` if it is none."""

    name: str  # as 2026-10

    def __post_init__(self) -> None:
        if not SHAPE.fullmatch(self.name) or self.name.startswith("0000"):
            raise ValueError(self.name)

    @property
    def since(self) -> datetime:
        return datetime(int(self.name[:4]), int(self.name[5:]), 1, tzinfo=UTC)

    @property
    def until(self) -> datetime:
        return (self.since + timedelta(days=32)).replace(day=1)

    def has(self, moment: datetime) -> bool:
        return self.since <= moment < self.until


def before(now: datetime) -> Month:
    """The last month that is over."""
    return Month(f"{now.astimezone(UTC).replace(day=1) - timedelta(days=1):%Y-%m}")


def unusual(moments: Sequence[datetime], month: Month) -> list[datetime] | None:
    """Those of the month that are at a time of day near which few are; None if too few are known to say so."""
    known = [one for one in moments if month.until - LOOKED_BACK <= one < month.until]
    if len(known) < ENOUGH:
        return None
    clock = sorted(_of_day(one) + days * DAY for one in known for days in (-1, 0, 1))
    return [one for one in known if month.has(one) and _near(_of_day(one), clock) < SELDOM * len(known)]


def _of_day(moment: datetime) -> timedelta:
    return moment - moment.replace(hour=0, minute=0, second=0, microsecond=0)


def _near(time: timedelta, clock: Sequence[timedelta]) -> int:
    """How many of `clock`, which is sorted, are near a time of day."""
    return bisect_right(clock, time + NEAR) - bisect_left(clock, time - NEAR)
