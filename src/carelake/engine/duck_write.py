"""How the embedded engine writes a Delta table: what a commit carries, and what its files may say of their values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from deltalake import (
    ColumnProperties,
    CommitProperties,
    DeltaTable,
    PostCommitHookProperties,
    Transaction,
    WriterProperties,
)
from deltalake.exceptions import TableNotFoundError

from .duck_view import REVISION

PLAIN = "delta.dataSkippingStatsColumns"
# Only CareLake's own vacuum runs, and log entries live as long as the longest release: see docs/decisions.
SETTINGS = {"delta.logRetentionDuration": "interval 400 days"}
KEEP_LOG = PostCommitHookProperties(cleanup_expired_logs=False)
NOTE = "carelake.note"


class AlreadyMarked(Exception):
    """A mark is there already: another writer has consumed the load."""


def exists(path: Path) -> bool:
    """Whether a Delta table is there."""
    try:
        return DeltaTable.is_deltatable(str(path))
    except TableNotFoundError:
        return False


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
