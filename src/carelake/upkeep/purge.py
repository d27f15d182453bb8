"""Rows of bronze that are older than they are to be kept, and history: taken away for good. What still stands at its
source, waits in quarantine, was repaired, is held, or was not taken in and released yet, stays.

A load of which something stays is written anew without the rest, beside the old files. Then one commit to
`audit.purges` says what is left of each load, and only then the old files are deleted: whoever is killed in between
leaves one state or the other, and files that the next purge or run takes away.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from .. import bronze, declare, plan, purges, retention, superseded
from ..errors import LakeDamaged
from ..foreign import in_our_words
from ..lake import Lake, opened, still
from ..ledger import Load
from ..model import FOREVER, Feed
from . import expired, legal_hold
from .expired import FORGOTTEN, OfFeed, Taken, key_of, looked_at
from .legal_hold import Hold

Watch = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Purged:
    """What a purge has taken, or would take."""

    number: int | None  # of its certificate; None if nothing was taken
    feeds: tuple[OfFeed, ...]
    holds: tuple[int, ...]  # that stood
    keeps_all: bool  # since nothing is said of retention


@dataclass(frozen=True)
class _Act:
    """Who purges, and when; `number` counts those that took something."""

    number: int
    who: str
    now: datetime
    holds: Sequence[Hold]


def purge(
    project: Path,
    environment: Mapping[str, str],
    now: datetime,
    who: str,
    *,
    dry_run: bool = False,
    watch: Watch = lambda *told: None,
) -> Purged:
    """Take away what `retention` in lake.yml lets go; with `dry_run`, only say what that is.

    Raises `LakeBusy` while a run writes, `LakeMissing`, `LakeDamaged` (nothing is deleted then), `LakeFull`.
    """
    kept = declare.read(project).place.retention
    if {kept.bronze, *kept.sources.values()} == {FOREVER}:
        return Purged(None, (), (), keeps_all=True)
    with opened(project, environment, writing=False) if dry_run else still(project, environment) as lake:
        return foreseen(lake, now, watch) if dry_run else take(lake, now, who, watch)


def foreseen(lake: Lake, now: datetime, watch: Watch = lambda *told: None) -> Purged:
    """What would be taken of a lake."""
    holds = legal_hold.standing(lake.engine)
    act = _Act(0, "", now, holds)
    found = [looked_at(lake, feed, act.now, act.holds)[0] for feed in _watched(lake, watch)]
    return _done(lake, act, found)


def take(lake: Lake, now: datetime, who: str, watch: Watch = lambda *told: None) -> Purged:
    """What was taken of a lake that nobody else writes to."""
    bronze.sweep(lake.bronze, lake.ledger)
    act = _Act(purges.last(lake.engine) + 1, who, now, legal_hold.standing(lake.engine))
    found, rows = list[OfFeed](), list[dict[str, Any]]()
    for feed in _watched(lake, watch):
        one, taken = looked_at(lake, feed, act.now, act.holds)
        written = [_written(lake, feed, load, act) for load in taken]
        found.append(replace(one, bytes=sum(row["bytes_purged"] for row in written)))
        rows += written
    if rows:
        _commit(lake, rows)
        bronze.sweep(lake.bronze, lake.ledger)
    return _done(lake, act if rows else replace(act, number=0), found)


def _watched(lake: Lake, watch: Watch) -> Iterator[Feed]:
    """The feeds, one after the other; what was shown of one is let go before the next."""
    for number, feed in enumerate(lake.declared.feeds):
        watch("feeds", number, len(lake.declared.feeds))
        yield feed
        lake.engine.let_go(*expired.SHOWN)


def _done(lake: Lake, act: _Act, found: Sequence[OfFeed]) -> Purged:
    told = [one for one in found if one.rows or one.stays]
    holds = tuple(hold.id for hold in act.holds)
    return Purged(act.number or None, (*told, *_forgotten(lake)), holds, keeps_all=False)


def _forgotten(lake: Lake) -> Iterator[OfFeed]:
    """Feeds that are declared no more: nobody says what their keys are."""
    for name, (_, rows) in lake.ledger.forgotten(lake.declared.feeds).items():
        if (policy := lake.declared.place.retention.of(name.partition(".")[0])) != FOREVER:
            yield OfFeed(name, policy, stays={FORGOTTEN: rows})


# --- what is done about it -------------------------------------------------------------------------------------------


def _written(lake: Lake, feed: Feed, one: Taken, act: _Act) -> dict[str, Any]:
    """What `audit.purges` will say of a load; what stays of it lies beside its old files. Raises `LakeDamaged` if they
    are not what was landed.
    """
    load, rows_left = one.load, one.load.left - one.rows
    parts = _anew(lake, feed, load, act.number) if rows_left else []
    if sum(pq.read_metadata(part).num_rows for part in parts) != rows_left:
        found = f"what stays of the load {load.load_id} is not {rows_left:,} rows."
        raise LakeDamaged(found, "Nothing was deleted. Run `carelake verify`, and bring bronze back from the backup.")
    size, policy = sum(part.stat().st_size for part in parts), lake.declared.place.retention.of(feed.source)
    return {
        "purge": act.number,
        "id": load.id,
        "load_id": load.load_id,
        "data_source": feed.source,
        "feed": feed.name,
        "table_name": feed.fills or "",
        "rows_purged": one.rows,
        "rows_left": rows_left,
        "bytes_purged": load.bytes - size,
        "bytes": size,
        "parts": json.dumps({part.name: bronze.digest(part) for part in parts}),
        "removed": json.dumps(dict(load.parts)),
        "policy": policy,
        "cutoff": retention.cutoff(policy, act.now),
        "holds": json.dumps([hold.id for hold in act.holds]),
        "who": act.who,
        "purged_at": act.now,
    }


def _anew(lake: Lake, feed: Feed, load: Load, number: int) -> list[Path]:
    """The new files of a load, beside the old ones. Each row says which one of the load it is, as it was landed."""
    folder = lake.bronze / load.folder
    work = folder.with_name(f"{bronze.UNFINISHED}{folder.name}")
    lake.engine.show("of_load", bronze.files(lake.bronze, [load]), plan.NUMBER)
    try:
        shutil.rmtree(work, ignore_errors=True)
        written = lake.engine.write_files(superseded.what_stays(key_of(lake, feed), load.sequence), work)
        with in_our_words("purge"):
            for path in written:
                bronze.durable(path)
            return [_moved(path, folder / f"part-{number:06d}-{n:04d}.parquet") for n, path in enumerate(written)]
    finally:
        lake.engine.let_go("of_load")
        shutil.rmtree(work, ignore_errors=True)


def _moved(path: Path, to: Path) -> Path:
    os.replace(path, to)
    return to


def _commit(lake: Lake, rows: Sequence[Mapping[str, Any]]) -> None:
    """From here on it has happened."""
    times = {name: pa.timestamp("us", "UTC") for name, kind in purges.COLUMNS.items() if kind == "TIMESTAMPTZ"}
    kinds = {"BIGINT": pa.int64(), "TEXT": pa.string()}
    schema = pa.schema([(name, times.get(name) or kinds[kind]) for name, kind in purges.COLUMNS.items()])
    lake.engine.create(purges.TABLE, purges.COLUMNS)
    lake.engine.lend("purged", pa.Table.from_pylist([dict(row) for row in rows], schema))
    lake.engine.append(purges.TABLE, "SELECT * FROM purged")
    lake.engine.let_go("purged")
