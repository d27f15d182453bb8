"""What arrived, before it becomes versions: pending rows shown, judged, with tokens for identifiers and keys: `keyed`.

Marks say which loads a table has consumed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

import pyarrow as pa

from . import amend, bronze, plan, quality
from .engine import Engine
from .ledger import Ledger, Load
from .model import Feed, Policy, Table
from .vault import Vault

REFUSED = "refused"  # repetitions, and what lost against a tie-breaker or a later version, when they arrived
TAKEN_BACK = "taken-back"  # versions whose rows are told otherwise since a repair, or are held back
SETTLED = "settled"  # versions that a later one stood for, left out when all were written anew
PURGED = "purged"  # rows that were purged before their load was taken in, by a table that was begun anew
LEFT, CAME = "left", "came"  # rows that repairs took out of quarantine, and that they brought into it
TALLIES = (REFUSED, SETTLED, TAKEN_BACK, PURGED, LEFT, CAME)


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
    epochs: Mapping[str, int] = field(default_factory=dict)  # of tables that were begun anew


def app(at: Refinery, table: Table, feed: Feed) -> str:
    """The mark of a feed's loads on a table: `<table>/<source>/<feed>#<epoch>`."""
    return mark(table.name, feed.source, feed.name, at.epochs)


def mark(table: str, source: str, feed: str, epochs: Mapping[str, int]) -> str:
    """The same of a feed by its names: also of one that is declared no more."""
    return f"{table}/{source}/{feed}#{epochs.get(table, 1)}"


def not_seen(at: Refinery, side: str, table: Table, loads: Sequence[Load]) -> list[Load]:
    return [load for load in loads if load.sequence > at.engine.marked(side, app(at, table, load.feed))]


def tally_of(table: str, tally: str, epoch: int) -> str:
    """The mark that counts rows of a table which are in no version: one of `TALLIES`, since its epoch began."""
    return f"{table}/{tally}#{epoch}"


def marks_of(at: Refinery, table: Table, loads: Sequence[Load]) -> dict[str, int]:
    return {app(at, table, load.feed): load.sequence for load in loads}


def show(at: Refinery, table: Table, loads: Sequence[Load]) -> str:
    """The SELECT of what arrived: the pending loads' rows, mapped and typed, and repaired if they have been."""
    feeds = list({load.feed.name + load.feed.source: load.feed for load in loads}.values())
    repaired = {plan.pending(feed): amend.standing(plan.pending(feed)) for feed in feeds if _shown(at, feed, loads)}
    lend_loads(at, loads)
    return plan.arrived(table, feeds, repaired)


def _shown(at: Refinery, feed: Feed, loads: Sequence[Load]) -> bool:
    """Show the pending loads of a feed; whether repairs of them are among what is shown."""
    mine = [load for load in loads if load.feed == feed]
    repairs = [one for one in at.ledger.loads(feed.repairs) if one.id > mine[0].id]  # there are some in a new epoch
    at.engine.show(plan.pending(feed), bronze.proven(at.bronze, [*mine, *repairs]), plan.NUMBER)
    return bool(repairs)


def lend_loads(at: Refinery, loads: Sequence[Load]) -> None:
    """Let SELECTs of this run read as `pending_load` what the rows of `loads` share."""
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


def _day_after(load: Load) -> datetime:
    return load.extracted_at + timedelta(days=1)


def treat(at: Refinery, table: Table, rows: str, loads: Sequence[Load]) -> int:
    """Hold `keyed`: what arrived, with tokens for identifiers and with its surrogate keys. How many rows it refuses."""
    identifiers = plan.identifiers(table, at.policy, rows)
    if identifiers:
        at.vault.mint_tokens(identifiers, at.now)
    at.vault.mint_keys(plan.named(table, at.policy, rows))
    at.vault.lend_hash_key()
    at.engine.hold("keyed", plan.keyed(table, at.policy, rows))
    at.engine.let_go("hash_key", "token_of", "key_of")
    refused = _excuse(at, table)
    if any(load.rows_deleted for load in loads):
        refused += counted(at, plan.unvanished(table))
        _keep(at, plan.vanished(table))
    if at.engine.hold("crowded", plan.crowded(table)):
        refused += counted(at, plan.repeated(table))
        _keep(at, plan.uncrowded(table, list(at.engine.columns("keyed"))))
    at.engine.let_go("crowded")
    return refused


def _excuse(at: Refinery, table: Table) -> int:
    """Let rows pass that were accepted as they are. How many others that refuses: those that contradict them."""
    told = at.engine.ask(f"SELECT DISTINCT {plan.ALLOWED} AS rules FROM keyed WHERE NOT {plan.ALLOWED} IS NULL")
    rules = sorted({rule for row in told["rules"].to_pylist() for rule in row.split(";")})
    if not rules:
        return 0
    _keep(at, amend.excused(list(at.engine.columns("keyed")), rules))
    before = at.engine.ask("SELECT COUNT(*) AS n FROM keyed")["n"].to_pylist()[0]
    if amend.AMBIGUOUS in rules:
        _keep(at, amend.preferred(table))
    return int(before) - counted(at, "SELECT COUNT(*) AS n FROM keyed")


def counted(at: Refinery, select: str) -> int:
    return int(at.engine.ask(select).to_pylist()[0]["n"])


def _keep(at: Refinery, select: str) -> None:
    """Hold `keyed` as `select`, which reads it, leaves it."""
    at.engine.hold("kept", select)
    at.engine.hold("keyed", "SELECT * FROM kept")
    at.engine.let_go("kept")
