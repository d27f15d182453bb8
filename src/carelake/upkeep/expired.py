"""What of bronze is old enough to go and history; and what is old enough and stays, with the reason."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import pyarrow as pa

from .. import bronze, epochs, plan, refinery, release, retention, superseded
from ..lake import Lake
from ..ledger import Load
from ..model import Feed, Table
from ..sql import quoted
from .legal_hold import Hold

SHOWN = ("landed", "of_feed", "pinned", "verdict")  # relations that are there once a feed was looked at
HELD, UNREFINED, FORGOTTEN = "legal hold", "not refined, or not released yet", "declared no more"
WAITS, STANDS = "waits in quarantine, or was repaired", "still stands at its source"
WHY = {superseded.WAITS: WAITS, superseded.STANDS: STANDS}


@dataclass(frozen=True)
class OfFeed:
    """What goes of a feed, and why the rest stays of what is old enough. Bytes are about so many before it is done."""

    feed: str
    policy: str
    loads: int = 0  # that lose rows
    rows: int = 0
    bytes: int = 0
    stays: Mapping[str, int] = field(default_factory=dict)  # why -> rows


@dataclass(frozen=True)
class Taken:
    """How many rows of a load go."""

    load: Load
    rows: int

    @property
    def bytes(self) -> int:
        return self.load.bytes * self.rows // self.load.left


def looked_at(lake: Lake, feed: Feed, now: datetime, holds: Sequence[Hold]) -> tuple[OfFeed, list[Taken]]:
    """What goes of a feed and what stays; and of which loads it is."""
    policy = lake.declared.place.retention.of(feed.source)
    cutoff, loads = retention.cutoff(policy, now), lake.ledger.loads(feed)
    old = [load for load in loads if load.left and cutoff and load.extracted_at < cutoff]
    consumed, stays = min(_consumed(lake, feed, loads), _released(lake, feed, loads)), Counter[str]()
    refined = [load for load in old if load.sequence <= consumed]
    if any(hold.covers(feed.source, feed.name) for hold in holds):
        stays[HELD], refined = _rows(old), []
    else:
        stays[UNREFINED] = _rows(old) - _rows(refined)
    taken = list[Taken]()
    if refined:
        told = _judged(lake, feed, refined, [load for load in loads if load.sequence <= consumed])
        stays.update({WHY[why]: rows for why, rows in _total(told).items() if why in WHY})
        gone = {sequence: rows for sequence, why, rows in told if why == superseded.GOES}
        taken = [Taken(load, gone[load.sequence]) for load in refined if load.sequence in gone]
    rows, size = sum(one.rows for one in taken), sum(one.bytes for one in taken)
    named = f"{feed.source}.{feed.name}"
    return OfFeed(named, policy, len(taken), rows, size, {why: n for why, n in stays.items() if n}), taken


def _rows(loads: Sequence[Load]) -> int:
    return sum(load.left for load in loads)


def _total(told: Sequence[tuple[int, str, int]]) -> Counter[str]:
    total = Counter[str]()
    for _, why, rows in told:
        total[why] += rows
    return total


def _consumed(lake: Lake, feed: Feed, loads: Sequence[Load]) -> int:
    """The last load that the table which a feed fills has taken in; of one that fills none, the last there is."""
    if not feed.fills:
        return len(loads)
    mark = refinery.mark(feed.fills, feed.source, feed.name, epochs.current(lake.engine))
    return lake.engine.marked(f"silver.{feed.fills}_versions", mark)


def _released(lake: Lake, feed: Feed, loads: Sequence[Load]) -> int:
    """The last load that readers see: what they see must not go for what they do not see yet. Before the first release,
    the last there is.
    """
    last = release.latest(lake.engine) if lake.engine.version(release.TABLE) is not None else None
    if last is None:
        return len(loads)
    seen = sum(load.id <= last.loads for load in loads)
    return min(seen, last.held_loads.get(f"{feed.source}.{feed.name}", seen))


def _judged(lake: Lake, feed: Feed, old: Sequence[Load], loads: Sequence[Load]) -> list[tuple[int, str, int]]:
    """(load, verdict, rows) of a feed, by what its `loads` have landed; `verdict` is held."""
    engine, table = lake.engine, lake.declared.tables.get(feed.fills or "")
    if table and _is_unplaced(lake, table):
        return [(load.sequence, superseded.WAITS, load.left) for load in old]
    pinned = [_pinned(lake, table, one) for one in lake.declared.feeds if table and _shares(one, feed)]
    engine.show("landed", bronze.proven(lake.bronze, [load for load in loads if load.parts]), plan.NUMBER)
    if not (key := key_of(lake, feed)):
        return [(load.sequence, superseded.STANDS, load.left) for load in old]
    if pinned:
        engine.hold("pinned", "\nUNION\n".join(f"SELECT * FROM {name}" for name in pinned))
        engine.let_go(*pinned)
    _lend(lake, loads, {load.id for load in old})
    engine.hold("verdict", superseded.verdicts(key, plan.told_key(table, feed) if table else []))
    place = f"{plan.SEQUENCE}, {superseded.VERDICT}"
    counted = f"SELECT {place}, CAST(SUM({superseded.ROWS}) AS BIGINT) AS n FROM verdict GROUP BY {place}"
    return [(row[plan.SEQUENCE], row[superseded.VERDICT], row["n"]) for row in engine.ask(counted).to_pylist()]


def _shares(one: Feed, feed: Feed) -> bool:
    """Whether the rows of two feeds may be of one key."""
    return (one.source, one.fills) == (feed.source, feed.fills)


def _lend(lake: Lake, loads: Sequence[Load], due: Collection[int]) -> None:
    told = {
        superseded.OF_LOAD: pa.array([load.sequence for load in loads], pa.int64()),
        superseded.IS_DUE: pa.array([load.id in due for load in loads], pa.bool_()),
        plan.LOAD: pa.array([load.id for load in loads], pa.int64()),
    }
    lake.engine.lend("of_feed", pa.table(told))


def _pinned(lake: Lake, table: Table, feed: Feed) -> str:
    """The name under which the keys are held of which a row of a feed waits in quarantine, or was repaired."""
    engine, loads, repairs = lake.engine, lake.ledger.loads(feed), lake.ledger.loads(feed.repairs)
    name, told, held = f"pinned_{plan.pending(feed)}", plan.told_key(table, feed), f"quarantine.{table.name}"
    files = bronze.files(lake.bronze, [load for load in loads if load.parts])
    if not files:
        engine.hold(name, superseded.nothing(told))
        return name
    engine.show("landed", files, plan.NUMBER)
    _lend(lake, loads, ())
    selects = [superseded.waiting(held, told)] if engine.columns(held) else []
    if repairs:
        engine.show("mended", bronze.proven(lake.bronze, repairs))
        selects += [superseded.mended(relation, told) for relation in ("landed", "mended")]
    engine.hold(name, "\nUNION\n".join([superseded.nothing(told), *selects]))
    engine.let_go("landed", "mended", "of_feed")
    return name


def key_of(lake: Lake, feed: Feed) -> list[str]:
    """The columns that tell the rows of a feed apart, quoted; none if there are none, so that each row stands."""
    spelled = {name.lower(): name for name in lake.engine.columns("landed")}
    known = [spelled[name.lower()] for name in feed.key if name.lower() in spelled]
    return [quoted(name) for name in known] if len(known) == len(feed.key) else []


def _is_unplaced(lake: Lake, table: Table) -> bool:
    """Whether a row waits in quarantine that has no id, as those of an older lake: nobody knows where it is from."""
    held = f"quarantine.{table.name}"
    columns = lake.engine.columns(held)
    placeless = f"{plan.ROW} IS NULL" if plan.ROW in columns else "TRUE"
    return bool(columns and lake.engine.ask(f"SELECT 1 FROM {held} WHERE {placeless} LIMIT 1").num_rows)
