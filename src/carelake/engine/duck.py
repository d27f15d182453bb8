"""The embedded engine: DuckDB reads, delta-rs writes, folders on disk."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Literal, NamedTuple

import duckdb
import pyarrow as pa
from deltalake import DeltaTable, Field, Schema, write_deltalake
from deltalake.exceptions import DeltaError
from sqlglot import exp

from ..errors import LakeDamaged
from ..foreign import in_our_words
from . import Layout
from .duck_files import files, flaws, is_begun, layout, log_of, strays, unneeded
from .duck_view import (
    GONE,
    NUMBER,
    REVISION,
    all_of,
    files_of,
    has_overruled,
    overruled,
    parquet,
    quoted,
    revised_by,
    seen,
    view_of,
    without,
)
from .duck_write import KEEP_LOG, NOTE, PLAIN, SETTINGS, commit, compact, properties, same_as

AT_ONCE = 250_000  # rows that pass through Python together, so that its memory is bounded
SUPERSEDED = 0.125  # of the rows of a table: beyond that, readers feel it
# A dictionary of more values than that is given up sooner or later: sooner saves a sixth of the writing.
FILES = "FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 1, DICTIONARY_SIZE_LIMIT 2000"
SESSION = {
    "TimeZone": "UTC",
    "preserve_insertion_order": "false",
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "arrow_large_buffer_size": "false",
}


class Standing(NamedTuple):
    """See `Engine.stand`."""

    name: str
    identity: Sequence[str]
    revision: str
    gone: str


class Duck:
    """See `Engine`. `roots` says where each layer is; `staging` is for what spills, encrypted.

    Raises `LakeDamaged` for a table that cannot be read; if a list `damaged` is given, it is named there and left out.
    """

    dialect = "duckdb"

    def __init__(
        self, roots: Mapping[str, Path], staging: Path, memory: str = "2GB", damaged: list[str] | None = None
    ) -> None:
        self.roots, self.staging = roots, staging
        self.db = duckdb.connect()
        # DuckDB's own cipher has no strong source of randomness, and its better one is a download. What spills lies in
        # the originals zone, beside bronze, and is swept: the cipher is a second wall, not the first.
        self.db.execute("SET force_mbedtls_unsafe = 'true'")
        self.db.execute("SET temp_file_encryption = true")  # before it sees what a killed run has spilled
        for name, value in (SESSION | {"temp_directory": str(staging), "memory_limit": memory}).items():
            self.db.execute(f"SET {name} = {exp.Literal.string(value).sql('duckdb')}")
        self._tables: dict[str, DeltaTable] = {}
        self._states: dict[str, tuple[int, str]] = {}  # table -> a version, and the state of that
        self._standing: dict[str, Standing] = {}  # table -> what shows the rows of it that stand
        self._of_this_run: dict[str, str] = {}  # relation -> what it is to DuckDB
        for layer in roots:
            self.db.execute(f"CREATE SCHEMA IF NOT EXISTS {quoted(layer)}")
        for table in self.tables():
            self._find(table, damaged)

    def tables(self) -> list[str]:
        logs = (
            (layer, log) for layer, root in self.roots.items() for log in sorted((root / layer).glob("*/_delta_log"))
        )
        return [f"{layer}.{log.parent.name}" for layer, log in logs if is_begun(log)]

    def _find(self, table: str, damaged: list[str] | None) -> None:
        """Show a table that is there. An entry of its log that a power failure left empty would pass for one that did
        nothing, and what it had added for never written.
        """
        try:
            whole = all(entry.stat().st_size for entry in log_of(Path(self._at(table))).glob("*.json"))
            self._open(table)
        except (DeltaError, duckdb.Error):
            whole = False
        if not whole and damaged is not None:
            damaged.append(table)
            self._tables.pop(table, None)
        elif not whole:
            fix = (
                "Bring its folder back from the backup. One of gold or reference may be moved away instead, or one of"
                " silver, unless bronze was purged."
            )
            raise LakeDamaged(f"a file of {table} is gone, or is not what was written.", fix)

    @in_our_words("ask")
    def ask(self, select: str, as_of: date | None = None) -> pa.Table:
        return self._rows(select, as_of).read_all()

    @in_our_words("columns")
    def columns(self, relation: str) -> dict[str, str]:
        if "." in relation:
            return seen(self._tables[relation]) if relation in self._tables else {}
        try:
            described = self.db.execute(f"DESCRIBE {quoted(relation)}").fetchall()
        except duckdb.CatalogException:
            return {}
        return {name: kind for name, kind, *_ in described}

    def version(self, table: str) -> int | None:
        return self._tables[table].version() if table in self._tables else None

    def state(self, table: str) -> str:
        delta = self._tables.get(table)
        if delta is None:
            return ""
        version, told = self._states.get(table, (None, ""))
        if version != delta.version():  # the log is read once for each
            told = f"{same_as(delta)}/{delta.metadata().id}"
            self._states[table] = delta.version(), told
        return told

    def marked(self, table: str, app: str, version: int | None = None) -> int:
        if table not in self._tables:
            return 0
        delta = self._tables[table] if version is None else DeltaTable(self._at(table), version=version)
        return delta.transaction_version(app) or 0

    def note(self, table: str) -> str:
        return str(self._tables[table].history(1)[0].get(NOTE, "")) if table in self._tables else ""

    def lend(self, name: str, rows: pa.Table | pa.RecordBatchReader | Callable[[], pa.Table]) -> None:
        self.db.register(name, rows() if callable(rows) else rows)
        self._of_this_run[name] = "LENT"

    @in_our_words("show")
    def show(self, name: str, files: Sequence[Path], numbered: str = "") -> None:
        self._show(name, f"SELECT {self._numbered(files, numbered) if numbered else '*'} FROM {parquet(files)}")

    def _numbered(self, files: Sequence[Path], number: str) -> str:
        """All columns of the files, and which one of its folder each row is."""
        told = {row[0] for row in self.db.execute(f"DESCRIBE SELECT * FROM {parquet(files)}").fetchall()}
        own = quoted(number)
        return f"* REPLACE (COALESCE({own}, {NUMBER}) AS {own})" if number in told else f"*, {NUMBER} AS {own}"

    @in_our_words("hold")
    def hold(self, name: str, select: str, as_of: date | None = None) -> int:
        given = {"as_of": as_of} if as_of and "$as_of" in select else None
        self.db.execute(f"CREATE OR REPLACE TEMP TABLE {quoted(name)} AS {select}", given)
        self._of_this_run[name] = "TABLE"
        return self._size(name)

    def _size(self, name: str) -> int:
        return int(self.db.execute(f"SELECT COUNT(*) FROM {quoted(name)}").fetchall()[0][0])

    @in_our_words("transform")
    def transform(self, name: str, select: str, by: Callable[[pa.Table], pa.Table], columns: Mapping[str, str]) -> int:
        told, before = ", ".join(f"{quoted(column)} {kind}" for column, kind in columns.items()), f"{name}_before"
        self.db.execute(f"CREATE OR REPLACE TEMP TABLE {quoted(name)} ({told})")
        self._of_this_run[name] = "TABLE"
        size = self.hold(before, select)
        for start in range(0, size, AT_ONCE):
            some = f"SELECT * FROM {quoted(before)} WHERE rowid >= {start} AND rowid < {start + AT_ONCE}"
            self.lend("made", by(self._rows(some).read_all()))
            self.db.execute(f"INSERT INTO {quoted(name)} BY NAME SELECT * FROM made")
            self.let_go("made")
        self.let_go(before)
        return self._size(name)

    @in_our_words("define")
    def define(self, name: str, select: str) -> None:
        self.db.execute(f"CREATE OR REPLACE VIEW {quoted(name)} AS {select}")

    @in_our_words("stand")
    def stand(self, name: str, table: str, identity: Sequence[str], revision: str, gone: str) -> None:
        self._standing[table] = Standing(name, identity, revision, gone)
        self._stand(table, self._standing[table], self._stored(table))

    def _stand(self, table: str, of: Standing, columns: Iterable[str]) -> None:
        """Look for the rows that do not stand once for each version, not in every SELECT."""
        delta, left_out = self._tables[table], quoted(f"overruled_{table.replace('.', '_')}")
        if not self.db.execute(has_overruled(delta, of.revision)).fetchall()[0][0]:
            told = f"SELECT {', '.join(map(quoted, columns))} FROM {all_of(delta)} AS stored"
            self.db.execute(f"CREATE OR REPLACE VIEW {quoted(of.name)} AS {told}")
            return
        select = overruled(delta, of.identity, of.revision, of.gone)
        self.db.execute(f"CREATE OR REPLACE TEMP TABLE {left_out} AS {select}")
        self.db.execute(f"CREATE OR REPLACE VIEW {quoted(of.name)} AS {without(delta, left_out, columns)}")

    def let_go(self, *names: str) -> None:
        for name in names:
            kind = self._of_this_run.pop(name, None)
            if kind == "LENT":
                self.db.unregister(name)
            elif kind:
                self.db.execute(f"DROP {kind} temp.{quoted(name)}")

    @in_our_words("write_files")
    def write_files(self, select: str, folder: Path) -> list[Path]:
        folder.mkdir(parents=True)
        part = exp.Literal.string(str(folder / "part-0000.parquet")).sql("duckdb")
        self.db.execute(f"COPY ({select}) TO {part} ({FILES})")
        return sorted(folder.glob("*.parquet"))

    @in_our_words("create")
    def create(self, table: str, columns: Mapping[str, str], plain: Collection[str] = ()) -> None:
        stored = set(self._stored(table)) if table in self._tables else set()
        if stored and stored >= columns.keys():
            return
        wanted = Schema.from_arrow(self._typed(columns))
        if not stored:
            settings = {**SETTINGS, PLAIN: ",".join(plain)}
            DeltaTable.create(self._at(table), wanted, name=table, configuration=settings)
        else:
            new = [Field(f.name, f.type, nullable=True) for f in wanted.fields if f.name not in stored]
            self._tables[table].alter.add_columns(new)
        self._open(table)

    @in_our_words("append")
    def append(self, table: str, select: str, marks: Mapping[str, int] | None = None) -> int:
        return self._write(table, self._in_order(table, select), "append", marks=marks)

    @in_our_words("replace")
    def replace(
        self,
        table: str,
        select: str,
        as_of: date | None = None,
        note: str = "",
        marks: Mapping[str, int] | None = None,
    ) -> int:
        return self._write(table, select, "overwrite", marks=marks, as_of=as_of, note=note)

    @in_our_words("supersede")
    def supersede(self, table: str, key: str, select: str, as_of: date | None = None, note: str = "") -> int | None:
        """Appended, and told apart by a revision: a MERGE of keys from all over a table rewrites nearly every file."""
        revision = quoted(f"{REVISION}{key}")
        stamp = f"CAST({self._fresh(table).version() + 1} AS BIGINT) AS {revision}"
        fresh = self.hold("superseding", select, as_of)
        try:
            if fresh + self._revised(table, f"{REVISION}{key}") > self._count(table) * SUPERSEDED:
                return None
            gone = f"SELECT {quoted(key)} FROM touched EXCEPT SELECT {quoted(key)} FROM superseding"
            rows = f"""SELECT *, {stamp}, FALSE AS {GONE} FROM superseding
UNION ALL BY NAME
SELECT *, {stamp}, TRUE AS {GONE} FROM ({gone}) AS gone"""
            return self._write(table, rows, "append", note=note, schema_mode="merge")
        finally:
            self.let_go("superseding")

    def _count(self, table: str, where: str = "TRUE") -> int:
        """Rows of all revisions."""
        counted = f"SELECT COUNT(*) FROM {all_of(self._tables[table])} AS stored WHERE {where}"
        return int(self.db.execute(counted).fetchall()[0][0])

    def _revised(self, table: str, revision: str) -> int:
        return self._count(table, f"NOT {quoted(revision)} IS NULL") if revision in self._stored(table) else 0

    @in_our_words("added")
    def added(self, name: str, table: str, since: int) -> bool:
        then, now = self._files(table, since), files_of(self._tables[table])
        if then is None or not set(then) <= set(now):
            return False
        new = sorted(set(now) - set(then))
        self._show(name, f"SELECT * FROM {parquet(new)}" if new else f"SELECT * FROM {quoted(table)} WHERE FALSE")
        return True

    @in_our_words("recall")
    def recall(self, name: str, table: str, version: int) -> bool:
        if self._files(table, version) is None:
            return False
        self._show(name, view_of(DeltaTable(self._at(table), version=version)))
        return True

    def _files(self, table: str, version: int) -> list[str] | None:
        """The files of a version; None if it can no longer be read."""
        try:
            files = files_of(DeltaTable(self._at(table), version=version))
        except DeltaError:
            return None
        return files if all(Path(file).exists() for file in files) else None

    def _show(self, name: str, select: str) -> None:
        self.db.execute(f"CREATE OR REPLACE TEMP VIEW {quoted(name)} AS {select}")
        self._of_this_run[name] = "VIEW"

    def _stored(self, table: str) -> list[str]:
        """The columns that are stored, also those that nobody sees."""
        return [field.name for field in self._tables[table].schema().fields]

    def _rows(self, select: str, as_of: date | None = None) -> pa.RecordBatchReader:
        """Streamed: a table larger than memory passes through."""
        given = {"as_of": as_of} if as_of and "$as_of" in select else None
        return self.db.sql(select, params=given).to_arrow_reader(100_000)

    def _in_order(self, table: str, select: str) -> str:
        """`select` with the columns of the table: one that it does not give is NULL."""
        given = {column[0] for column in self.db.execute(f"DESCRIBE {select}").fetchall()}
        fields = pa.schema(self._tables[table].schema().to_arrow())
        names = [quoted(f.name) if f.name in given else f"NULL AS {quoted(f.name)}" for f in fields]
        return f"SELECT {', '.join(names)} FROM ({select}) AS given"

    def _typed(self, columns: Mapping[str, str]) -> pa.Schema:
        nothing = ", ".join(f"CAST(NULL AS {kind}) AS {quoted(name)}" for name, kind in columns.items())
        return self.db.sql(f"SELECT {nothing}").to_arrow_reader().schema

    def _write(
        self,
        table: str,
        select: str,
        mode: Literal["append", "overwrite"],
        marks: Mapping[str, int] | None = None,
        as_of: date | None = None,
        note: str = "",
        schema_mode: Literal["merge"] | None = None,
    ) -> int:
        delta = self._fresh(table) if table in self._tables else None
        rows = self._rows(select, as_of)  # last: nothing else runs on the connection while it is open
        write_deltalake(
            delta or self._at(table),
            rows,
            name=table,
            mode=mode,
            schema_mode="overwrite" if mode == "overwrite" else schema_mode,
            configuration=None if delta else {**SETTINGS, PLAIN: ""},
            writer_properties=properties(delta, rows.schema.names),
            commit_properties=commit(delta, marks or {}, note),
            post_commithook_properties=KEEP_LOG,
        )
        return self._open(table)

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
        delta, stored = self._tables[table], self._stored(table)
        if revision := revised_by(stored):
            itself = Standing(table, [revision.removeprefix(REVISION)], revision, GONE)
            self._stand(table, itself, seen(delta))
        else:
            self.db.execute(f"CREATE OR REPLACE VIEW {quoted(table)} AS {view_of(delta)}")
        if table in self._standing:
            self._stand(table, self._standing[table], stored)
        return delta.version()

    @in_our_words("flaws")
    def flaws(self, table: str, versions: Collection[int]) -> list[str]:
        return list(flaws(Path(self._at(table)), versions))

    @in_our_words("strays")
    def strays(self, table: str) -> list[Path]:
        return strays(Path(self._at(table)))

    def layout(self, table: str) -> Layout:
        return layout(self._tables[table])

    @in_our_words("compact")
    def compact(self, table: str, order: Sequence[str] = ()) -> bool:
        stored = self._stored(table)
        done = compact(self._fresh(table), [name for name in order if name in stored], self.staging)
        self._open(table)
        return done

    @in_our_words("files")
    def files(self, table: str, versions: Collection[int]) -> list[Path]:
        return files(Path(self._at(table)), versions)

    @in_our_words("unneeded")
    def unneeded(self, table: str, versions: Collection[int], since: datetime) -> list[Path]:
        return unneeded(Path(self._at(table)), versions, since)

    def _at(self, table: str) -> str:
        layer, name = table.split(".")
        return str(self.roots[layer] / layer / name)
