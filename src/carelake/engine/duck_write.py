"""How the embedded engine writes a Delta table: what a commit carries, and what its files may say of their values."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from deltalake import ColumnProperties, CommitProperties, DeltaTable, Transaction, WriterProperties

from ..errors import LakeError
from .revision import REVISION
from .stored import KEEP_LOG, NOTE, PLAIN, PORTABLE, AlreadyMarked, of_compaction

KNOWN = {"appendOnly", "invariants"}  # features that the portable versions have, too


class TableUpgraded(LakeError):
    code = "LAKE-406"
    exit_code = 40
    why = "What it does not know of, it would lose, or give back rows that were taken away. Nothing was touched."


def refuse_upgraded(delta: DeltaTable, table: str) -> None:
    """Raises `TableUpgraded` for a table that only Spark may write."""
    protocol = delta.protocol()
    if protocol.min_writer_version > PORTABLE:
        needs = (
            ", ".join(sorted({*(protocol.writer_features or [])} - KNOWN))
            or f"writer version {protocol.min_writer_version}"
        )
        fix = (
            "Write `engine: spark` into lake.yml, or run and query it with `--engine spark`: `carelake tables upgrade"
            " --spark` goes one way."
        )
        raise TableUpgraded(f"{table} has what the embedded engine cannot write: {needs}.", fix)


def compact(delta: DeltaTable, order: Sequence[str], staging: Path) -> bool:
    """Whether a table was written anew, as few large files. What is noted at its last commit stays noted."""
    order, told = list(order), of_compaction(delta, order)
    if told is None:
        return False
    how: dict[str, Any] = {
        "writer_properties": properties(delta, [field.name for field in delta.schema().fields]),
        "commit_properties": CommitProperties(custom_metadata=told),
        "post_commithook_properties": KEEP_LOG,
    }
    with _spilling_to(staging):
        done = delta.optimize.z_order(order, **how) if order else delta.optimize.compact(**how)
    return bool(done["numFilesRemoved"])


@contextmanager
def _spilling_to(staging: Path) -> Iterator[None]:
    """delta-rs spills where the system has its temporary files, which others may read: not so here."""
    before = os.environ.get("TMPDIR")
    os.environ["TMPDIR"] = str(staging)
    try:
        yield
    finally:
        if before is None:
            del os.environ["TMPDIR"]
        else:
            os.environ["TMPDIR"] = before


def properties(delta: DeltaTable | None, names: Sequence[str]) -> WriterProperties:
    """Statistics repeat values in footers and in the log, so that only plain columns have them: in every write."""
    plain = (delta.metadata().configuration.get(PLAIN, "") if delta else "").split(",")
    hidden = ColumnProperties(statistics_enabled="NONE")
    shown = ColumnProperties(statistics_enabled="PAGE")
    return WriterProperties(
        compression="ZSTD",
        compression_level=1,
        default_column_properties=hidden,
        column_properties={name: shown for name in names if name in plain or name.startswith(REVISION)},
    )


def commit(delta: DeltaTable | None, marks: Mapping[str, int], note: str = "") -> CommitProperties:
    for app, version in marks.items():
        if delta and (delta.transaction_version(app) or 0) >= version:
            raise AlreadyMarked
    return CommitProperties(
        custom_metadata={NOTE: note} if note else None,
        app_transactions=[Transaction(app, version) for app, version in marks.items()],
    )
