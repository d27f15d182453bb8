"""Events of the access log that were kept for long enough, taken out of `audit.access_log`. What shows that it was done
is a head, signed and exported like all others: it comes first, so that whoever is killed in between has lost nothing.

Heads stay, with the beginnings of the digests of what they were over; so do events that nobody has moved yet. The files
go with `vacuum`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import takewhile
from pathlib import Path

from .. import access, checkpoint, retention
from ..access import Head, Retired
from ..errors import LakeError
from ..journal import Event
from ..lake import Lake, opened, still
from . import legal_hold

Moved = Sequence[tuple[Event, int]]


class LogTouched(LakeError):
    code = "LAKE-612"
    exit_code = 60
    why = "What is left would no longer show what was done to it."


@dataclass(frozen=True)
class LogPurged:
    """What was taken out, or would be."""

    policy: str
    events: int
    before: datetime | None  # when the newest of them was signed; None if there are none
    holds: tuple[int, ...] = ()  # that stand: nothing is taken out then


def purge(project: Path, environment: Mapping[str, str], now: datetime, *, dry_run: bool = False) -> LogPurged:
    """Take out what `access_log: {keep: ...}` in lake.yml lets go; with `dry_run`, only say what that is.

    Raises `LogTouched`, `AnchorUnwritable`, `LakeBusy` while a run writes, `LakeMissing`, `SettingMissing`.
    """
    with opened(project, environment, writing=False) if dry_run else still(project, environment) as lake:
        if not dry_run:
            checkpoint.of(lake, now)
        return _purge(lake, now, dry_run=dry_run)


def _purge(lake: Lake, now: datetime, *, dry_run: bool) -> LogPurged:
    if flaws := checkpoint.verify(lake).flaws:
        fix = "Nothing was taken out. `carelake audit verify` names each record."
        raise LogTouched(f"the access log is not as it was written: {len(flaws):,} flaws.", fix)
    moved, heads = checkpoint.stored(lake.engine), checkpoint.stored_heads(lake.engine)
    done = LogPurged(lake.declared.place.log_kept, 0, None, tuple(hold.id for hold in legal_hold.standing(lake.engine)))
    number = retirable(moved, heads, retention.cutoff(done.policy, now))
    events = sum(of <= number for _, of in moved)
    if done.holds or not events:
        return done
    if not dry_run:
        _retire(lake, heads, followed(moved, checkpoint.waiting(lake), number), now)
    return replace(done, events=events, before=access.made_at(heads[number - 1]))


def retirable(moved: Moved, heads: Sequence[Head], before: datetime | None) -> int:
    """The last head that was made before a moment, as all heads before it and all their events were; 0 if there is
    none. A question stays as long as what was shown of it.
    """
    if before is None:
        return 0
    young = {of for event, of in moved if datetime.fromisoformat(json.loads(event.told)["logged_at"]) >= before}
    number = sum(1 for _ in takewhile(lambda one: access.made_at(one) < before and one.number not in young, heads))
    of_place = {(event.chain, event.number): of for event, of in moved}
    told = ((event.chain, json.loads(event.told).get("of_number"), of) for event, of in moved)
    pairs = ((of_place[chain, asked], of) for chain, asked, of in told if (chain, asked) in of_place)
    for of_question, of_shown in sorted(pairs, reverse=True):
        if of_question <= number < of_shown:
            number = of_question - 1
    return number


def followed(moved: Moved, waiting: Sequence[Event], number: int) -> Retired:
    """What a head says that retires the events of all heads up to `number`."""
    places = {(event.chain, event.number): event.digest for event, of in moved if of <= number}
    behind = (*(event for event, of in moved if of > number), *waiting)
    last = {(event.chain, event.number - 1) for event in behind} & places.keys()
    return Retired(number, [(*place, places[place]) for place in sorted(last)])


def _retire(lake: Lake, heads: Sequence[Head], retired: Retired, now: datetime) -> None:
    if access.retired(heads).head < retired.head:  # else a purge was killed before it took them out
        made = access.head(heads[-1], [], now.isoformat(), checkpoint.key_of(lake), retired)
        checkpoint.put_head(lake.engine, made)
    checkpoint.exported(lake)
    checkpoint.take_out(lake.engine, retired.head)
