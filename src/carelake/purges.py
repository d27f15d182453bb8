"""What purges have taken out of bronze: `audit.purges`. What it says of a load stands for what the ledger says.

The ledger is only added to, and so keeps what was landed. Whoever reads parts of loads reads them as they are `left`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Protocol

from .engine import Engine

TABLE = "audit.purges"
COLUMNS = {
    "purge": "BIGINT", "id": "BIGINT", "load_id": "TEXT", "data_source": "TEXT", "feed": "TEXT", "table_name": "TEXT",
    "rows_purged": "BIGINT", "rows_left": "BIGINT", "bytes_purged": "BIGINT", "bytes": "BIGINT", "parts": "TEXT",
    "removed": "TEXT", "policy": "TEXT", "cutoff": "TIMESTAMPTZ", "holds": "TEXT", "who": "TEXT",
    "purged_at": "TIMESTAMPTZ",
}  # fmt: skip
PARTS = "part-*.parquet"


class Parts(Protocol):
    """A load, as far as its files go."""

    @property
    def folder(self) -> str: ...
    @property
    def bytes(self) -> int: ...
    @property
    def parts(self) -> Mapping[str, str]: ...


def left(loads: str, columns: Collection[str], purges: str) -> str:
    """The relation of all loads with the columns that `loads` has of the ledger's, as purges have left them: `parts`
    and `bytes` are those of today, and `purged` says how many rows are gone. Without `purges`, a relation, none are.
    """
    if not purges:
        return f"(SELECT {', '.join(columns)}, CAST(0 AS BIGINT) AS purged FROM {loads} AS landed)"
    told = {name: f"COALESCE(kept.{name}, landed.{name}) AS {name}" for name in ("parts", "bytes")}
    listed = ", ".join(told.get(name, f"landed.{name}") for name in columns)
    total = f"SELECT id, MAX(purge) AS purge, CAST(SUM(rows_purged) AS BIGINT) AS purged FROM {purges} AS each_purge"
    last = (
        f"SELECT last.id, last.parts, last.bytes, total.purged FROM {purges} AS last"
        f" INNER JOIN ({total} GROUP BY id) AS total ON total.id = last.id AND total.purge = last.purge"
    )
    return (
        f"(SELECT {listed}, COALESCE(kept.purged, 0) AS purged FROM {loads} AS landed"
        f" LEFT JOIN ({last}) AS kept ON kept.id = landed.id)"
    )


def known(engine: Engine) -> str:
    """The name of `audit.purges`; empty in a lake that was never purged."""
    return TABLE if engine.version(TABLE) is not None else ""


def last(engine: Engine) -> int:
    """The number of the last purge; 0 before the first."""
    return int(engine.ask(f"SELECT MAX(purge) AS n FROM {TABLE}").to_pylist()[0]["n"] or 0) if known(engine) else 0


def strays(root: Path, loads: Iterable[Parts]) -> list[Path]:
    """Parts that lie beside those of a load: what a purge that was killed left. None of a load whose own parts are not
    there as they should be: then it is `audit.purges` that is wrong, and they may be all there is.
    """
    beside = ((load, _beside(root, load)) for load in loads)
    return [path for load, paths in beside if paths and _is_whole(root, load) for path in paths]


def _beside(root: Path, load: Parts) -> list[Path]:
    return sorted(path for path in (root / load.folder).glob(PARTS) if path.name not in load.parts)


def _is_whole(root: Path, load: Parts) -> bool:
    paths = [root / load.folder / name for name in load.parts]
    return all(path.is_file() for path in paths) and sum(path.stat().st_size for path in paths) == load.bytes
