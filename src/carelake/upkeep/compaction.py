"""Many small files -> few large ones, table by table. Rows, marks, notes and released versions stay as they are."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from ..errors import TableUnknown, choose
from ..lake import still
from ..model import Declarations

Watch = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Compacted:
    """What became of one table."""

    table: str
    files_before: int
    files_after: int
    bytes_before: int
    bytes_after: int


def optimize(
    project: Path,
    environment: Mapping[str, str],
    table: str = "",
    *,
    dry_run: bool = False,
    watch: Watch = lambda *told: None,
) -> list[Compacted]:
    """Every table, or the one named, in large files; those of which something changed. With `dry_run` those that would,
    as they are.

    Raises `LakeBusy` while a run writes, `LakeMissing`, `TableUnknown`, `LakeFull`.
    """
    with still(project, environment) as lake:
        done, tables = [], _named(lake.engine.tables(), table)
        for number, name in enumerate(tables):
            watch("tables", number, len(tables))
            before, order = lake.engine.layout(name), _order(lake.declared, name)
            if dry_run and (before.small > 1 or (order and before.files)):
                done.append(Compacted(name, before.files, before.files, before.bytes, before.bytes))
            elif not dry_run and lake.engine.compact(name, order):
                after = lake.engine.layout(name)
                done.append(Compacted(name, before.files, after.files, before.bytes, after.bytes))
        return done


def _named(tables: list[str], name: str) -> list[str]:
    """The stored tables that a person means: `silver.x` is stored as `silver.x_versions`."""
    found = [table for table in tables if not name or table in (name, f"{name}_versions")]
    if name and not found:
        known = [table.removesuffix("_versions") for table in tables]
        raise TableUnknown(f"there is no table '{name}'.", choose(name, known))
    return found


def _order(declared: Declarations, stored: str) -> tuple[str, ...]:
    """The columns that its rows are to lie along, as its page says."""
    layer, _, name = stored.partition(".")
    if layer == "silver" and (table := declared.tables.get(name.removesuffix("_versions"))):
        return table.z_order
    mart = declared.marts.get(name) if layer == "gold" else None
    return mart.z_order if mart else ()
