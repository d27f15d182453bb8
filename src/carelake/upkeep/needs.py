"""Which releases stay readable, and so which versions of which tables nobody may take away."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from .. import release
from ..engine import Engine

VACUUMS = "audit.vacuums"
COLUMNS = {"at": "TIMESTAMPTZ", "readable_from": "BIGINT", "files": "BIGINT", "bytes": "BIGINT"}


@dataclass(frozen=True)
class Kept:
    """A release that readers may still be reading."""

    id: int
    loads: int
    tables: Mapping[str, int]  # layer.table -> version


def kept(engine: Engine, now: datetime, days: int) -> list[Kept]:
    """The latest release, and every one whose successor came out less than `days` ago: a reader may have begun on it
    just before that.
    """
    if engine.version(release.TABLE) is None:
        return []
    told = (
        f"SELECT id, loads, tables, released_at FROM {release.TABLE} WHERE id >= {_readable_from(engine)} ORDER BY id"
    )
    rows = engine.ask(told).to_pylist()
    ends = [row["released_at"] for row in rows[1:]] + [None]
    return [
        Kept(row["id"], row["loads"], json.loads(row["tables"]))
        for row, end in zip(rows, ends, strict=True)
        if end is None or end > now - timedelta(days=days)
    ]


def _readable_from(engine: Engine) -> int:
    """The first release that no vacuum has made unreadable, whatever the clock or `release.keep` say now."""
    if engine.version(VACUUMS) is None:
        return 0
    return int(engine.ask(f"SELECT COALESCE(MAX(readable_from), 0) AS id FROM {VACUUMS}").to_pylist()[0]["id"])


def versions(releases: list[Kept]) -> dict[str, set[int]]:
    """Table -> the versions of it that `releases` name."""
    named: dict[str, set[int]] = {}
    for one in releases:
        for table, version in one.tables.items():
            named.setdefault(table, set()).add(version)
    return named
