"""Epochs: a table of silver begun anew, from all of bronze or from what a release knew. `audit.epochs` says which.

The marks of loads name the epoch, so that in a new one nothing has been consumed but what it began with. Each stored
table is begun in one commit that carries a mark of its own: whoever is killed in between goes on where it ended.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pyarrow as pa

from . import made, plan, purges, refinery, release
from .engine import Engine
from .errors import LakeError, RestoreRefused, choose
from .ledger import TABLE as LEDGER
from .model import Declarations, Policy, Table

TABLE = "audit.epochs"
COLUMNS = {
    "table_name": "TEXT", "epoch": "BIGINT", "how": "TEXT", "release": "BIGINT", "why": "TEXT", "who": "TEXT",
    "begun_at": "TIMESTAMPTZ",
}  # fmt: skip


class HistoryPurged(LakeError):
    """A table is not begun anew since it would be shorter."""

    code = "LAKE-331"
    exit_code = 30
    why = "Nothing was changed: what was purged from bronze stands in silver only, and would be gone for good."


@dataclass(frozen=True)
class Begun:
    """What a table begins anew with."""

    table: str
    epoch: int
    loads: int  # that the next run takes in
    rows: int


def create(engine: Engine) -> None:
    """Make `audit.epochs` if it is not there."""
    engine.create(TABLE, COLUMNS)


def current(engine: Engine) -> dict[str, int]:
    """Table -> its epoch; one that is not among them is in its first."""
    return {name: row["epoch"] for name, row in _last(engine).items()}


def _last(engine: Engine) -> dict[str, dict[str, Any]]:
    if not engine.version(TABLE):  # as it was made, it has no row; and it is asked often
        return {}
    rows = engine.ask(f"SELECT * FROM {TABLE} ORDER BY epoch").to_pylist()
    return {row["table_name"]: row for row in rows}


def stored(table: Table, policy: Policy) -> dict[str, dict[str, str]]:
    """The stored tables that a table of silver consists of, and their columns."""
    return {
        f"silver.{table.name}_versions": plan.stored_columns(table, policy),
        f"restricted.{table.name}_history": plan.restricted_columns(table, policy),
        f"quarantine.{table.name}": plan.quarantine_columns(table, policy),
    }


# --- what a person asks for ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Asked:
    """Who wants tables begun anew, and why. `release` is the one to go back to; None begins with nothing."""

    who: str
    why: str
    now: datetime
    release: int | None = None
    shorter: bool = False  # whether the tables may lose what bronze has no more


def named(declared: Declarations, table: str) -> list[Table]:
    """The table of that name; all of them, if it is empty. Raises `RestoreRefused`."""
    if table and table not in declared.tables:
        raise RestoreRefused(f"there is no table '{table[:60]}'.", choose(table, declared.tables))
    return [declared.tables[table]] if table else list(declared.tables.values())


def declare(engine: Engine, declared: Declarations, tables: Sequence[Table], asked: Asked) -> None:
    """Note that tables begin a new epoch: whoever opens the lake to write begins it. Raises `RestoreRefused`,
    `HistoryPurged`.
    """
    _refuse(engine, declared, tables, asked)
    create(engine)
    began, how = current(engine), "reprocess" if asked.release is None else "restore"
    rows = [
        {"table_name": one.name, "epoch": began.get(one.name, 1) + 1, "how": how,
         "release": asked.release, "why": asked.why, "who": asked.who, "begun_at": asked.now}
        for one in tables
    ]  # fmt: skip
    schema = pa.schema(
        [("table_name", pa.string()), ("epoch", pa.int64()), ("how", pa.string()), ("release", pa.int64()),
         ("why", pa.string()), ("who", pa.string()), ("begun_at", pa.timestamp("us", "UTC"))]
    )  # fmt: skip
    engine.lend("begun", pa.Table.from_pylist(rows, schema))
    engine.append(TABLE, "SELECT * FROM begun")
    engine.let_go("begun")


def _refuse(engine: Engine, declared: Declarations, tables: Sequence[Table], asked: Asked) -> None:
    """Raises `RestoreRefused` or `HistoryPurged` if tables cannot be begun anew as it was asked."""
    if asked.release is not None:
        _refuse_unreadable(engine, declared, tables, asked.release)
    shorter = {table.name: rows for table in tables if (rows := _missing(engine, declared, table, asked.release))}
    if shorter and not asked.shorter:
        found = ", ".join(f"{name} would lose {rows:,} rows" for name, rows in shorter.items())
        fix = "Say `--shorter` if it may, or bring back a backup from before the purge into another folder."
        raise HistoryPurged(f"bronze was purged since: {found} of its history.", fix)


def _missing(engine: Engine, declared: Declarations, table: Table, number: int | None) -> int:
    """How many rows that a table has taken in, the next run could not take in again: they were purged since."""
    name, began = f"silver.{table.name}_versions", current(engine).get(table.name, 1)
    fed = {(feed.source, feed.name) for feed in declared.feeds if feed.fills == table.name}
    taken = [one for one in _purged(engine) if (one["data_source"], one["feed"]) in fed]
    if number is None:
        told = refinery.tally_of(table.name, refinery.PURGED, began)
        return sum(int(one["purged"]) for one in taken) - engine.marked(name, told)
    version = _known(engine, number)[name]
    then = {table.name: engine.marked(name, _mark(table.name), version) or 1}
    marks = {pair: engine.marked(name, refinery.mark(table.name, *pair, then), version) for pair in fed}
    return sum(int(one["purged"]) for one in taken if one["sequence"] > marks[one["data_source"], one["feed"]])


def _purged(engine: Engine) -> Sequence[Mapping[str, Any]]:
    """The loads that have lost rows, and how many."""
    if not purges.known(engine):
        return []
    left = purges.left(LEDGER, ("id", "data_source", "feed", "sequence"), purges.TABLE)
    return list(engine.ask(f"SELECT * FROM {left} AS load WHERE purged > 0").to_pylist())


def _refuse_unreadable(engine: Engine, declared: Declarations, tables: Sequence[Table], number: int) -> None:
    """Raises `RestoreRefused` unless the release is there, knew the tables, and they were made as they would be now."""
    known = _known(engine, number)
    for table in tables:
        for name, columns in stored(table, declared.policy).items():
            if name not in known or not engine.recall("recalled", name, known[name]):
                found = f"{name} cannot be read as release {number} knew it."
                raise RestoreRefused(found, "Releases stay readable for `release.keep`; `reprocess` needs none.")
            held = engine.columns("recalled")
            engine.let_go("recalled")
            then = made.known(engine, {table.name: engine.marked(name, _mark(table.name), known[name]) or 1})
            today = plan.made_as(table, declared.policy)
            if any(then.get((table.name, one), how) != how for one, how in today.items()) or not _alike(held, columns):
                found = f"{table.name} is made otherwise now than release {number} knew it."
                raise RestoreRefused(found, f"Use `carelake reprocess {table.name}`: it is made of bronze.")


def _alike(held: Mapping[str, str], wanted: Mapping[str, str]) -> bool:
    """Whether what is held has the types that are wanted now; what it lacks is added."""
    return all(made.spelled(held[name]) == made.spelled(kind) for name, kind in wanted.items() if name in held)


def _known(engine: Engine, number: int) -> Mapping[str, int]:
    """Stored table -> the version that a release knew. Raises `RestoreRefused`."""
    there = engine.version(release.TABLE) is not None
    rows = engine.ask(f"SELECT tables FROM {release.TABLE} WHERE id = {number}").to_pylist() if there else []
    if not rows:
        raise RestoreRefused(f"there is no release {number}.", "`carelake status` says which one is the latest.")
    told: dict[str, int] = json.loads(rows[0]["tables"])
    return told


def beginning(table: str, asked: Asked) -> Callable[[Any], None]:
    """What a writer does first who lets a table, or all of them, begin anew: see `lake.opened`."""
    return lambda lake: declare(lake.engine, lake.declared, named(lake.declared, table), asked)


def foreseen(engine: Engine, declared: Declarations, tables: Sequence[Table], asked: Asked) -> list[Begun]:
    """What would begin, and what the next run would take in. Raises `RestoreRefused`, `HistoryPurged`."""
    known = _known(engine, asked.release) if asked.release is not None else None
    _refuse(engine, declared, tables, asked)
    began = {table.name: epoch + 1 for table, epoch in ((one, current(engine).get(one.name, 1)) for one in tables)}
    return [_begun(engine, declared, table, began[table.name], known) for table in tables]


def waiting(engine: Engine, declared: Declarations, tables: Sequence[Table]) -> list[Begun]:
    """What of each table the next run takes in."""
    return [_begun(engine, declared, table, current(engine).get(table.name, 1), None) for table in tables]


def _begun(engine: Engine, declared: Declarations, table: Table, epoch: int, known: Mapping[str, int] | None) -> Begun:
    """What waits behind the marks of an epoch; or, of one to come, behind those that a release knew."""
    name, at = f"silver.{table.name}_versions", epoch
    version = known[name] if known is not None else None
    if version is not None:
        at = engine.marked(name, _mark(table.name), version) or 1
    loads = rows = 0
    feeds = [feed for feed in declared.feeds if feed.fills == table.name]
    for feed in (*feeds, *(feed.repairs for feed in feeds)):
        mark = refinery.mark(table.name, feed.source, feed.name, {table.name: at})
        more, copied = _behind(engine, feed.source, feed.name, engine.marked(name, mark, version))
        loads, rows = loads + more, rows + copied
    return Begun(table.name, epoch, loads, rows)


def _behind(engine: Engine, source: str, feed: str, sequence: int) -> tuple[int, int]:
    where = f"data_source = '{source}' AND feed = '{feed}' AND sequence > {sequence}"
    counted = "COUNT(*) AS loads, CAST(COALESCE(SUM(numberofrowscopied - purged), 0) AS BIGINT) AS copied"
    columns = ("id", "data_source", "feed", "sequence", "numberofrowscopied")
    left = purges.left(LEDGER, columns, purges.known(engine))
    (row,) = engine.ask(f"SELECT {counted} FROM {left} AS load WHERE {where}").to_pylist()
    return row["loads"], row["copied"]


# --- what is done about it -------------------------------------------------------------------------------------------


def begin(engine: Engine, declared: Declarations) -> None:
    """Let each table that a new epoch was noted of begin it, as far as it has not."""
    for name, row in _last(engine).items():
        if name in declared.tables:
            for side, columns in stored(declared.tables[name], declared.policy).items():
                if engine.version(side) is not None and engine.marked(side, _mark(name)) < row["epoch"]:
                    _begin(engine, declared.tables[name], side, columns, row)


def _begin(engine: Engine, table: Table, side: str, columns: Mapping[str, str], row: Mapping[str, Any]) -> None:
    """Let one stored table hold what the epoch begins with, in one commit."""
    marks = {_mark(table.name): row["epoch"]}
    if row["how"] == "reprocess":
        nothing = ", ".join(f"CAST(NULL AS {kind}) AS {column}" for column, kind in columns.items())
        engine.replace(side, f"SELECT {nothing} WHERE FALSE", marks=marks)
        return
    version = _known(engine, row["release"])[side]
    if not engine.recall("recalled", side, version):
        found = f"{side} cannot be read any more as release {row['release']} knew it."
        raise RestoreRefused(found, f"Use `carelake reprocess {table.name}`: it is made of bronze.")
    then, now = (engine.marked(side, _mark(table.name), version) or 1), row["epoch"]
    carried = {new: engine.marked(side, old, version) for old, new in _marks(engine, table.name, then, now)}
    engine.replace(side, "SELECT * FROM recalled", marks=marks | {mark: told for mark, told in carried.items() if told})
    engine.let_go("recalled")


def _marks(engine: Engine, table: str, then: int, now: int) -> Iterator[tuple[str, str]]:
    """Every mark of loads and rows that a table may have, of one epoch and of another."""
    feeds = engine.ask(f"SELECT DISTINCT data_source, feed FROM {LEDGER}").to_pylist()
    for row in feeds:
        pair = (row["data_source"], row["feed"])
        yield refinery.mark(table, *pair, {table: then}), refinery.mark(table, *pair, {table: now})
    for tally in refinery.TALLIES:
        yield refinery.tally_of(table, tally, then), refinery.tally_of(table, tally, now)


def _mark(table: str) -> str:
    return f"{table}/epoch"
