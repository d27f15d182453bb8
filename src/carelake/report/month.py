"""A month, and what can be told of its runs without asking anything else. Pure. Months are UTC."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

SHAPE = re.compile(r"[0-9]{4}-(0[1-9]|1[0-2])")
LOOKED_BACK = timedelta(days=90)  # for what is usual
NEAR = timedelta(hours=1)
ENOUGH, SELDOM = 20, 0.05  # runs, and the share of them near a time of day below which it is unusual


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


def unusual(runs: Sequence[datetime], month: Month) -> list[datetime] | None:
    """Those of the month that began at a time of day near which few runs begin; None if too few are known to say so."""
    known = [began for began in runs if month.until - LOOKED_BACK <= began < month.until]
    if len(known) < ENOUGH:
        return None
    return [began for began in known if month.has(began) and _share(began, known) < SELDOM]


def _share(began: datetime, runs: Sequence[datetime]) -> float:
    return sum(_apart(began, other) <= NEAR for other in runs) / len(runs)


def _apart(one: datetime, other: datetime) -> timedelta:
    """How far two moments are apart on the face of a clock."""
    apart = (one - other) % timedelta(days=1)
    return min(apart, timedelta(days=1) - apart)
