"""What went wrong in a run -> its causes, and which of them a channel has not been told of. Pure."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from ..model import Channel

TABLE = "audit.alerts"
COLUMNS = {
    "alert": "TEXT", "event": "TEXT", "run_id": "TEXT", "outcome": "TEXT", "code": "TEXT", "what": "TEXT",
    "found": "TEXT", "channel": "TEXT", "who": "TEXT", "note": "TEXT", "happened_at": "TIMESTAMPTZ",
}  # fmt: skip
EVENTS = ("gone", "seen", "told", "acknowledged")  # in this order, where they are of one moment


@dataclass(frozen=True)
class Trouble:
    """One step of a run that failed or warned."""

    what: str
    outcome: str
    code: str
    found: str
    holds: bool  # whether it keeps a release back


@dataclass(frozen=True)
class Cause:
    """What is behind one or more troubles, told as one."""

    outcome: str  # failed, held or warned
    code: str
    found: str
    what: tuple[str, ...]

    @property
    def alert(self) -> str:
        """The same at every run that comes upon it, however many rows it is about."""
        told = f"{self.outcome}/{self.code}/{re.sub(r'[0-9][0-9,.]*', '#', self.found)}"
        return hashlib.sha256(told.encode()).hexdigest()[:8]


@dataclass(frozen=True)
class Open:
    """An alert whose cause is still there."""

    since: datetime
    cause: Mapping[str, Any] = field(default_factory=dict)
    told: frozenset[str] = frozenset()  # channels
    acknowledged: Mapping[str, Any] | None = None


def causes(troubles: Iterable[Trouble]) -> list[Cause]:
    """One for all that says the same, in the order in which it was come upon."""
    found: dict[str, Cause] = {}
    for trouble in troubles:
        outcome = "held" if trouble.holds and trouble.outcome == "failed" else trouble.outcome
        cause = Cause(outcome, trouble.code, trouble.found, (trouble.what,))
        known = found.get(cause.alert)
        found[cause.alert] = replace(known, what=(*known.what, trouble.what)) if known else cause
    return list(found.values())


def standing(rows: Sequence[Mapping[str, Any]]) -> dict[str, Open]:
    """Alert -> how it stands, of the rows of `audit.alerts`."""
    stands: dict[str, Open] = {}
    for row in sorted(rows, key=lambda row: (row["happened_at"], EVENTS.index(row["event"]))):
        alert, known = row["alert"], stands.get(row["alert"])
        if row["event"] == "gone":
            stands.pop(alert, None)
        elif row["event"] == "seen":
            stands[alert] = known or Open(row["happened_at"], row)
        elif known and row["event"] == "told":
            stands[alert] = replace(known, told=known.told | {row["channel"]})
        elif known:
            stands[alert] = replace(known, acknowledged=row)
    return stands


def due(channel: Channel, found: Iterable[Cause], stands: Mapping[str, Open], now: datetime) -> list[Cause]:
    """The causes that `channel` should hear of: each once, as long as it is there, and none that somebody looks at."""
    waits = timedelta(hours=channel.after)
    return [
        cause
        for cause in found
        if cause.outcome in channel.of
        and channel.name not in stands[cause.alert].told
        and stands[cause.alert].acknowledged is None
        and now - stands[cause.alert].since >= waits
    ]


def row(event: str, alert: str, now: datetime, **more: str) -> dict[str, Any]:
    """A row of `audit.alerts`."""
    return {**dict.fromkeys(COLUMNS), "event": event, "alert": alert, "happened_at": now, **more}
