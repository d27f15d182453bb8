"""Bronze -> silver, one table at a time: the loads it has not consumed, refined in one commit.

Side tables (vault, restricted, quarantine, rule results) are written before the table, each with the marks of the loads
it has seen, so that a kill at any instant leaves a state from which the next run ends right.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import pyarrow as pa

from . import culprit, epochs, made, plan, quality, suppressions, timeline
from .engine import Engine
from .errors import EngineFailed, RuleBroken
from .ledger import Load
from .model import Declarations, Feed, Rule, Table
from .refinery import PURGED, REFUSED, SETTLED, Refinery, app, counted, marks_of, not_seen, show, tally_of, treat

ROWS_A_PASS = 2_000_000  # of pending loads, so that memory does not grow with the first load
REVISED_SHARE, REVISED_ROWS = 0.125, 10_000  # revised versions among all: beyond both, they are written anew
RESULTS = {
    "run_id": "TEXT", "table_name": "TEXT", "rule": "TEXT", "otherwise": "TEXT", "source_system": "TEXT",
    "violating": "BIGINT", "rows_seen": "BIGINT", "load_from": "BIGINT", "load_to": "BIGINT",
    "judged_at": "TIMESTAMPTZ", "scope": "TEXT", "state": "TEXT",
}  # fmt: skip
OF_LOADS, OF_TABLE = "load", "table"  # the scope of a result: what loads brought, or all that stands


@dataclass(frozen=True)
class Refined:
    """What one table took in: rows by what became of them."""

    table: str
    rows: int
    quarantined: int
    reasons: Mapping[str, int]  # reason -> rows held back for it; a row may have several
    flagged: Mapping[str, int]  # `warn` rule -> rows that break it


def create(engine: Engine, declared: Declarations) -> None:
    """Make every silver table that is not there yet, empty, or add the columns that it lacks."""
    for table in declared.tables.values():
        keys = [table.own_key, *table.refers]
        plain = [*keys, "source_system", plan.REVISION]
        engine.create(f"silver.{table.name}_versions", plan.stored_columns(table, declared.policy), plain)
        exact = plan.restricted_columns(table, declared.policy)
        engine.create(f"restricted.{table.name}_history", exact, [table.own_key])
        engine.create(f"quarantine.{table.name}", plan.quarantine_columns(table, declared.policy), keys)
    engine.create("audit.rule_results", RESULTS)
    made.note(engine, declared, epochs.current(engine))


def define(engine: Engine, declared: Declarations) -> None:
    """Let SELECTs read the views of every silver table that is there: current, history, and with quarantined rows.
    None of them shows a person who is suppressed.
    """
    people, person = suppressions.hidden(engine), declared.person_key
    for table in declared.tables.values():
        stored = f"silver.{table.name}_versions"
        if engine.version(stored) is not None:
            held, stand = f"quarantine.{table.name}", timeline.stands(table)
            engine.stand(stand, stored, timeline.identity(table), plan.REVISION, plan.GONE)
            told, refused = plan.stored_columns(table, declared.policy), plan.quarantine_columns(table, declared.policy)
            every = plan.widened(stand, engine.columns(stored), told)
            versions = suppressions.without(people, person, every, told)
            every = plan.widened(held, engine.columns(held), refused)
            waiting = suppressions.without(people, person, every, refused)
            for name, select in timeline.seen(table, declared.policy, versions, waiting).items():
                engine.define(f"silver.{name}", select)
            exact = f"restricted.{table.name}_history"
            kept = plan.widened(exact, engine.columns(exact), plan.restricted_columns(table, declared.policy))
            for name, columns in table.exact.items():
                engine.define(f"restricted.{name}", timeline.exact(table, columns, versions, kept))


def refine(at: Refinery, table: Table, feeds: Sequence[Feed]) -> Refined:
    """Take in every load that `table` has not consumed.

    Raises `RuleBroken`, `LakeDamaged`, `LakeFull`; `SourceColumnMissing` or `SqlUnfit` for what the declarations say of
    it and cannot be computed; `EngineFailed` for the rest.
    """
    feeds = [feed for feed in feeds if feed.fills == table.name]
    try:
        loads = _unconsumed(at, table, feeds)
        _stop(at, table, [load for load in loads if load.parts])
        taken = [_refine(at, table, portion) for portion in _passes(loads)]
    except EngineFailed as error:
        raise culprit.in_table(at.engine, table, feeds, error) from None
    if taken:
        _settle(at, table)
    rows, held = sum(one.rows for one in taken), sum(one.quarantined for one in taken)
    return Refined(table.name, rows, held, _added(one.reasons for one in taken), _added(one.flagged for one in taken))


def _added(counts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    added = Counter[str]()
    for count in counts:
        added.update(count)
    return dict(added)


def _unconsumed(at: Refinery, table: Table, feeds: Sequence[Feed]) -> list[Load]:
    """In the order they were landed: what is taken in later is known to have come later, also from another feed."""
    stored = f"silver.{table.name}_versions"
    loads = (at.ledger.loads(feed, at.engine.marked(stored, app(at, table, feed))) for feed in feeds)
    return sorted(chain.from_iterable(loads), key=lambda load: load.id)


def _passes(loads: Sequence[Load]) -> Iterator[list[Load]]:
    """Loads, in order, in portions of about `ROWS_A_PASS` rows."""
    portion: list[Load] = []
    for load in loads:
        if portion and sum(one.left for one in portion) + load.left > ROWS_A_PASS:
            yield portion
            portion = []
        portion.append(load)
    if portion:
        yield portion


def _stop(at: Refinery, table: Table, loads: Sequence[Load]) -> None:
    """Raises `RuleBroken` if what the sources told last of some key breaks a rule that stops. A row that was mended
    since stops nothing: it is held back, as one that breaks a `quarantine` rule is.
    """
    rules = [rule for rule in quality.rules_of(table) if quality.broken([rule], "stop")]
    if not rules or not loads:
        return
    rows = show(at, table, loads)
    for asked in (rows, plan.told_last(table, rows)):  # the second costs more, and is asked only if it matters
        tallies = at.engine.ask(quality.tally(table, plan.there(asked), "source_system")).to_pylist()
        stopped = [(rule, tally) for tally in tallies for rule in rules if _stops(rule, tally)]
        if not stopped:
            return
    rule, tally = stopped[0]
    raise RuleBroken(table.name, rule.name, rule.because, tally[rule.name], tally["rows_seen"])


def _stops(rule: Rule, tally: Mapping[str, Any]) -> bool:
    """Whether more rows of a source break a rule than it tolerates there."""
    severity = rule.severity(tally["source_system"])
    return severity.otherwise == "stop" and tally[rule.name] > severity.tolerated * tally["rows_seen"]


def _refine(at: Refinery, table: Table, loads: Sequence[Load]) -> Refined:
    marks = marks_of(at, table, loads) | added_to(at, table, PURGED, sum(load.purged for load in loads))
    filled = [load for load in loads if load.parts]
    if not filled:
        stored = f"silver.{table.name}_versions"
        at.engine.append(stored, f"SELECT * FROM {stored} WHERE FALSE", marks)
        return Refined(table.name, 0, 0, {}, {})
    rows = show(at, table, filled)
    flagged = _judge(at, table, rows, filled)
    refused = treat(at, table, rows, filled)
    held, reasons = _set_aside(at, table, loads)
    _version(at, table, marks, refused)
    at.engine.let_go("keyed", "pending_load", *{plan.pending(load.feed) for load in filled})
    return Refined(table.name, sum(load.left for load in filled), held, reasons, flagged)


def _judge(at: Refinery, table: Table, rows: str, loads: Sequence[Load]) -> dict[str, int]:
    """Count what breaks each rule, and keep the counts; 0 means that no row does. Those of `warn` rules come back."""
    tallies = at.engine.ask(quality.tally(table, plan.there(rows), f"source_system, {plan.LOAD}")).to_pylist()
    warn = [rule.name for rule in quality.rules_of(table) if quality.broken([rule], "warn")]
    flagged = {name: count for name in warn if (count := sum(tally[name] for tally in tallies))}
    unseen = not_seen(at, "audit.rule_results", table, loads)
    if results := _results(at, table, [tally for tally in tallies if tally[plan.LOAD] in {one.id for one in unseen}]):
        at.engine.lend("result", pa.Table.from_pylist(results))
        at.engine.append("audit.rule_results", "SELECT * FROM result", marks_of(at, table, unseen))
        at.engine.let_go("result")
    return flagged


def _results(at: Refinery, table: Table, tallies: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """A row per source system and rule, of tallies per source system and load."""
    loads = [tally[plan.LOAD] for tally in tallies]
    systems = {
        tally["source_system"]: [t for t in tallies if t["source_system"] == tally["source_system"]]
        for tally in tallies
    }
    return [
        {
            "run_id": at.run_id,
            "table_name": table.name,
            "rule": rule.name,
            "otherwise": rule.severity(system).otherwise,
            "source_system": system,
            "violating": sum(tally[rule.name] for tally in mine),
            "rows_seen": sum(tally["rows_seen"] for tally in mine),
            "load_from": min(loads),
            "load_to": max(loads),
            "judged_at": at.now,
            "scope": OF_LOADS,
            "state": "",
        }
        for system, mine in systems.items()
        for rule in quality.counted(table)
    ]


def _set_aside(at: Refinery, table: Table, loads: Sequence[Load]) -> tuple[int, dict[str, int]]:
    """Write what belongs to the side tables: rows held back, and what only the restricted zone may hold. How many rows
    are held back, and how many for each reason.
    """
    exact = ", ".join(plan.restricted_columns(table, at.policy))
    _once(at, f"restricted.{table.name}_history", f"SELECT {exact} FROM keyed WHERE NOT is_deleted", table, loads)
    moment = f"{plan.instant(at.now)} AS quarantined_at"
    names = (moment if name == "quarantined_at" else name for name in plan.quarantine_columns(table, at.policy))
    held = "keyed WHERE NOT quarantine_reasons IS NULL"
    why = at.engine.ask(f"SELECT quarantine_reasons, COUNT(*) AS n FROM {held} GROUP BY quarantine_reasons").to_pylist()
    if why:
        _once(at, f"quarantine.{table.name}", f"SELECT {', '.join(names)} FROM {held}", table, loads)
    reasons = (dict.fromkeys(row["quarantine_reasons"].split(";"), row["n"]) for row in why)
    return sum(row["n"] for row in why), _added(reasons)


def _once(at: Refinery, side: str, select: str, table: Table, loads: Sequence[Load]) -> None:
    """Append to a side table what a run that was killed has not: it wrote whole loads, and marked them."""
    unseen = not_seen(at, side, table, loads)
    if not unseen:
        return
    if len(unseen) < len(loads):
        listed = ", ".join(str(load.id) for load in unseen)
        select = f"SELECT * FROM ({select}) AS fresh WHERE {plan.LOAD} IN ({listed})"
    at.engine.append(side, select, marks_of(at, table, unseen))


def _version(at: Refinery, table: Table, marks: Mapping[str, int], refused: int) -> None:
    """Recompute the timeline of every key touched, and commit it with the marks of the loads it came from, and with how
    many of their rows were refused: what becomes of each row is counted in the very commit that decides it.
    """
    stored = f"silver.{table.name}_versions"
    change = timeline.first_versions(table, at.policy, at.now)
    if at.engine.hold("several", timeline.several(table)):
        last = at.engine.ask(f"SELECT COALESCE(MAX({plan.REVISION}), 0) AS revision FROM {stored}").to_pylist()[0]
        again = timeline.recomputed_versions(table, at.policy, at.now, last["revision"] + 1)
        at.engine.hold("recomputed", again)
        refused += counted(at, timeline.refused("recomputed"))
        change = f"{change}\nUNION ALL\n{timeline.fresh('recomputed')}"
    at.engine.append(stored, change, {**marks, **added_to(at, table, REFUSED, refused)})
    at.engine.let_go("several", "recomputed")


def added_to(at: Refinery, table: Table, tally: str, more: int) -> dict[str, int]:
    """The mark that counts one more lot; none if there is nothing to count, since a mark may only grow."""
    mark = tally_of(table.name, tally, at.epochs.get(table.name, 1))
    return {mark: at.engine.marked(f"silver.{table.name}_versions", mark) + more} if more else {}


def _settle(at: Refinery, table: Table) -> None:
    """Write the versions anew once so many of them are revised that readers feel it."""
    stored = f"silver.{table.name}_versions"
    count = f"SELECT COUNT(*) AS n, COUNT(CASE WHEN {plan.REVISION} > 0 THEN 1 END) AS revised FROM {stored}"
    (rows,) = at.engine.ask(count).to_pylist()
    if rows["revised"] > max(rows["n"] * REVISED_SHARE, REVISED_ROWS):
        gone = counted(at, timeline.passed_over(table, stored))
        marks = added_to(at, table, SETTLED, gone)
        at.engine.replace(stored, timeline.settled(table, at.policy, stored), marks=marks)
