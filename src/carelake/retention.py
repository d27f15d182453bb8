"""How long rows of bronze, and events of the access log, are kept, in the words of lake.yml. Pure."""

from __future__ import annotations

import calendar
import re
from datetime import datetime, timedelta

from .model import FOREVER

LEAPS = datetime(2004, 3, 1)  # behind two leap days within a little more than four years
PERIOD = re.compile(r"([1-9][0-9]{0,3}) (day|month|year)s?")


def is_period(words: str) -> bool:
    """Whether `words` say how long: `2 years`, `18 months`, `90 days`, or `forever`."""
    return words == FOREVER or bool(PERIOD.fullmatch(words))


def is_as_long(words: str, least: str) -> bool:
    """Whether one period is as long as another, or longer, also where that spans most leap days."""
    begins, least_begins = cutoff(words, LEAPS), cutoff(least, LEAPS)
    return begins is None or (least_begins is not None and begins <= least_begins)


def cutoff(words: str, now: datetime) -> datetime | None:
    """The moment before which is older than `words` say; None if they say `forever`. Two years before February 29 is
    February 28.
    """
    told = PERIOD.fullmatch(words)
    if told is None:
        return None
    count, unit = int(told[1]), told[2]
    if unit == "day":
        return now - timedelta(days=count)
    year, month = divmod(now.year * 12 + now.month - 1 - count * (12 if unit == "year" else 1), 12)
    if year < 1:
        return None  # nothing can be so old
    return now.replace(year=year, month=month + 1, day=min(now.day, calendar.monthrange(year, month + 1)[1]))
