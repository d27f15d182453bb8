"""Stored tables as their Delta logs tell of them: what every engine knows of one without reading a row."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from urllib.parse import unquote

import pyarrow as pa
from deltalake import DeltaTable, Field, PostCommitHookProperties, Schema
from deltalake.exceptions import DeltaError, TableNotFoundError

from ..errors import LakeDamaged
from .files import is_begun, log_of
from .revision import GONE, revised_by

READABLE, PORTABLE = 1, 2  # the versions of Delta's protocol, for readers and writers, that every engine here knows
PLAIN = "delta.dataSkippingStatsColumns"
# Only CareLake's own vacuum runs, and log entries live as long as the longest release: see docs/decisions.
SETTINGS = {"delta.logRetentionDuration": "interval 400 days"}
KEEP_LOG = PostCommitHookProperties(cleanup_expired_logs=False)
NOTE = "carelake.note"
SAME_AS, ORDER = "carelake.same_as", "carelake.order"  # of a compaction: the version whose rows it holds, how they lie
USER_METADATA = "userMetadata"  # where Spark notes with a commit what delta-rs notes under names of its own
ARROW = {
    "TEXT": pa.string(), "BIGINT": pa.int64(), "INTEGER": pa.int32(), "DATE": pa.date32(), "BOOLEAN": pa.bool_(),
    "TIMESTAMPTZ": pa.timestamp("us", "UTC"), "TIMESTAMP": pa.timestamp("us"), "DOUBLE": pa.float64(),
    "BLOB": pa.binary(),
}  # fmt: skip
DECIMAL = re.compile(r"DECIMAL\((\d+), ?(\d+)\)")
FIX = (
    "Bring its folder back from the backup. One of gold or reference may be moved away instead, or one of silver,"
    " unless bronze was purged."
)


class AlreadyMarked(Exception):
    """A mark is there already: another writer has consumed the load."""


class Stored:
    """The tables below `roots`, layer -> the folder that it lies in."""

    def __init__(self, roots: Mapping[str, Path]) -> None:
        self.roots = roots
        self.tables: dict[str, DeltaTable] = {}  # as they were when they were opened last
        self._states: dict[str, tuple[int, str]] = {}  # table -> a version, and the state of that

    def names(self) -> list[str]:
        """Every table that is there, layer by layer."""
        logs = (
            (layer, log) for layer, root in self.roots.items() for log in sorted((root / layer).glob("*/_delta_log"))
        )
        return [f"{layer}.{log.parent.name}" for layer, log in logs if is_begun(log)]

    def at(self, table: str) -> Path:
        """The folder of a table."""
        layer, name = table.split(".")
        return self.roots[layer] / layer / name

    def open(self, table: str) -> DeltaTable:
        """A table as it stands now."""
        if table in self.tables:
            self.tables[table].update_incremental()
        else:
            self.tables[table] = DeltaTable(str(self.at(table)))
        return self.tables[table]

    def is_whole(self, table: str) -> bool:
        """Whether every entry of a table's log has something in it. One that a power failure left empty would pass for
        one that did nothing, and what it had added for never written.
        """
        return all(entry.stat().st_size for entry in log_of(self.at(table)).glob("*.json"))

    def left_out(self, table: str, damaged: list[str] | None) -> None:
        """Leave out a table that cannot be read. Raises `LakeDamaged`, unless there is a list to name it in."""
        self.tables.pop(table, None)
        if damaged is None:
            raise LakeDamaged(f"a file of {table} is gone, or is not what was written.", FIX)
        damaged.append(table)

    def columns(self, table: str) -> list[str]:
        """The columns that are stored, also those that nobody sees."""
        return [field.name for field in self.tables[table].schema().fields]

    def types(self, table: str) -> pa.Schema:
        """The same, with their types."""
        return pa.schema(self.tables[table].schema().to_arrow())

    def version(self, table: str) -> int | None:
        """See `Engine.version`."""
        return self.tables[table].version() if table in self.tables else None

    def state(self, table: str) -> str:
        """See `Engine.state`."""
        delta = self.tables.get(table)
        if delta is None:
            return ""
        version, told = self._states.get(table, (None, ""))
        if version != delta.version():  # the log is read once for each
            told = f"{same_as(delta)}/{delta.metadata().id}"
            self._states[table] = delta.version(), told
        return told

    def marked(self, table: str, app: str, version: int | None = None) -> int:
        """See `Engine.marked`."""
        if table not in self.tables:
            return 0
        delta = self.tables[table] if version is None else self.earlier(table, version)
        return delta.transaction_version(app) or 0

    def note(self, table: str) -> str:
        """See `Engine.note`."""
        return noted(self.tables[table]).get(NOTE, "") if table in self.tables else ""

    def earlier(self, table: str, version: int) -> DeltaTable:
        """An earlier version of a table."""
        return DeltaTable(str(self.at(table)), version=version)

    def files(self, table: str, version: int) -> list[str] | None:
        """The files of a version; None if it can no longer be read."""
        try:
            files = files_of(self.earlier(table, version))
        except DeltaError:
            return None
        return files if all(Path(file).exists() for file in files) else None

    def new_files(self, table: str, since: int) -> list[str] | None:
        """The files that a table was given since a version; None if that cannot be told, or others were taken away."""
        then, now = self.files(table, since), files_of(self.tables[table])
        return sorted(set(now) - set(then)) if then is not None and set(then) <= set(now) else None

    def create(self, table: str, columns: Mapping[str, str], plain: Collection[str]) -> bool:
        """See `Engine.create`; whether there was something to do. No row is written, so that no engine is needed."""
        stored = set(self.columns(table)) if table in self.tables else set()
        if stored and stored >= columns.keys():
            return False
        wanted = Schema.from_arrow(pa.schema([(name, arrow_of(kind)) for name, kind in columns.items()]))
        if not stored:
            settings = {**SETTINGS, PLAIN: ",".join(plain)}
            DeltaTable.create(str(self.at(table)), wanted, name=table, configuration=settings)
        else:
            new = [Field(f.name, f.type, nullable=True) for f in wanted.fields if f.name not in stored]
            self.tables[table].alter.add_columns(new)
        return True


def arrow_of(kind: str) -> pa.DataType:
    """The Arrow type of what SQL calls `kind`."""
    decimal = DECIMAL.fullmatch(kind)
    return pa.decimal128(int(decimal[1]), int(decimal[2])) if decimal else ARROW[kind]


def sql_type(kind: pa.DataType) -> str:
    """The name of an Arrow type in SQL, as the verb `columns` tells it."""
    if pa.types.is_timestamp(kind):
        return "TIMESTAMP WITH TIME ZONE" if kind.tz else "TIMESTAMP"
    if pa.types.is_decimal(kind):
        return f"DECIMAL({kind.precision},{kind.scale})"
    return {
        "int64": "BIGINT", "int32": "INTEGER", "bool": "BOOLEAN", "date32[day]": "DATE", "double": "DOUBLE",
        "int16": "SMALLINT", "int8": "TINYINT", "float": "FLOAT", "binary": "BLOB", "large_binary": "BLOB",
    }.get(str(kind), "VARCHAR")  # fmt: skip


def seen(delta: DeltaTable) -> dict[str, str]:
    """The columns that a table shows, and their types as the verb `columns` tells them."""
    typed = pa.schema(delta.schema().to_arrow())
    hidden = {revised_by(typed.names), GONE} if revised_by(typed.names) else set()
    return {field.name: sql_type(field.type) for field in typed if field.name not in hidden}


def is_portable(table: Path) -> bool:
    """Whether every engine can write the table in that folder."""
    return DeltaTable(str(table)).protocol().min_writer_version <= PORTABLE


def exists(path: Path) -> bool:
    """Whether a Delta table is there."""
    try:
        return DeltaTable.is_deltatable(str(path))
    except TableNotFoundError:
        return False


def files_of(delta: DeltaTable) -> list[str]:
    """The paths of the files of one version. Delta tells them as URLs, in which a blank is %20."""
    return [unquote(uri) for uri in delta.file_uris()]


def noted(delta: DeltaTable) -> dict[str, str]:
    """What was noted with the last commit of a table, whichever engine made it."""
    last = delta.history(1)[0]
    own = {name: str(last[name]) for name in (NOTE, SAME_AS, ORDER) if name in last}
    return own | dict(_of_spark(str(last.get(USER_METADATA, ""))))


def _of_spark(told: str) -> Iterator[tuple[str, str]]:
    try:
        words = json.loads(told)
    except ValueError:
        return
    if isinstance(words, dict):
        yield from ((name, str(words[name])) for name in (NOTE, SAME_AS, ORDER) if name in words)


def same_as(delta: DeltaTable) -> int:
    """The version whose rows a table holds: its newest, unless that was only compacted."""
    return int(noted(delta).get(SAME_AS, delta.version()))


def of_compaction(delta: DeltaTable, order: Collection[str]) -> dict[str, str] | None:
    """What to note with a compaction of a table: what was noted before, and that it holds the same rows. None if
    nothing was written since it was laid in that order.
    """
    last, wanted = noted(delta), ",".join(order)
    if wanted and last.get(ORDER) == wanted:
        return None
    kept = {NOTE: last[NOTE]} if NOTE in last else {}
    return kept | {SAME_AS: str(same_as(delta))} | ({ORDER: wanted} if wanted else {})
