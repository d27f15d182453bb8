"""The embedded engine: DuckDB reads, delta-rs writes, folders on disk."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any, Literal
from urllib.parse import unquote

import duckdb
import pyarrow as pa
from deltalake import (
    ColumnProperties,
    CommitProperties,
    DeltaTable,
    Field,
    PostCommitHookProperties,
    Schema,
    Transaction,
    WriterProperties,
    write_deltalake,
)
from deltalake.exceptions import TableNotFoundError
from sqlglot import exp

from ..errors import in_our_words

PLAIN = "delta.dataSkippingStatsColumns"
# Only CareLake's own vacuum runs, and log entries live as long as the longest release: see docs/decisions.
SETTINGS = {"delta.logRetentionDuration": "interval 400 days"}
NOTE = "carelake.note"
# A dictionary of more values than that is given up sooner or later: sooner saves a sixth of the writing.
FILES = "FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 1, DICTIONARY_SIZE_LIMIT 2000"
SESSION = {
    "TimeZone": "UTC",
    "preserve_insertion_order": "false",
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "arrow_large_buffer_size": "false",
}


class Duck:
    """See `Engine`. `roots` says where each layer is; `staging` is for what spills, encrypted."""

    dialect = "duckdb"

    def __init__(self, roots: Mapping[str, Path], staging: Path, memory: str = "2GB") -> None:
        self.roots = roots
        self.db = duckdb.connect()
        for name, value in (SESSION | {"temp_directory": str(staging), "memory_limit": memory}).items():
            self.db.execute(f"SET {name} = {exp.Literal.string(value).sql('duckdb')}")
        # DuckDB's own cipher has no strong source of randomness, and its better one is a download. What spills lies in
        # the originals zone, beside bronze, and is swept: the cipher is a second wall, not the first.
        self.db.execute("SET force_mbedtls_unsafe = 'true'")
        self.db.execute("SET temp_file_encryption = true")
        self._tables: dict[str, DeltaTable] = {}
        self._of_this_run: dict[str, str] = {}  # relation -> what it is to DuckDB
        for layer, root in roots.items():
            self.db.execute(f"CREATE SCHEMA IF NOT EXISTS {_name(layer)}")
            for log in sorted((root / layer).glob("*/_delta_log")):
                if exists(log.parent):  # else somebody was killed who was about to make it
                    self._open(f"{layer}.{log.parent.name}")

    @in_our_words("ask")
    def ask(self, select: str, as_of: date | None = None) -> pa.Table:
        return self._rows(select, as_of).read_all()

    @in_our_words("columns")
    def columns(self, relation: str) -> dict[str, str]:
        if "." in relation and relation not in self._tables:
            return {}
        try:
            described = self.db.execute(f"DESCRIBE {_name(relation)}").fetchall()
        except duckdb.CatalogException:
            return {}
        return {name: kind for name, kind, *_ in described}

    def version(self, table: str) -> int | None:
        return self._tables[table].version() if table in self._tables else None

    def marked(self, table: str, app: str) -> int:
        return (self._tables[table].transaction_version(app) or 0) if table in self._tables else 0

    def note(self, table: str) -> str:
        return str(self._tables[table].history(1)[0].get(NOTE, "")) if table in self._tables else ""

    def lend(self, name: str, rows: pa.Table | pa.RecordBatchReader) -> None:
        self.db.register(name, rows)
        self._of_this_run[name] = "LENT"

    @in_our_words("show")
    def show(self, name: str, files: Sequence[Path]) -> None:
        self.db.execute(f"CREATE OR REPLACE TEMP VIEW {_name(name)} AS SELECT * FROM {_parquet(files)}")
        self._of_this_run[name] = "VIEW"

    @in_our_words("hold")
    def hold(self, name: str, select: str, as_of: date | None = None) -> int:
        given = {"as_of": as_of} if as_of and "$as_of" in select else None
        self.db.execute(f"CREATE OR REPLACE TEMP TABLE {_name(name)} AS {select}", given)
        self._of_this_run[name] = "TABLE"
        return int(self.db.execute(f"SELECT COUNT(*) FROM {_name(name)}").fetchall()[0][0])

    @in_our_words("define")
    def define(self, name: str, select: str) -> None:
        self.db.execute(f"CREATE OR REPLACE VIEW {_name(name)} AS {select}")

    def let_go(self, *names: str) -> None:
        for name in names:
            kind = self._of_this_run.pop(name, None)
            if kind == "LENT":
                self.db.unregister(name)
            elif kind:
                self.db.execute(f"DROP {kind} temp.{_name(name)}")

    @in_our_words("write_files")
    def write_files(self, select: str, folder: Path) -> list[Path]:
        folder.mkdir(parents=True)
        part = exp.Literal.string(str(folder / "part-0000.parquet")).sql("duckdb")
        self.db.execute(f"COPY ({select}) TO {part} ({FILES})")
        return sorted(folder.glob("*.parquet"))

    @in_our_words("create")
    def create(self, table: str, columns: Mapping[str, str], plain: Collection[str] = ()) -> None:
        wanted = Schema.from_arrow(self._typed(columns))
        if table not in self._tables:
            settings = {**SETTINGS, PLAIN: ",".join(plain)}
            DeltaTable.create(self._at(table), wanted, name=table, configuration=settings)
        else:
            held = {field.name for field in self._tables[table].schema().fields}
            if new := [Field(f.name, f.type, nullable=True) for f in wanted.fields if f.name not in held]:
                self._tables[table].alter.add_columns(new)
        self._open(table)

    @in_our_words("append")
    def append(self, table: str, select: str, marks: Mapping[str, int] | None = None) -> int:
        return self._write(table, self._in_order(table, select), "append", marks=marks)

    @in_our_words("replace")
    def replace(self, table: str, select: str, as_of: date | None = None, note: str = "") -> int:
        return self._write(table, select, "overwrite", as_of=as_of, note=note)

    def _rows(self, select: str, as_of: date | None = None) -> pa.RecordBatchReader:
        """Streamed: a table larger than memory passes through."""
        given = {"as_of": as_of} if as_of and "$as_of" in select else None
        return self.db.sql(select, params=given).to_arrow_reader(100_000)

    def _in_order(self, table: str, select: str) -> str:
        """`select` with the columns of the table: one that it does not give is NULL."""
        given = {column[0] for column in self.db.execute(f"DESCRIBE {select}").fetchall()}
        fields = pa.schema(self._tables[table].schema().to_arrow())
        names = [_name(f.name) if f.name in given else f"NULL AS {_name(f.name)}" for f in fields]
        return f"SELECT {', '.join(names)} FROM ({select}) AS given"

    def _typed(self, columns: Mapping[str, str]) -> pa.Schema:
        nothing = ", ".join(f"CAST(NULL AS {kind}) AS {_name(name)}" for name, kind in columns.items())
        return self.db.sql(f"SELECT {nothing}").to_arrow_reader().schema

    def _write(
        self,
        table: str,
        select: str,
        mode: Literal["append", "overwrite"],
        marks: Mapping[str, int] | None = None,
        as_of: date | None = None,
        note: str = "",
    ) -> int:
        delta = self._fresh(table) if table in self._tables else None
        rows = self._rows(select, as_of)  # last: nothing else runs on the connection while it is open
        write_deltalake(
            delta or self._at(table),
            rows,
            name=table,
            mode=mode,
            schema_mode="overwrite" if mode == "overwrite" else None,
            configuration=None if delta else {**SETTINGS, PLAIN: ""},
            writer_properties=self._properties(delta, rows.schema.names),
            commit_properties=_commit(delta, marks or {}, note),
            post_commithook_properties=PostCommitHookProperties(cleanup_expired_logs=False),
        )
        return self._open(table)

    def _properties(self, delta: DeltaTable | None, names: Sequence[str]) -> WriterProperties:
        """Statistics repeat values in footers and in the log, so that only plain columns have them: in every write."""
        plain = (delta.metadata().configuration.get(PLAIN, "") if delta else "").split(",")
        hidden = ColumnProperties(statistics_enabled="NONE")
        shown = ColumnProperties(statistics_enabled="PAGE")
        return WriterProperties(
            compression="ZSTD",
            compression_level=1,
            default_column_properties=hidden,
            column_properties={name: shown for name in names if name in plain},
        )

    def _fresh(self, table: str) -> DeltaTable:
        """The snapshot that is written on: marks are read from it, so that a mark is never committed twice."""
        self._open(table)
        return self._tables[table]

    def _open(self, table: str) -> int:
        """Show the table as it stands now; its version."""
        if table in self._tables:
            self._tables[table].update_incremental()
        else:
            self._tables[table] = DeltaTable(self._at(table))
        delta = self._tables[table]
        self.db.execute(f"CREATE OR REPLACE VIEW {_name(table)} AS {view_of(delta)}")
        return delta.version()

    def _at(self, table: str) -> str:
        layer, name = table.split(".")
        return str(self.roots[layer] / layer / name)


class AlreadyMarked(Exception):
    """A mark is there already: another writer has consumed the load."""


def view_of(delta: DeltaTable) -> str:
    """The SELECT that reads one version of a Delta table: its files, and every column it has, also those that are in
    none of the files yet. Not through `to_pyarrow_dataset()`, whose filters on decimals lose rows.
    """
    schema = delta.schema().to_arrow()
    typed = pa.schema(schema)
    columns = ", ".join(_name(field.name) for field in typed)
    nothing = ", ".join(f"CAST(NULL AS {_duck_type(field.type)}) AS {_name(field.name)}" for field in typed)
    empty = f"SELECT {nothing} WHERE FALSE"
    files = files_of(delta)
    if not files:
        return empty
    return f"SELECT {columns} FROM ({empty} UNION ALL BY NAME SELECT * FROM {_parquet(files)})"


def files_of(delta: DeltaTable) -> list[str]:
    """The paths of the files of one version. Delta tells them as URLs, in which a blank is %20."""
    return [unquote(uri) for uri in delta.file_uris()]


def exists(path: Path) -> bool:
    """Whether a Delta table is there."""
    try:
        return DeltaTable.is_deltatable(str(path))
    except TableNotFoundError:
        return False


def _commit(delta: DeltaTable | None, marks: Mapping[str, int], note: str = "") -> CommitProperties:
    for app, version in marks.items():
        if delta and (delta.transaction_version(app) or 0) >= version:
            raise AlreadyMarked
    return CommitProperties(
        custom_metadata={NOTE: note} if note else None,
        app_transactions=[Transaction(app, version) for app, version in marks.items()],
    )


def _parquet(files: Sequence[Any]) -> str:
    listed = ", ".join(exp.Literal.string(str(file)).sql("duckdb") for file in files)
    return f"read_parquet([{listed}], union_by_name = true, hive_partitioning = false)"


def _duck_type(kind: Any) -> str:
    if pa.types.is_timestamp(kind):
        return "TIMESTAMPTZ" if kind.tz else "TIMESTAMP"
    if pa.types.is_decimal(kind):
        return f"DECIMAL({kind.precision}, {kind.scale})"
    return {
        "int64": "BIGINT", "int32": "INTEGER", "bool": "BOOLEAN", "date32[day]": "DATE", "double": "DOUBLE",
        "int16": "SMALLINT", "int8": "TINYINT", "float": "FLOAT", "binary": "BLOB", "large_binary": "BLOB",
    }.get(str(kind), "TEXT")  # fmt: skip


def _name(name: str) -> str:
    """A name as SQL quotes it; `layer.table` in two parts."""
    return ".".join(exp.to_identifier(part, quoted=True).sql("duckdb") for part in name.split("."))
