"""A release names the version of every table and the day it is seen from. Readers see the latest one only."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime

import pyarrow as pa

from .engine import Engine

TABLE = "audit.releases"
LEDGER = "audit.load_logs"
KEPT = ("vault", "restricted", "quarantine")  # layers that are only added to; silver and gold are made of what is below
COLUMNS = {
    "id": "BIGINT", "run_id": "TEXT", "as_of": "DATE", "released_at": "TIMESTAMPTZ", "tables": "TEXT",
    "loads": "BIGINT",
}  # fmt: skip


@dataclass(frozen=True)
class Release:
    id: int
    as_of: date
    released_at: datetime
    tables: Mapping[str, int]  # layer.table -> version
    loads: int  # the id of the last load that readers of bronze see


def create(engine: Engine) -> None:
    """Make `audit.releases` if it is not there."""
    engine.create(TABLE, COLUMNS)


def latest(engine: Engine) -> Release | None:
    """What readers see; None before the first release."""
    rows = engine.ask(f"SELECT id, as_of, released_at, tables, loads FROM {TABLE} ORDER BY id DESC LIMIT 1").to_pylist()
    return Release(**{**rows[0], "tables": json.loads(rows[0]["tables"])}) if rows else None


def lost(engine: Engine) -> list[str]:
    """Tables that the latest release knew, and that are gone or older now: those that no run could bring back."""
    last = latest(engine) if engine.version(TABLE) is not None else None
    tables = last.tables if last else {}
    kept = {name: known for name, known in tables.items() if name.partition(".")[0] in KEPT}
    gone = [name for name, known in kept.items() if (engine.version(name) or 0) < known]
    minted = engine.version("vault.key_map") or 0  # keys are minted of loads, so that there were some
    return [*gone, LEDGER] if _loads(engine) < (last.loads if last else min(minted, 1)) else gone


def _loads(engine: Engine) -> int:
    if engine.version(LEDGER) is None:
        return 0
    return int(engine.ask(f"SELECT COALESCE(MAX(id), 0) AS id FROM {LEDGER}").to_pylist()[0]["id"])


def publish(engine: Engine, names: list[str], as_of: date, run_id: str, now: datetime) -> Release | None:
    """Release the tables as they stand now; None if the latest release says the same."""
    tables = {name: version for name in sorted(names) if (version := engine.version(name)) is not None}
    loads = _loads(engine)
    last = latest(engine)
    if last and (last.tables, last.as_of, last.loads) == (tables, as_of, loads):
        return None
    release = Release((last.id if last else 0) + 1, as_of, now, tables, loads)
    row = {
        "id": release.id,
        "run_id": run_id,
        "as_of": as_of,
        "released_at": pa.scalar(now, pa.timestamp("us", "UTC")),
        "tables": json.dumps(tables),
        "loads": loads,
    }
    engine.lend("release", pa.table({name: pa.array([value]) for name, value in row.items()}))
    engine.append(TABLE, "SELECT * FROM release")
    engine.let_go("release")
    return release
