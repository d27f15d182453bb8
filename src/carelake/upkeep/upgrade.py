"""Tables that every engine can write -> tables that only Spark can: what it does better in them, and no way back."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from ..lake import still


def upgrade(project: Path, environment: Mapping[str, str], *, dry_run: bool = False) -> list[str]:
    """Every stored table that was upgraded; with `dry_run` those that would be. Rows, marks and notes stay.

    Raises `LakeBusy` while a run writes, `LakeMissing`, `SparkMissing`.
    """
    with still(project, environment, "spark") as lake:
        return [table for table in lake.engine.tables() if lake.engine.upgrade(table, dry_run=dry_run)]
