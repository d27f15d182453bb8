"""The embedded engine: DuckDB reads, delta-rs writes, folders on disk."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Literal, NamedTuple

import duckdb
import pyarrow as pa
from deltalake import DeltaTable, write_deltalake
from deltalake.exceptions import DeltaError
from sqlglot import exp

from ..foreign import in_our_words
from . import Layout
from .duck_view import (
    NUMBER,
    all_of,
    has_overruled,
    overruled,
    parquet,
    view_of,
    without,
)
from .duck_write import commit, compact, properties, refuse_upgraded
from .files import files, flaws, layout, strays, unneeded
from .revision import GONE, REVISION, SUPERSEDED, quoted, revised_by, superseding
from .stored import KEEP_LOG, PLAIN, SETTINGS, Stored, seen

AT_ONCE = 250_000  # rows that pass through Python together, so that its memory is bounded
# A dictionary of more values than that is given up sooner or later: sooner saves a sixth of the writing.
FILES = "FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 1, DICTIONARY_SIZE_LIMIT 2000"
SESSION = {
    "TimeZone": "UTC",
    "preserve_insertion_order": "false",
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "arrow_large_buffer_size": "false",
    "enable_progress_bar": "false",  # it goes to stdout, among the rows of an answer
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
    has_others = False
    scratch: Path | None = None  # nothing of it lasts from one verb to the next

    @in_our_words("open")
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
        self.stored = Stored(roots)
        self._standing: dict[str, Standing] = {}  # table -> what shows the rows of it that stand
        self._of_this_run: dict[str, str] = {}  # relation -> what it is to DuckDB
        for layer in roots:
            self.db.execute(f"CREATE SCHEMA IF NOT EXISTS {quoted(layer)}")
        for table in self.tables():
            self._find(table, damaged)

    def tables(self) -> list[str]:
        return self.stored.names()

    def _find(self, table: str, damaged: list[str] | None) -> None:
        """Show a table that is there."""
        try:
            whole = self.stored.is_whole(table)
            refuse_upgraded(self.stored.open(table), table)
            self._open(table)
        except duckdb.OutOfMemoryException:
            raise
        except (DeltaError, duckdb.Error):
            whole = False
        if not whole:
            self.stored.left_out(table, damaged)

    @in_our_words("ask")
    def ask(self, select: str, as_of: date | None = None) -> pa.Table:
        return self._rows(select, as_of).read_all()

    @in_our_words("columns")
    def columns(self, relation: str) -> dict[str, str]:
        if "." in relation:
            return seen(self.stored.tables[relation]) if relation in self.stored.tables else {}
        try:
            described = self.db.execute(f"DESCRIBE {quoted(relation)}").fetchall()
        except duckdb.CatalogException:
            return {}
        return {name: kind for name, kind, *_ in described}

    def version(self, table: str) -> int | None:
        return self.stored.version(table)

    def state(self, table: str) -> str:
        return self.stored.state(table)

    def marked(self, table: str, app: str, version: int | None = None) -> int:
        return self.stored.marked(table, app, version)

    def note(self, table: str) -> str:
        return self.stored.note(table)

    def lend(self, name: str, rows: pa.Table | pa.RecordBatchReader | Callable[[], pa.Table]) -> None:
        self.db.register(name, rows() if callable(rows) else rows)
        self._of_this_run[name] = "LENT"

    def elsewhere(self, tasks: Sequence[Callable[[], None]]) -> list[bool]:
        return [False] * len(tasks)

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
        self._stand(table, self._standing[table], self.stored.columns(table))

    def _stand(self, table: str, of: Standing, columns: Iterable[str]) -> None:
        """Look for the rows that do not stand once for each version, not in every SELECT."""
        delta, left_out = self.stored.tables[table], quoted(f"overruled_{table.replace('.', '_')}")
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
        if self.stored.create(table, columns, plain):
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
        version = self._fresh(table).version() + 1
        fresh = self.hold("superseding", select, as_of)
        try:
            if fresh + self._revised(table, f"{REVISION}{key}") > self._count(table) * SUPERSEDED:
                return None
            rows = superseding(key, list(self.columns("superseding")), version)
            return self._write(table, rows, "append", note=note, schema_mode="merge")
        finally:
            self.let_go("superseding")

    def _count(self, table: str, where: str = "TRUE") -> int:
        """Rows of all revisions."""
        counted = f"SELECT COUNT(*) FROM {all_of(self.stored.tables[table])} AS stored WHERE {where}"
        return int(self.db.execute(counted).fetchall()[0][0])

    def _revised(self, table: str, revision: str) -> int:
        return self._count(table, f"NOT {quoted(revision)} IS NULL") if revision in self.stored.columns(table) else 0

    @in_our_words("added")
    def added(self, name: str, table: str, since: int) -> bool:
        new = self.stored.new_files(table, since)
        if new is None:
            return False
        self._show(name, f"SELECT * FROM {parquet(new)}" if new else f"SELECT * FROM {quoted(table)} WHERE FALSE")
        return True

    @in_our_words("recall")
    def recall(self, name: str, table: str, version: int) -> bool:
        if self.stored.files(table, version) is None:
            return False
        self._show(name, view_of(self.stored.earlier(table, version)))
        return True

    def _show(self, name: str, select: str) -> None:
        self.db.execute(f"CREATE OR REPLACE TEMP VIEW {quoted(name)} AS {select}")
        self._of_this_run[name] = "VIEW"

    def _rows(self, select: str, as_of: date | None = None) -> pa.RecordBatchReader:
        """Streamed: a table larger than memory passes through."""
        given = {"as_of": as_of} if as_of and "$as_of" in select else None
        return self.db.sql(select, params=given).to_arrow_reader(100_000)

    def _in_order(self, table: str, select: str) -> str:
        """`select` with the columns of the table: one that it does not give is NULL."""
        given = {column[0] for column in self.db.execute(f"DESCRIBE {select}").fetchall()}
        fields = self.stored.types(table)
        names = [quoted(f.name) if f.name in given else f"NULL AS {quoted(f.name)}" for f in fields]
        return f"SELECT {', '.join(names)} FROM ({select}) AS given"

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
        delta = self._fresh(table) if table in self.stored.tables else None
        rows = self._rows(select, as_of)  # last: nothing else runs on the connection while it is open
        write_deltalake(
            delta or str(self.stored.at(table)),
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
        return self.stored.tables[table]

    def _open(self, table: str) -> int:
        """Show the table as it stands now; its version."""
        delta = self.stored.open(table)
        stored = self.stored.columns(table)
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
        return list(flaws(self.stored.at(table), versions))

    @in_our_words("strays")
    def strays(self, table: str) -> list[Path]:
        return strays(self.stored.at(table))

    def layout(self, table: str) -> Layout:
        return layout(self.stored.tables[table])

    @in_our_words("compact")
    def compact(self, table: str, order: Sequence[str] = ()) -> bool:
        stored = self.stored.columns(table)
        done = compact(self._fresh(table), [name for name in order if name in stored], self.staging)
        self._open(table)
        return done

    @in_our_words("files")
    def files(self, table: str, versions: Collection[int]) -> list[Path]:
        return files(self.stored.at(table), versions)

    @in_our_words("unneeded")
    def unneeded(self, table: str, versions: Collection[int], since: datetime) -> list[Path]:
        return unneeded(self.stored.at(table), versions, since)

    def upgrade(self, table: str, *, dry_run: bool = False) -> bool:
        return False  # what it writes, every engine can
