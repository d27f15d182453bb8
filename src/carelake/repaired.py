"""Repairs -> silver: every key that a repaired row has, or had, is refined anew from all that bronze holds of it.

So it ends as if the row had been right from the start: rows of one load that could not be told apart, tombstones,
repetitions and intervals are decided together, as at first. Side tables are written before the versions, each with the
marks of the repairs it has seen.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa

from . import amend, bronze, culprit, plan, timeline
from .engine import Engine
from .errors import EngineFailed
from .ledger import Load
from .model import Feed, Table
from .refinery import (
    CAME,
    LEFT,
    REFUSED,
    TAKEN_BACK,
    Refinery,
    app,
    counted,
    lend_loads,
    marks_of,
    not_seen,
    tally_of,
    treat,
)
from .silver import Refined, added_to

RESOLVED = "audit.quarantine_resolved"  # what was held back, and is not any more
COLUMNS = {
    "table_name": "TEXT", "source_system": "TEXT", plan.LOAD: "BIGINT", plan.ROW: "BIGINT", "key": "BIGINT",
    plan.SOURCE_TIME: "TIMESTAMPTZ",
    "quarantine_reasons": "TEXT", "quarantined_at": "TIMESTAMPTZ", "how": "TEXT", "resolved_by": "BIGINT",
    "resolved_at": "TIMESTAMPTZ", "run_id": "TEXT",
}  # fmt: skip
HELD = "(SELECT * FROM keyed WHERE NOT quarantine_reasons IS NULL)"


@dataclass(frozen=True)
class Waiting:
    """What of a table is to be made anew."""

    feeds: Sequence[Feed]  # of the sources whose rows are repaired
    loads: Sequence[Load]  # of theirs, consumed before
    repairs: Sequence[Load]  # that are not consumed


def create(engine: Engine) -> None:
    """Make `audit.quarantine_resolved` if it is not there."""
    engine.create(RESOLVED, COLUMNS)


def renew(at: Refinery, table: Table, feeds: Sequence[Feed]) -> Refined:
    """Refine anew the keys of the rows that repairs stand for, as far as `table` has not consumed them.

    Raises `LakeDamaged`, `LakeFull`; `SourceColumnMissing` or `SqlUnfit`; `EngineFailed` for the rest.
    """
    waiting = _waiting(at, table, [feed for feed in feeds if feed.fills == table.name])
    if not waiting.repairs:
        return Refined(table.name, 0, 0, {}, {})
    try:
        _gather(at, table, waiting)
        told = _count(at)
        _write(at, table, waiting)
    except EngineFailed as error:
        raise culprit.in_table(at.engine, table, waiting.feeds, error) from None
    names = ("addressed", "touched", "amended", "keyed", "several", "purged_version", "stood", "mended")
    at.engine.let_go(*names, "renewed_load", "pending_load", *map(plan.pending, waiting.feeds))
    return Refined(table.name, told.total(), sum(told[why] for why in told if why), _by_reason(told), {})


def _waiting(at: Refinery, table: Table, feeds: Sequence[Feed]) -> Waiting:
    def consumed(feed: Feed) -> int:
        return at.engine.marked(f"silver.{table.name}_versions", app(at, table, feed))

    repairs = [load for feed in feeds for load in at.ledger.loads(feed.repairs, consumed(feed.repairs))]
    sources = {feed.source for feed in feeds if feed.repairs.name in {load.feed.name for load in repairs}}
    reached = [feed for feed in feeds if feed.source in sources]
    loads = [load for feed in reached for load in at.ledger.loads(feed) if load.sequence <= consumed(feed)]
    there = sorted((load for load in loads if load.parts), key=lambda load: load.id)
    told = [feed for feed in reached if any(load.feed == feed for load in there)]
    named = {feed.repairs.name for feed in told}
    return Waiting(told, there, [load for load in repairs if load.feed.name in named])


# --- what is made anew -----------------------------------------------------------------------------------------------


def _gather(at: Refinery, table: Table, waiting: Waiting) -> None:
    """Hold `keyed`: all that is told of the keys touched; `several`: those keys; `stood`: their versions so far."""
    lend_loads(at, waiting.loads)
    told = {"id": [load.id for load in waiting.loads], "is_purged": [load.purged > 0 for load in waiting.loads]}
    at.engine.lend("renewed_load", pa.table(told))
    shown = {plan.pending(feed): _repaired(at, feed, waiting.loads) for feed in waiting.feeds}
    at.engine.hold("addressed", _addressed(at, waiting, shown))
    every = {name: name for name, is_repaired in shown.items() if is_repaired}
    at.engine.hold("touched", amend.touched(table, plan.arrived(table, waiting.feeds, every)))
    last = {name: amend.standing(name) for name in every}
    at.engine.hold("amended", amend.reached(table, plan.arrived(table, waiting.feeds, last)))
    treat(at, table, "SELECT * FROM amended", waiting.loads)
    key, place = table.own_key, f"held.{plan.LOAD} = addressed.{plan.LOAD} AND held.{plan.ROW} = addressed.{plan.ROW}"
    was = f"SELECT held.{key} FROM quarantine.{table.name} AS held INNER JOIN addressed ON {place}"
    both = f"SELECT {key} FROM keyed UNION {was}"
    at.engine.hold("several", f"SELECT {key} FROM ({both}) AS renewed WHERE NOT {key} IS NULL")
    at.engine.hold("purged_version", timeline.purged(table))
    at.engine.hold("stood", timeline.stood(table, at.policy))


def _repaired(at: Refinery, feed: Feed, loads: Sequence[Load]) -> bool:
    """Show what was landed of a feed, with its repairs; whether there are some."""
    landed = bronze.files(at.bronze, [load for load in loads if load.feed == feed])
    repairs = at.ledger.loads(feed.repairs)
    at.engine.show(plan.pending(feed), [*landed, *bronze.proven(at.bronze, repairs)], plan.NUMBER)
    return bool(repairs)


def _addressed(at: Refinery, waiting: Waiting, shown: Mapping[str, bool]) -> str:
    """The SELECT of the rows that the waiting repairs stand for; beside it, what is known of those is lent."""
    told = [(load.feed.name, load.sequence, load.id, load.load_type) for load in waiting.repairs]
    names, sequences, ids, hows = map(list, zip(*told, strict=True))
    at.engine.lend("mended", pa.table({"feed": names, "repair": sequences, "id": ids, "how": hows}))
    first = {load.feed.name: load.sequence for load in reversed(waiting.repairs)}
    return "\nUNION ALL\n".join(
        amend.addressed(feed, plan.pending(feed), first[feed.repairs.name] - 1)
        for feed in waiting.feeds
        if shown[plan.pending(feed)] and feed.repairs.name in first
    )


def _count(at: Refinery) -> Counter[str]:
    """Why the repaired rows are still held back -> how many; of those that are not, under ''."""
    place = f"keyed.{plan.LOAD} = addressed.{plan.LOAD} AND keyed.{plan.ROW} = addressed.{plan.ROW}"
    asked = (
        "SELECT COALESCE(quarantine_reasons, '') AS why, COUNT(*) AS n"
        f" FROM addressed LEFT JOIN keyed ON {place} GROUP BY quarantine_reasons"
    )
    return Counter({row["why"]: row["n"] for row in at.engine.ask(asked).to_pylist()})


def _by_reason(told: Counter[str]) -> dict[str, int]:
    reasons = Counter[str]()
    for why, count in told.items():
        reasons.update(dict.fromkeys(filter(None, why.split(";")), count))
    return dict(reasons)


# --- what is written -------------------------------------------------------------------------------------------------


def _write(at: Refinery, table: Table, waiting: Waiting) -> None:
    exact = ", ".join(plan.restricted_columns(table, at.policy))
    _replace(at, f"restricted.{table.name}_history", f"SELECT {exact} FROM keyed WHERE NOT is_deleted", table, waiting)
    if unseen := not_seen(at, RESOLVED, table, waiting.repairs):
        at.engine.append(RESOLVED, _resolved(at, table, waiting), marks_of(at, table, unseen))
    _replace(at, f"quarantine.{table.name}", _held(at, table), table, waiting)
    stored = f"silver.{table.name}_versions"
    last = at.engine.ask(f"SELECT COALESCE(MAX({plan.REVISION}), 0) AS revision FROM {stored}").to_pylist()[0]
    at.engine.hold("renewed", timeline.renewed_versions(table, at.policy, at.now, last["revision"] + 1))
    marks = marks_of(at, table, waiting.repairs) | _balanced(at, table)
    at.engine.append(stored, "SELECT * FROM renewed", marks)
    at.engine.let_go("renewed")


def _replace(at: Refinery, side: str, fresh: str, table: Table, waiting: Waiting) -> None:
    """Let a side table hold `fresh` in the place of what it held of the same keys; once for each repair."""
    unseen = not_seen(at, side, table, waiting.repairs)
    if not unseen:
        return
    at.engine.hold("fresh", fresh)
    stored, given = at.engine.columns(side), at.engine.columns("fresh")
    columns = [name if name in given else f"CAST(NULL AS {kind}) AS {name}" for name, kind in stored.items()]
    rows = f"{amend.untouched(table, list(stored), side)}\nUNION ALL\n{plan.select(columns, 'fresh')}"
    if side.startswith("restricted."):  # what is held back is never purged
        rows = f"{rows}\nUNION ALL\n{amend.purged(table, list(stored), side)}"
    counts = _moved(at, table, side) if side.startswith("quarantine.") else {}
    at.engine.replace(side, rows, marks=marks_of(at, table, unseen) | counts)
    at.engine.let_go("fresh")


def _moved(at: Refinery, table: Table, held: str) -> dict[str, int]:
    """The marks that count what leaves quarantine and what comes, until the versions count it too."""
    leaves = counted(at, f"SELECT COUNT(*) AS n FROM {held} AS held WHERE {amend.made_anew(table, 'held')}")
    told = {LEFT: leaves, CAME: counted(at, "SELECT COUNT(*) AS n FROM fresh")}
    marks = {_tally(at, table, name): more for name, more in told.items() if more}
    return {mark: at.engine.marked(held, mark) + more for mark, more in marks.items()}


def _tally(at: Refinery, table: Table, tally: str) -> str:
    return tally_of(table.name, tally, at.epochs.get(table.name, 1))


def _balanced(at: Refinery, table: Table) -> dict[str, int]:
    """The marks that say what becomes of each row: one that is no version and is not held back is refused."""
    stored, held = f"silver.{table.name}_versions", f"quarantine.{table.name}"
    marks = {mark: at.engine.marked(held, mark) for mark in (_tally(at, table, LEFT), _tally(at, table, CAME))}
    left, came = (count - at.engine.marked(stored, mark) for mark, count in marks.items())
    versions = counted(at, f"SELECT COUNT(*) AS n FROM renewed WHERE {plan.REVISION} = 0")
    more = left - came - versions
    new = {mark: count for mark, count in marks.items() if count > at.engine.marked(stored, mark)}
    return new | added_to(at, table, REFUSED if more > 0 else TAKEN_BACK, abs(more))


def _held(at: Refinery, table: Table) -> str:
    """What is held back of the keys; since when, does not change with a repair that did not help."""
    since = f"COALESCE(known.quarantined_at, {plan.instant(at.now)}) AS quarantined_at"
    columns = [
        since if name == "quarantined_at" else f"held.{name}" for name in plan.quarantine_columns(table, at.policy)
    ]
    known = (
        f"SELECT {plan.LOAD}, {plan.ROW}, MIN(quarantined_at) AS quarantined_at FROM quarantine.{table.name} AS before"
        f" GROUP BY {plan.LOAD}, {plan.ROW}"
    )
    same = f"known.{plan.LOAD} = held.{plan.LOAD} AND known.{plan.ROW} = held.{plan.ROW}"
    return plan.select(columns, f"{HELD} AS held", f"LEFT JOIN ({known}) AS known ON {same}")


def _resolved(at: Refinery, table: Table, waiting: Waiting) -> str:
    """The rows that were held back and are not any more; those that no repair names were settled by that of another."""
    place = " AND ".join(f"{{}}.{name} = known.{name}" for name in (plan.LOAD, plan.ROW))
    told = {
        "table_name": f"'{table.name}'",
        "key": f"known.{table.own_key}",
        "how": "COALESCE(mended.how, 'settled')",
        "resolved_by": f"COALESCE(mended.id, {max(load.id for load in waiting.repairs)})",
        "resolved_at": plan.instant(at.now),
        "run_id": f"'{at.run_id}'",
    }
    return plan.select(
        [f"{told.get(name, f'known.{name}')} AS {name}" for name in COLUMNS],
        f"quarantine.{table.name} AS known",
        f"LEFT JOIN addressed ON {place.format(*['addressed'] * 2)}",
        "LEFT JOIN mended ON mended.feed = addressed.feed AND mended.repair = addressed.repair",
        f"LEFT JOIN {HELD} AS held ON {place.format(*['held'] * 2)}",
        f"WHERE held.{plan.LOAD} IS NULL AND NOT known.{plan.ROW} IS NULL AND {amend.made_anew(table, 'known')}",
    )
