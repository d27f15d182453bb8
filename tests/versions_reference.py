"""What the versions of a key must be, in plain Python: dicts and sorts, read off the design and off no other code.

Two steps, as a lake takes them. `Landed` is one feed's bronze: of each delivery, the rows that are news, and the keys
that vanished. `timeline` is silver: of one key's loads, in the order they were landed, its versions.

Where the design leaves a choice, this page makes it:

- A tombstone is seen, not told: it stands behind all that was landed before it, at the moment it was seen or at the
  latest source time known by then, whichever is later. It ends one life of the key.
- What is landed after a tombstone is the key's next life. It begins no earlier than the tombstone, however old its
  source times are; within a life, source time decides, then load.
- A row that itself says its key is gone (`delete_when`) is told: it has a source time like any other row.
- A delivery that holds a row of a key, good or bad, does not lack the key.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

Values = tuple[str | None, ...]  # of every column but the key and the source time
Placed = tuple[int, bool, datetime, int, Values, bool, datetime]  # life, told, time, load, values, gone, from when on


@dataclass(frozen=True)
class Told:
    """One row of a delivery, as its source tells it. `time` is None where the source does not say."""

    key: Hashable
    time: datetime | None
    values: Values
    good: bool = True  # keeps every `must`
    gone: bool = False  # says that its key is gone
    tie: str | None = None  # the tie-breaker's value


@dataclass(frozen=True)
class Arrived:
    """What one load brought of one key."""

    load: int  # counts all loads of the lake
    upper: datetime  # the extraction's upper bound
    seen: datetime
    rows: tuple[Told, ...] = ()
    tombstone: bool = False


@dataclass(frozen=True)
class Rules:
    """What a table declares of its versions."""

    tie_breaker: bool = False
    only_last: bool = False  # history: scd1
    tracked: tuple[int, ...] | None = None  # places of the values whose change counts; all, if None


NO_RULES = Rules()


@dataclass(frozen=True)
class Version:
    load: int
    time: datetime
    values: Values
    deleted: bool
    valid_from: datetime
    valid_to: datetime | None
    current: bool
    change: bool


# --- bronze ----------------------------------------------------------------------------------------------------------


@dataclass
class Landed:
    """One feed's bronze: of each key the rows that were landed last; none of them if that was a tombstone."""

    latest: dict[Hashable, frozenset[Told]] = field(default_factory=dict)

    def land(self, rows: Sequence[Told], *, whole: bool) -> tuple[list[Told], list[Hashable]]:
        """The rows of a delivery that are landed, and the keys that get a tombstone."""
        delivered: dict[Hashable, list[Told]] = {}
        for row in rows:
            delivered.setdefault(row.key, []).append(row)
        news = {key: told for key, told in delivered.items() if self.latest.get(key) != frozenset(told)}
        vanished = [key for key, told in self.latest.items() if told and key not in delivered] if whole else []
        self.latest |= {key: frozenset(told) for key, told in news.items()}
        self.latest |= {key: frozenset() for key in vanished}
        return [row for told in news.values() for row in told], vanished


# --- silver ----------------------------------------------------------------------------------------------------------


def timeline(loads: Iterable[Arrived], rules: Rules = NO_RULES) -> list[Version]:
    """The versions of one key that are kept, in their order. `loads` are those that brought something of it."""
    placed: list[Placed] = []
    life, born = 0, None
    for load in sorted(loads, key=lambda load: load.load):
        if load.tombstone and not load.rows:
            life, born = life + 1, max([load.seen, *(place for *_, place in placed)])
            placed.append((life, False, load.seen, load.load, (), True, born))
        for row in accepted(load, rules):
            time = row.time or load.upper
            values = () if row.gone else row.values
            placed.append((life, True, time, load.load, values, row.gone, max(time, born or time)))
    placed.sort(key=lambda version: version[:4])
    versions = _followed([one for n, one in enumerate(placed) if not _repeats(one, placed[:n])], rules)
    return [replace(one, change=True) for one in versions[-1:]] if rules.only_last else versions


def accepted(load: Arrived, rules: Rules = NO_RULES) -> list[Told]:
    """The rows of one key in one load that may become versions: good ones, one a source time."""
    return [rows[0] for rows in _by_time(load, rules) if len({_content(row) for row in rows}) == 1]


def ambiguous(load: Arrived, rules: Rules = NO_RULES) -> list[Told]:
    """The good rows of one key in one load that nobody can order, equal ones once."""
    unclear = ({_content(row): row for row in rows} for rows in _by_time(load, rules))
    return [row for rows in unclear for row in rows.values() if len(rows) > 1]


def _by_time(load: Arrived, rules: Rules) -> list[list[Told]]:
    """The good rows of each source time; of those that a tie-breaker can tell apart, the greatest."""
    times: dict[datetime, list[Told]] = {}
    for row in load.rows:
        if row.good:
            times.setdefault(row.time or load.upper, []).append(row)
    if not rules.tie_breaker:
        return list(times.values())
    greatest = {time: max(row.tie or "" for row in rows) for time, rows in times.items()}
    return [[row for row in rows if (row.tie or "") == greatest[time]] for time, rows in times.items()]


def _content(row: Told) -> tuple[bool, Values]:
    return row.gone, () if row.gone else row.values


def _repeats(version: Placed, before: Sequence[Placed]) -> bool:
    """Whether it says at the same time of the same life what the one before it says."""
    return bool(version[1] and before and (*before[-1][:3], *before[-1][4:6]) == (*version[:3], *version[4:6]))


def _followed(placed: Sequence[Placed], rules: Rules) -> list[Version]:
    """Each version until the next begins. One that tells what the one before it told is no change."""
    versions = []
    before: object = None
    for n, (_, _, time, load, values, gone, place) in enumerate(placed):
        until = placed[n + 1][-1] if n + 1 < len(placed) else None
        tells = (gone, _tracked(values, gone, rules))
        versions.append(Version(load, time, values, gone, place, until, until is None and not gone, tells != before))
        before = tells
    return versions


def _tracked(values: Values, gone: bool, rules: Rules) -> Values:
    return values if gone or rules.tracked is None else tuple(values[place] for place in rules.tracked)


def latest(versions: Sequence[Version]) -> Values | None:
    """What the key is now; None if it is not there."""
    return next((version.values for version in versions if version.current), None)
