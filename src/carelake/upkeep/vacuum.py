"""Files that no reader can need any more, taken away.

A file stays while the newest version of its table needs it, or a release that stays readable; and for as long as
releases do after it left its table, since somebody may have begun to read. Versions and logs stay as they are. What is
held (see legal_hold.py) keeps all its versions.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import pyarrow as pa

from ..errors import EngineFailed, LakeDamaged
from ..foreign import in_our_words
from ..lake import Lake, still
from . import legal_hold, needs

Watch = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Swept:
    """What was taken away of one table."""

    table: str
    files: int
    bytes: int


@dataclass(frozen=True)
class Vacuumed:
    """What was taken away, and which releases can still be read."""

    tables: tuple[Swept, ...]
    releases: tuple[int, ...]
    held: tuple[str, ...] = ()  # tables whose earlier versions stay whatever their age


def vacuum(
    project: Path,
    environment: Mapping[str, str],
    now: datetime,
    *,
    dry_run: bool = False,
    watch: Watch = lambda *told: None,
) -> Vacuumed:
    """Take away what nobody needs; with `dry_run`, only say what that is.

    Raises `LakeBusy` while a run writes, `LakeMissing`, and `LakeDamaged` if a version that must stay cannot be read:
    nothing is deleted then.
    """
    with still(project, environment) as lake:
        kept = needs.kept(lake.engine, now, lake.declared.place.keep)
        since, versions = now - timedelta(days=lake.declared.place.keep), needs.versions(kept)
        gone, tables, held = dict[str, list[Path]](), lake.engine.tables(), _held(lake)
        for number, table in enumerate(tables):
            watch("tables", number, len(tables))
            needed = versions.get(table, set())
            gone[table] = lake.engine.strays(table) if table in held else _unneeded(lake, table, needed, since)
        swept = [Swept(name, len(files), _size(files)) for name, files in gone.items() if files]
        if swept and not dry_run:
            _note(lake, kept, swept, now)
            _delete([path for files in gone.values() for path in files])
        return Vacuumed(tuple(swept), tuple(one.id for one in kept), held)


def _held(lake: Lake) -> tuple[str, ...]:
    holds = legal_hold.standing(lake.engine)
    return tuple(table for table in lake.engine.tables() if legal_hold.is_held(table, lake.declared, holds))


def _size(files: list[Path]) -> int:
    return sum(path.stat().st_size for path in files)


def _note(lake: Lake, kept: list[needs.Kept], swept: list[Swept], now: datetime) -> None:
    """First say which releases stay readable, then delete: killed in between, nobody counts on what may be gone."""
    lake.engine.create(needs.VACUUMS, needs.COLUMNS)
    row = {
        "at": pa.scalar(now, pa.timestamp("us", "UTC")),
        "readable_from": kept[0].id if kept else 0,
        "files": sum(one.files for one in swept),
        "bytes": sum(one.bytes for one in swept),
    }
    lake.engine.lend("vacuum", pa.table({name: pa.array([value]) for name, value in row.items()}))
    lake.engine.append(needs.VACUUMS, "SELECT * FROM vacuum")
    lake.engine.let_go("vacuum")


def _unneeded(lake: Lake, table: str, versions: set[int], since: datetime) -> list[Path]:
    try:
        return lake.engine.unneeded(table, versions, since)
    except EngineFailed:
        found = f"a version of {table} that a release needs cannot be read."
        raise LakeDamaged(found, "Run `carelake verify`, which says what is wrong and what to do.") from None


def _delete(files: list[Path]) -> None:
    with in_our_words("vacuum"):
        for path in files:
            path.unlink()
