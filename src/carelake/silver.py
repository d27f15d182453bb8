"""Bronze -> silver, one table at a time: the loads it has not consumed, refined in one commit.

Side tables (vault, restricted, quarantine, rule results) are written before the table, each with the marks of the loads
it has seen, so that a kill at any instant leaves a state from which the next run ends right.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pyarrow as pa

from . import bronze, plan, quality
from .engine import Engine
from .errors import RuleBroken
from .ledger import Ledger, Load
from .model import Declarations, Feed, Policy, Table
from .vault import Vault

ROWS_A_PASS = 2_000_000  # of pending loads, so that memory does not grow with the first load
RESULTS = {
    "run_id": "TEXT", "table_name": "TEXT", "rule": "TEXT", "otherwise": "TEXT", "source_system": "TEXT",
    "violating": "BIGINT", "rows_seen": "BIGINT", "load_from": "BIGINT", "load_to": "BIGINT",
    "judged_at": "TIMESTAMPTZ",
}  # fmt: skip


@dataclass(frozen=True)
class Refined:
    """What one table took in: rows by what became of them."""

    table: str
    rows: int
    quarantined: int
    flagged: Mapping[str, int]  # rule -> rows that break it, whatever its severity


def create(engine: Engine, declared: Declarations) -> None:
    """Make every silver table that is not there yet, empty, or add the columns that it lacks."""
    for table in declared.tables.values():
        keys = [table.own_key, *table.refers]
        engine.create(
            f"silver.{table.name}_history", plan.stored_columns(table, declared.policy), [*keys, "source_system"]
        )
        engine.create(
            f"restricted.{table.name}_history", plan.restricted_columns(table, declared.policy), [table.own_key]
        )
        engine.create(f"quarantine.{table.name}", plan.quarantine_columns(table, declared.policy), keys)
    engine.create("audit.rule_results", RESULTS)


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
    """Take in every load that `table` has not consumed. Raises `RuleBroken`, `EngineFailed` or `LakeFull`."""
    feeds = [feed for feed in feeds if feed.fills == table.name]
    taken = [_refine(at, table, feeds, loads) for loads in _passes(_unconsumed(at, table, feeds))]
    flagged: dict[str, int] = {}
    for one in taken:
        for rule, count in one.flagged.items():
            flagged[rule] = flagged.get(rule, 0) + count
    return Refined(table.name, sum(one.rows for one in taken), sum(one.quarantined for one in taken), flagged)


def app(table: str, feed: Feed) -> str:
    """The mark of a feed's loads on a table: `<table>/<source>/<feed>#<epoch>`."""
    return f"{table}/{feed.source}/{feed.name}#1"


def _unconsumed(at: Refinery, table: Table, feeds: Sequence[Feed]) -> list[Load]:
    history = f"silver.{table.name}_history"
    return [load for feed in feeds for load in at.ledger.loads(feed, at.engine.marked(history, app(table.name, feed)))]


def _passes(loads: Sequence[Load]) -> Iterator[list[Load]]:
    """Loads, feed by feed and in order, in portions of about `ROWS_A_PASS` rows."""
    portion: list[Load] = []
    for load in loads:
        if portion and sum(one.rows for one in portion) + load.rows > ROWS_A_PASS:
            yield portion
            portion = []
        portion.append(load)
    if portion:
        yield portion


def _refine(at: Refinery, table: Table, feeds: Sequence[Feed], loads: Sequence[Load]) -> Refined:
    marks = {app(table.name, load.feed): load.sequence for load in loads}
    filled = [load for load in loads if load.parts]
    if not filled:
        at.engine.append(
            f"silver.{table.name}_history", f"SELECT * FROM silver.{table.name}_history WHERE FALSE", marks
        )
        return Refined(table.name, 0, 0, {})
    rows = _show(at, table, filled)
    flagged = _judge(at, table, rows, filled)
    _treat(at, table, rows)
    held = _set_aside(at, table, loads)
    _version(at, table, marks)
    at.engine.let_go("keyed", "version", "many", "pending_load", *{plan.pending(load.feed) for load in filled})
    return Refined(table.name, sum(load.rows for load in filled), held, flagged)


def _show(at: Refinery, table: Table, loads: Sequence[Load]) -> str:
    """The SELECT of what arrived: the pending loads' rows, mapped and typed."""
    feeds = list({load.feed.name + load.feed.source: load.feed for load in loads}.values())
    for feed in feeds:
        at.engine.show(plan.pending(feed), bronze.files(at.bronze, [load for load in loads if load.feed == feed]))
    at.engine.lend(
        "pending_load",
        pa.table(
            {
                "_lake_feed": [f"{load.feed.source}/{load.feed.name}" for load in loads],
                "_lake_load_sequence": pa.array([load.sequence for load in loads], pa.int64()),
                "_lake_load_id": pa.array([load.id for load in loads], pa.int64()),
                "_lake_as_of": pa.array([load.as_of for load in loads], pa.date32()),
                "_lake_upper": pa.array([load.upper for load in loads], pa.timestamp("us", "UTC")),
                "_lake_seen_at": pa.array([load.extracted_at for load in loads], pa.timestamp("us", "UTC")),
            }
        ),
    )
    return plan.arrived(table, feeds)


def _judge(at: Refinery, table: Table, rows: str, loads: Sequence[Load]) -> dict[str, int]:
    """Count what breaks each rule, and keep the counts; 0 means that no row does. Raises `RuleBroken` at a `stop`."""
    tallies = at.engine.ask(quality.tally(table, f"({rows})", "source_system")).to_pylist()
    rules = quality.rules_of(table)
    totals = {rule.name: sum(tally[rule.name] for tally in tallies) for rule in rules}
    for rule in rules:
        if rule.otherwise == "stop" and totals[rule.name]:
            seen = sum(tally["rows_seen"] for tally in tallies)
            raise RuleBroken(table.name, rule.name, rule.because, totals[rule.name], seen)
    if results := [
        {
            "run_id": at.run_id,
            "table_name": table.name,
            "rule": rule.name,
            "otherwise": rule.otherwise,
            "source_system": tally["source_system"],
            "violating": tally[rule.name],
            "rows_seen": tally["rows_seen"],
            "load_from": min(load.id for load in loads),
            "load_to": max(load.id for load in loads),
            "judged_at": at.now,
        }
        for tally in tallies
        for rule in rules
    ]:
        at.engine.lend("result", pa.Table.from_pylist(results))
        _once(at, "audit.rule_results", "SELECT * FROM result", table, loads)
        at.engine.let_go("result")
    return {name: total for name, total in totals.items() if total}


def _treat(at: Refinery, table: Table, rows: str) -> None:
    """Hold `keyed`: what arrived, with tokens for identifiers and with its surrogate keys."""
    identifiers = plan.identifiers(table, at.policy, rows)
    if identifiers:
        at.vault.mint_tokens(identifiers, at.now)
    at.vault.lend_hash_key()
    at.engine.hold("treated", plan.treated(table, at.policy, rows))
    at.engine.let_go("hash_key", "token_of")
    for entity, columns in plan.entities(table).items():
        named = f"SELECT DISTINCT source_system, {plan.source_id(columns, 'treated')} AS source_id FROM treated"
        at.vault.mint_keys(entity, named)
    at.engine.hold("keyed", plan.keyed(table, at.policy))
    at.engine.let_go("treated")
    if at.engine.hold("crowded", plan.crowded(table)):
        at.engine.hold("uncrowded", plan.uncrowded(table, list(at.engine.columns("keyed"))))
        at.engine.hold("keyed", "SELECT * FROM uncrowded")
        at.engine.let_go("uncrowded")
    at.engine.let_go("crowded")


def _set_aside(at: Refinery, table: Table, loads: Sequence[Load]) -> int:
    """Write what belongs to the side tables: rows held back, and what only the restricted zone may hold."""
    exact = ", ".join(plan.restricted_columns(table, at.policy))
    _once(at, f"restricted.{table.name}_history", f"SELECT {exact} FROM keyed WHERE NOT is_deleted", table, loads)
    moment = f"CAST('{at.now.isoformat()}' AS TIMESTAMPTZ) AS quarantined_at"
    names = (moment if name == "quarantined_at" else name for name in plan.quarantine_columns(table, at.policy))
    held = "keyed WHERE NOT quarantine_reasons IS NULL"
    count = at.engine.ask(f"SELECT COUNT(*) AS n FROM {held}").to_pylist()[0]["n"]
    if count:
        _once(at, f"quarantine.{table.name}", f"SELECT {', '.join(names)} FROM {held}", table, loads)
    return int(count)


def _once(at: Refinery, side: str, select: str, table: Table, loads: Sequence[Load]) -> None:
    """Append to a side table unless a run that was killed has done so. A pass is the same passage in both runs: a side
    table is written whole before the table is, so the loads it has marked are the first ones of this pass.
    """
    marks = {app(table.name, load.feed): load.sequence for load in loads}
    seen = [load.id for load in loads if load.sequence <= at.engine.marked(side, app(table.name, load.feed))]
    marks = {name: sequence for name, sequence in marks.items() if sequence > at.engine.marked(side, name)}
    if not marks:
        return
    column = plan.LOAD if plan.LOAD in at.engine.columns(side) else None
    if seen and column:
        listed = ", ".join(map(str, seen))
        select = f"SELECT * FROM ({select}) AS fresh WHERE NOT {column} IN ({listed})"
    at.engine.append(side, select, marks)


def _version(at: Refinery, table: Table, marks: Mapping[str, int]) -> None:
    """Recompute the timeline of every key touched, and commit it with the marks of the loads it came from."""
    history = f"silver.{table.name}_history"
    at.engine.hold("version", plan.versions(table, at.policy))
    many = at.engine.hold("many", plan.lone(table))
    first = plan.first_versions(table, at.policy, at.now)
    again = plan.recomputed_versions(table, at.policy, at.now)
    known = at.engine.ask("SELECT COUNT(*) AS n FROM version WHERE NOT is_new").to_pylist()[0]["n"]
    change = (
        f"SELECT * FROM ({first}) AS first_version UNION ALL SELECT * FROM ({again}) AS recomputed" if many else first
    )
    if known:
        at.engine.merge(history, change, [table.own_key, plan.LOAD, plan.SOURCE_TIME], plan.RECOMPUTED, marks)
    else:
        at.engine.append(history, change, marks)
