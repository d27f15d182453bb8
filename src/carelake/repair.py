"""Corrections of rows that are held back -> loads of their own, which silver takes in with the next run.

A repaired row is the row of bronze as it should have been. The corrected values live in bronze and nowhere else: not in
the ledger, which says who repaired, how many rows, and why.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pyarrow as pa

from . import amend, bronze, epochs, plan, quality, refinery
from .errors import LISTED, RepairRefused
from .foreign import in_our_words
from .lake import Lake
from .ledger import Load
from .model import REPAIR, Feed, Table
from .sql import quoted

FINAL = "no row without them has a place in the history of its key: repair it"


@dataclass(frozen=True)
class Correction:
    """What is to become of one row."""

    where: str  # how a message names it
    id: str
    values: Mapping[str, str | None]  # column of its source -> its value; None is nothing


@dataclass(frozen=True)
class Act:
    """Who does what, and why."""

    how: str  # repair, accept or replay
    who: str
    why: str | None
    now: datetime
    dry_run: bool = False


@dataclass(frozen=True)
class Done:
    """What became of what was asked."""

    rows: int  # that the next run takes in
    already: int  # that were so already, or wait for the next run as they are
    loads: Sequence[str]  # ids


@dataclass(frozen=True)
class Held:
    """A row that is held back, and where it is from."""

    where: str
    table: Table
    feed: Feed
    load: Load
    row: int
    reasons: Sequence[str]
    values: Mapping[str, str | None]


def repair(lake: Lake, corrections: Sequence[Correction], act: Act) -> Done:
    """Land the corrected rows; all of them or none. Raises `RepairRefused`, which names each that cannot be made."""
    return _done(lake, _found(lake, corrections), act)


def accept(lake: Lake, ids: Sequence[str], act: Act) -> Done:
    """Let rows pass as they are, whichever rules they break now. Raises `RepairRefused`, also for what has no place."""
    rows = _found(lake, [Correction(one, one, {}) for one in dict.fromkeys(ids)])
    if wrong := [f"{row.where}: it breaks {', '.join(bad)}, and {FINAL}." for row in rows if (bad := _placeless(row))]:
        raise _refused(wrong, len(rows))
    return _done(lake, rows, act)


def replay(lake: Lake, table: Table | None, rule: str | None, act: Act) -> Done:
    """Let rows that are held back, all or those of a table or rule, be judged anew by the declarations of today."""
    tables = [table] if table else list(lake.declared.tables.values())
    named = amend.among("quarantine_reasons", rule) if rule else "TRUE"
    ids = [
        f"{row[plan.LOAD]}-{row[plan.ROW]}"
        for one in tables
        for row in lake.engine.ask(
            f"SELECT {plan.LOAD}, {plan.ROW} FROM quarantine.{one.name} WHERE NOT {plan.ROW} IS NULL AND {named}"
        ).to_pylist()
    ]
    return _done(lake, _found(lake, [Correction(one, one, {}) for one in ids]), act) if ids else Done(0, 0, [])


def _placeless(row: Held) -> list[str]:
    """The reasons that nobody can accept: without a key or a time a row has no place among the versions."""
    final = {rule.name for rule in quality.rules_of_gone(row.table)} | {f"{row.table.sequence_by}_readable"}
    return [reason for reason in row.reasons if reason in final]


def _refused(wrong: Sequence[str], of: int) -> RepairRefused:
    more = f"\n    and {len(wrong) - LISTED:,} more" if len(wrong) > LISTED else ""
    listed = "".join(f"\n    {one}" for one in wrong[:LISTED])
    return RepairRefused(f"{len(wrong):,} of {of:,} rows cannot be taken:{listed}{more}")


# --- which rows ------------------------------------------------------------------------------------------------------


def _found(lake: Lake, corrections: Sequence[Correction]) -> list[Held]:
    """Each row with what is known of it. Raises `RepairRefused` if some are not there, or twice."""
    asked = [(one, address(one.id)) for one in corrections]
    known = dict(_known(lake, [place for _, place in asked if place]))
    loads = {load.id: load for feed in lake.declared.feeds for load in lake.ledger.loads(feed)}
    seen: set[str] = set()
    rows, wrong = [], []
    for one, place in asked:
        if place is None:
            wrong.append(f"{one.where}: an id looks like 12-345.")
        elif place not in known:
            wrong.append(f"{one.where}: no row of that id is held back{_settled(lake, place)}.")
        elif place[0] not in loads:
            wrong.append(f"{one.where}: its feed is declared no more.")
        elif one.id in seen:
            wrong.append(f"{one.where}: that id is there twice.")
        else:
            load, (table, reasons) = loads[place[0]], known[place]
            rows.append(Held(one.where, table, load.feed, load, place[1], reasons, one.values))
        seen.add(one.id)
    if wrong:
        raise _refused(wrong, len(corrections))
    return rows


def address(told: str) -> tuple[int, int] | None:
    """Load and row of an id; None if it is none."""
    load, _, row = told.partition("-")
    return (int(load), int(row)) if load.isdecimal() and row.isdecimal() and len(told) < 30 else None


def _known(
    lake: Lake, addresses: Iterable[tuple[int, int]]
) -> Iterator[tuple[tuple[int, int], tuple[Table, Sequence[str]]]]:
    """Of those that are held back, address -> its table and reasons."""
    _lend(lake, addresses)
    for table in lake.declared.tables.values():
        same = f"held.{plan.LOAD} = asked.{plan.LOAD} AND held.{plan.ROW} = asked.{plan.ROW}"
        told = f"SELECT held.{plan.LOAD} AS load, held.{plan.ROW} AS row, quarantine_reasons AS why"
        rows = lake.engine.ask(f"{told} FROM quarantine.{table.name} AS held INNER JOIN asked ON {same}").to_pylist()
        yield from (((row["load"], row["row"]), (table, row["why"].split(";"))) for row in rows)
    lake.engine.let_go("asked")


def _lend(lake: Lake, addresses: Iterable[tuple[int, int]]) -> None:
    loads, rows = zip(*addresses, strict=True) if (addresses := list(addresses)) else ((), ())
    lake.engine.lend("asked", pa.table({plan.LOAD: pa.array(loads, pa.int64()), plan.ROW: pa.array(rows, pa.int64())}))


def _settled(lake: Lake, place: tuple[int, int]) -> str:
    """What became of a row that was held back."""
    where = f"{plan.LOAD} = {place[0]} AND {plan.ROW} = {place[1]}"
    told = lake.engine.ask(f"SELECT how, resolved_at FROM audit.quarantine_resolved WHERE {where}").to_pylist()
    return f": it was settled on {told[-1]['resolved_at']:%Y-%m-%d} ({told[-1]['how']})" if told else ""


# --- what they become ------------------------------------------------------------------------------------------------


def _done(lake: Lake, rows: Sequence[Held], act: Act) -> Done:
    """Land a load for each feed. All is looked at before the first one is landed."""
    feeds = {f"{row.feed.source}/{row.feed.name}": row.feed for row in rows}
    by_feed = [(feed, [row for row in rows if row.feed == feed]) for feed in feeds.values()]
    wrong = [one for feed, mine in by_feed for one in _unfit(lake, feed, mine)]
    if wrong:
        raise _refused(wrong, len(rows))
    counted, loads = 0, []
    for feed, mine in by_feed:
        _show(lake, feed, mine)
        news = _news(lake, feed, mine, act)
        count = lake.engine.hold("repaired", news)
        if count and not act.dry_run:
            loads.append(_land(lake, feed, act, count).load_id)
        counted += count
        lake.engine.let_go("landed", "corrected", "repaired")
    return Done(counted, len(rows) - counted, loads)


def _show(lake: Lake, feed: Feed, rows: Sequence[Held]) -> None:
    """Show as `landed` the loads of the rows, with their repairs; and lend as `corrected` what is to become of them."""
    loads = list({row.load.id: row.load for row in rows}.values())
    files = bronze.proven(lake.bronze, [*loads, *lake.ledger.loads(feed.repairs)])
    lake.engine.show("landed", files, plan.NUMBER)
    spelled = {name.lower(): name for name in _own(lake)}
    told = {
        plan.SEQUENCE: pa.array([row.load.sequence for row in rows], pa.int64()),
        plan.OF_ROW: pa.array([row.row for row in rows], pa.int64()),
        "place": pa.array(range(len(rows)), pa.int64()),
        "reasons": pa.array([";".join(row.reasons) for row in rows], pa.string()),
    }
    for n, name in enumerate(spelled):
        given = [{key.lower(): value for key, value in row.values.items()} for row in rows]
        if any(name in values for values in given):
            told[f"given_{n}"] = pa.array([name in values for values in given], pa.bool_())
            told[f"value_{n}"] = pa.array([values.get(name) for values in given], pa.string())
    lake.engine.lend("corrected", pa.table(told))


def _own(lake: Lake) -> dict[str, str]:
    """The source's own columns of what is shown, and their types."""
    return {
        name: kind for name, kind in lake.engine.columns("landed").items() if not name.lower().startswith(bronze.OWN)
    }


def _unfit(lake: Lake, feed: Feed, rows: Sequence[Held]) -> Iterator[str]:
    """What is wrong with the corrections of a feed: columns that it has not, values that are not of their type."""
    _show(lake, feed, rows)
    own, corrected = _own(lake), lake.engine.columns("corrected")
    known = {name.lower() for name in own}
    for row in rows:
        for name in (name for name in row.values if name.lower() not in known):
            yield f"{row.where}: {feed.source}.{feed.name} has no column '{name[:60]}'. It has: {', '.join(own)}."
    for n, (name, kind) in enumerate(own.items()):
        if f"given_{n}" in corrected and kind != "VARCHAR":
            bad = f"SELECT place FROM corrected WHERE given_{n} AND NOT value_{n} IS NULL AND {_misread(n, kind)}"
            for place in lake.engine.ask(f"{bad} ORDER BY place")["place"].to_pylist():
                yield f"{rows[place].where}: the value for '{name}' is not exactly a {kind}, as its source has it."
    lake.engine.let_go("landed", "corrected")


def _misread(n: int, kind: str) -> str:
    """Whether a value cannot be read as a type, or only by rounding it."""
    read = f"TRY_CAST(value_{n} AS {kind})"
    number = kind.startswith("DECIMAL") or kind.endswith("INT") or kind == "INTEGER"
    rounded = f" OR TRY_CAST(value_{n} AS DECIMAL(38, 10)) <> CAST({read} AS DECIMAL(38, 10))" if number else ""
    return f"({read} IS NULL{rounded})"


def _news(lake: Lake, feed: Feed, rows: Sequence[Held], act: Act) -> str:
    """The SELECT of the rows as they should have been, without those that are so already."""
    own, corrected = _own(lake), lake.engine.columns("corrected")
    sequence = len(lake.ledger.loads(feed.repairs)) + 1
    mended = bool(sequence > 1)
    columns, differs = [], []
    for n, (name, kind) in enumerate(own.items()):
        was = f"told.{quoted(name)}"
        if f"given_{n}" in corrected:
            value = f"CASE WHEN given_{n} THEN CAST(value_{n} AS {kind}) ELSE {was} END"
            differs.append(f"{value} IS DISTINCT FROM {was}")
            columns.append(f"{value} AS {quoted(name)}")
        else:
            columns.append(was)
    accepted = f"told.{plan.ACCEPTED}" if mended else "CAST(NULL AS TEXT)"
    if act.how == "accept":
        more = f"CASE WHEN {accepted} IS NULL THEN reasons ELSE CONCAT({accepted}, ';', reasons) END"
        differs.append(_unaccepted(accepted, sorted({reason for row in rows for reason in row.reasons})))
        accepted = more
    if act.how == "replay":
        differs.append(f"COALESCE(told.{plan.REPAIR}, 0) <= {_consumed(lake, feed, rows)}" if mended else "TRUE")
    columns += [
        f"told.{plan.SEQUENCE}", f"FALSE AS {plan.DELETED}", f"corrected.{plan.OF_ROW}",
        f"CAST({sequence} AS BIGINT) AS {plan.REPAIR}", f"{accepted} AS {plan.ACCEPTED}",
    ]  # fmt: skip
    row = f"COALESCE(told.{plan.OF_ROW}, told.{plan.NUMBER})" if mended else f"told.{plan.NUMBER}"
    same = f"corrected.{plan.SEQUENCE} = told.{plan.SEQUENCE} AND corrected.{plan.OF_ROW} = {row}"
    told = amend.standing("landed") if mended else "landed"
    where = f"WHERE {' OR '.join(differs)}" if differs else "WHERE FALSE"
    return plan.select(columns, f"{told} AS told", f"INNER JOIN corrected ON {same}", where)


def _unaccepted(accepted: str, reasons: Sequence[str]) -> str:
    """Whether a row breaks one of the rules that it was not accepted with yet."""
    each = (f"({amend.among('reasons', one)} AND NOT {amend.among(accepted, one)})" for one in reasons)
    return f"({' OR '.join(each)})"


def _consumed(lake: Lake, feed: Feed, rows: Sequence[Held]) -> int:
    """The number of the last repairs of a feed that silver has taken in: behind it, they wait as they are."""
    table = rows[0].table.name
    return lake.engine.marked(
        f"silver.{table}_versions", refinery.mark(table, REPAIR, feed.repairs.name, epochs.current(lake.engine))
    )


def _land(lake: Lake, feed: Feed, act: Act, count: int) -> Load:
    """Make a load of `repaired`."""
    own = feed.repairs
    sequence = len(lake.ledger.loads(own)) + 1
    folder = Path(own.source, own.name, f"{act.now:%Y/%m/%d}", f"{sequence:06d}")
    work = lake.bronze / folder.with_name(f"{bronze.UNFINISHED}{folder.name}")
    shutil.rmtree(work, ignore_errors=True)
    try:
        parts = lake.engine.write_files("SELECT * FROM repaired", work)
        load = Load(
            feed=own, run_id=f"{act.now:%Y%m%dT%H%M%S}", sequence=sequence, load_type=act.how, rows=count,
            rows_read=count, rows_deleted=0, rows_rejected=0, bytes=sum(path.stat().st_size for path in parts),
            watermark_from=None, watermark_to=None, as_of=act.now.date(), extracted_at=act.now, delivery=act.how,
            folder=str(folder), parts={path.name: bronze.digest(path) for path in parts}, schema=_own(lake),
            who=act.who, why=act.why,
        )  # fmt: skip
        with in_our_words("land"):
            for path in parts:
                bronze.durable(path)
            shutil.rmtree(lake.bronze / folder, ignore_errors=True)  # of a command killed between here and the commit
            os.replace(work, lake.bronze / folder)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return lake.ledger.commit(load)
