"""Bronze -> silver, one table at a time: the loads it has not consumed, refined in one commit.

Side tables (vault, restricted, quarantine, rule results) are written before the table, each with the marks of the loads
it has seen, so that a kill at any instant leaves a state from which the next run ends right.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import chain
from pathlib import Path
from typing import Any

import pyarrow as pa

from . import bronze, culprit, plan, quality, timeline
from .engine import Engine
from .errors import EngineFailed, RuleBroken
from .ledger import Ledger, Load
from .model import Declarations, Feed, Policy, Rule, Table
from .vault import Vault

ROWS_A_PASS = 2_000_000  # of pending loads, so that memory does not grow with the first load
REVISED_SHARE, REVISED_ROWS = 0.125, 10_000  # revised versions among all: beyond both, they are written anew
RESULTS = {
    "run_id": "TEXT", "table_name": "TEXT", "rule": "TEXT", "otherwise": "TEXT", "source_system": "TEXT",
    "violating": "BIGINT", "rows_seen": "BIGINT", "load_from": "BIGINT", "load_to": "BIGINT",
    "judged_at": "TIMESTAMPTZ", "scope": "TEXT", "state": "TEXT",
}  # fmt: skip
OF_LOADS, OF_TABLE = "load", "table"  # the scope of a result: what loads brought, or all that stands

REFUSED = "refused"  # repetitions, and what lost against a tie-breaker or a later version, when they arrived
SETTLED = "settled"  # versions that a later one stood for, left out when all were written anew
MADE = "audit.silver_columns"  # how each column of silver is made, as long as the lake lives
MADE_AS = {"table_name": "TEXT", "column_name": "TEXT", "made_as": "TEXT"}


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
    engine.create(MADE, MADE_AS)
    _note_made(engine, declared)


def made(engine: Engine) -> dict[tuple[str, str], str]:
    """(table, column) -> how its stored values were made."""
    rows = (
        engine.ask(f"SELECT {', '.join(MADE_AS)} FROM {MADE}").to_pylist() if engine.version(MADE) is not None else []
    )
    return {(row["table_name"], row["column_name"]): row["made_as"] for row in rows}


def _note_made(engine: Engine, declared: Declarations) -> None:
    known = made(engine)
    new = [
        {"table_name": table.name, "column_name": column, "made_as": how}
        for table in declared.tables.values()
        for column, how in plan.made_as(table, declared.policy).items()
        if (table.name, column) not in known
    ]
    if new:
        engine.lend("new_columns", pa.Table.from_pylist(new))
        engine.append(MADE, "SELECT * FROM new_columns")
        engine.let_go("new_columns")


def define(engine: Engine, declared: Declarations) -> None:
    """Let SELECTs read the views of every silver table that is there: current, history, and with quarantined rows."""
    for table in declared.tables.values():
        stored = f"silver.{table.name}_versions"
        if engine.version(stored) is not None:
            held = f"quarantine.{table.name}"
            versions = plan.widened(stored, engine.columns(stored), plan.stored_columns(table, declared.policy))
            waiting = plan.widened(held, engine.columns(held), plan.quarantine_columns(table, declared.policy))
            for name, select in timeline.seen(table, declared.policy, versions, waiting).items():
                engine.define(f"silver.{name}", select)


@dataclass(frozen=True)
class Refinery:
    """What every refinement of a run shares."""

    engine: Engine
    ledger: Ledger
    vault: Vault
    bronze: Path
    policy: Policy
    run_id: str
    now: datetime


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


def app(table: str, feed: Feed) -> str:
    """The mark of a feed's loads on a table: `<table>/<source>/<feed>#<epoch>`."""
    return mark(table, feed.source, feed.name)


def mark(table: str, source: str, feed: str) -> str:
    """The same of a feed by its names: also of one that is declared no more."""
    return f"{table}/{source}/{feed}#1"


def tally_of(table: str, tally: str) -> str:
    """The mark that counts rows of a table which are in no version: `REFUSED` or `SETTLED` ones, since it was made."""
    return f"{table}/{tally}#1"


def _unconsumed(at: Refinery, table: Table, feeds: Sequence[Feed]) -> list[Load]:
    """In the order they were landed: what is taken in later is known to have come later, also from another feed."""
    stored = f"silver.{table.name}_versions"
    loads = (at.ledger.loads(feed, at.engine.marked(stored, app(table.name, feed))) for feed in feeds)
    return sorted(chain.from_iterable(loads), key=lambda load: load.id)


def _passes(loads: Sequence[Load]) -> Iterator[list[Load]]:
    """Loads, in order, in portions of about `ROWS_A_PASS` rows."""
    portion: list[Load] = []
    for load in loads:
        if portion and sum(one.rows for one in portion) + load.rows > ROWS_A_PASS:
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
    rows = _show(at, table, loads)
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
    marks = _marks(table, loads)
    filled = [load for load in loads if load.parts]
    if not filled:
        stored = f"silver.{table.name}_versions"
        at.engine.append(stored, f"SELECT * FROM {stored} WHERE FALSE", marks)
        return Refined(table.name, 0, 0, {}, {})
    rows = _show(at, table, filled)
    flagged = _judge(at, table, rows, filled)
    refused = _treat(at, table, rows, filled)
    held, reasons = _set_aside(at, table, loads)
    _version(at, table, marks, refused)
    at.engine.let_go("keyed", "pending_load", *{plan.pending(load.feed) for load in filled})
    return Refined(table.name, sum(load.rows for load in filled), held, reasons, flagged)


def _show(at: Refinery, table: Table, loads: Sequence[Load]) -> str:
    """The SELECT of what arrived: the pending loads' rows, mapped and typed."""
    feeds = list({load.feed.name + load.feed.source: load.feed for load in loads}.values())
    for feed in feeds:
        landed = bronze.proven(at.bronze, [load for load in loads if load.feed == feed])
        at.engine.show(plan.pending(feed), landed, plan.NUMBER)
    at.engine.lend(
        "pending_load",
        pa.table(
            {
                "_lake_feed": [f"{load.feed.source}/{load.feed.name}" for load in loads],
                "_lake_load_sequence": pa.array([load.sequence for load in loads], pa.int64()),
                "_lake_load_id": pa.array([load.id for load in loads], pa.int64()),
                quality.DAY: pa.array([load.as_of for load in loads], pa.date32()),
                quality.TOMORROW: pa.array([_day_after(load) for load in loads], pa.timestamp("us", "UTC")),
                "_lake_upper": pa.array([load.upper for load in loads], pa.timestamp("us", "UTC")),
                "_lake_seen_at": pa.array([load.extracted_at for load in loads], pa.timestamp("us", "UTC")),
            }
        ),
    )
    return plan.arrived(table, feeds)


def _day_after(load: Load) -> datetime:
    return load.extracted_at + timedelta(days=1)


def _judge(at: Refinery, table: Table, rows: str, loads: Sequence[Load]) -> dict[str, int]:
    """Count what breaks each rule, and keep the counts; 0 means that no row does. Those of `warn` rules come back."""
    tallies = at.engine.ask(quality.tally(table, plan.there(rows), f"source_system, {plan.LOAD}")).to_pylist()
    warn = [rule.name for rule in quality.rules_of(table) if quality.broken([rule], "warn")]
    flagged = {name: count for name in warn if (count := sum(tally[name] for tally in tallies))}
    unseen = _unseen(at, "audit.rule_results", table, loads)
    if results := _results(at, table, [tally for tally in tallies if tally[plan.LOAD] in {one.id for one in unseen}]):
        at.engine.lend("result", pa.Table.from_pylist(results))
        at.engine.append("audit.rule_results", "SELECT * FROM result", _marks(table, unseen))
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


def _treat(at: Refinery, table: Table, rows: str, loads: Sequence[Load]) -> int:
    """Hold `keyed`: what arrived, with tokens for identifiers and with its surrogate keys. How many rows it refuses."""
    identifiers = plan.identifiers(table, at.policy, rows)
    if identifiers:
        at.vault.mint_tokens(identifiers, at.now)
    at.vault.mint_keys(plan.named(table, at.policy, rows))
    at.vault.lend_hash_key()
    at.engine.hold("keyed", plan.keyed(table, at.policy, rows))
    at.engine.let_go("hash_key", "token_of", "key_of")
    refused = 0
    if any(load.rows_deleted for load in loads):
        refused += _count(at, plan.unvanished(table))
        _keep(at, plan.vanished(table))
    if at.engine.hold("crowded", plan.crowded(table)):
        refused += _count(at, plan.repeated(table))
        _keep(at, plan.uncrowded(table, list(at.engine.columns("keyed"))))
    at.engine.let_go("crowded")
    return refused


def _count(at: Refinery, select: str) -> int:
    return int(at.engine.ask(select).to_pylist()[0]["n"])


def _keep(at: Refinery, select: str) -> None:
    """Hold `keyed` as `select`, which reads it, leaves it."""
    at.engine.hold("kept", select)
    at.engine.hold("keyed", "SELECT * FROM kept")
    at.engine.let_go("kept")


def _set_aside(at: Refinery, table: Table, loads: Sequence[Load]) -> tuple[int, dict[str, int]]:
    """Write what belongs to the side tables: rows held back, and what only the restricted zone may hold. How many rows
    are held back, and how many for each reason.
    """
    exact = ", ".join(plan.restricted_columns(table, at.policy))
    _once(at, f"restricted.{table.name}_history", f"SELECT {exact} FROM keyed WHERE NOT is_deleted", table, loads)
    moment = f"CAST('{at.now.isoformat()}' AS TIMESTAMPTZ) AS quarantined_at"
    names = (moment if name == "quarantined_at" else name for name in plan.quarantine_columns(table, at.policy))
    held = "keyed WHERE NOT quarantine_reasons IS NULL"
    why = at.engine.ask(f"SELECT quarantine_reasons, COUNT(*) AS n FROM {held} GROUP BY quarantine_reasons").to_pylist()
    if why:
        _once(at, f"quarantine.{table.name}", f"SELECT {', '.join(names)} FROM {held}", table, loads)
    reasons = (dict.fromkeys(row["quarantine_reasons"].split(";"), row["n"]) for row in why)
    return sum(row["n"] for row in why), _added(reasons)


def _once(at: Refinery, side: str, select: str, table: Table, loads: Sequence[Load]) -> None:
    """Append to a side table what a run that was killed has not: it wrote whole loads, and marked them."""
    unseen = _unseen(at, side, table, loads)
    if not unseen:
        return
    if len(unseen) < len(loads):
        listed = ", ".join(str(load.id) for load in unseen)
        select = f"SELECT * FROM ({select}) AS fresh WHERE {plan.LOAD} IN ({listed})"
    at.engine.append(side, select, _marks(table, unseen))


def _unseen(at: Refinery, side: str, table: Table, loads: Sequence[Load]) -> list[Load]:
    return [load for load in loads if load.sequence > at.engine.marked(side, app(table.name, load.feed))]


def _marks(table: Table, loads: Sequence[Load]) -> dict[str, int]:
    return {app(table.name, load.feed): load.sequence for load in loads}


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
        refused += _count(at, timeline.refused("recomputed"))
        change = f"{change}\nUNION ALL\n{timeline.fresh('recomputed')}"
    at.engine.append(stored, change, {**marks, **_added_to(at, table, REFUSED, refused)})
    at.engine.let_go("several", "recomputed")


def _added_to(at: Refinery, table: Table, tally: str, more: int) -> dict[str, int]:
    """The mark that counts one more lot; none if there is nothing to count, since a mark may only grow."""
    mark = tally_of(table.name, tally)
    return {mark: at.engine.marked(f"silver.{table.name}_versions", mark) + more} if more else {}


def _settle(at: Refinery, table: Table) -> None:
    """Write the versions anew once so many of them are revised that readers feel it."""
    stored = f"silver.{table.name}_versions"
    count = f"SELECT COUNT(*) AS n, COUNT(CASE WHEN {plan.REVISION} > 0 THEN 1 END) AS revised FROM {stored}"
    (rows,) = at.engine.ask(count).to_pylist()
    if rows["revised"] > max(rows["n"] * REVISED_SHARE, REVISED_ROWS):
        gone = _count(at, timeline.passed_over(table, stored))
        marks = _added_to(at, table, SETTLED, gone)
        at.engine.replace(stored, timeline.settled(table, at.policy, stored), marks=marks)
