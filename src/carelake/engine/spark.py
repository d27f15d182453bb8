"""Apache Spark with Delta Lake: on this machine or on a cluster. Rows stay with the executors."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
from deltalake.exceptions import DeltaError

from ..foreign import in_our_words
from . import Layout, spark_read
from .files import files, flaws, layout, strays, unneeded
from .revision import REVISION, SUPERSEDED, latest, revised_by, superseding
from .spark_session import started
from .spark_write import APPEND, OVERWRITE, Commit, activate, noting, plain_of, statistics_of, stored
from .stored import NOTE, PLAIN, READABLE, SETTINGS, AlreadyMarked, Stored, files_of, of_compaction, seen

UPGRADED = "'delta.enableDeletionVectors' = 'true', 'delta.enableChangeDataFeed' = 'true'"
ONE = 100_000  # rows: what is lent with fewer is written as one file


class Spark:
    """See `Engine`. `roots` says where each layer is; `staging` is for what spills, encrypted.

    Raises `SparkMissing`, and `LakeDamaged` for a table that cannot be read; if a list `damaged` is given, it is named
    there and left out.
    """

    dialect = "spark"
    has_others = True

    def __init__(
        self,
        roots: Mapping[str, Path],
        staging: Path,
        settings: Mapping[str, str] | None = None,
        readers: int | None = None,
        damaged: list[str] | None = None,
    ) -> None:
        self.work = staging / f"spark-{os.getpid()}"
        self.scratch: Path | None = self.work
        self.session = started(self.work, settings or {})
        self.stored = Stored(roots)
        self.readers = readers  # tasks of `elsewhere` at once; as many as there are cores if nothing is said
        self.relations = spark_read.Relations(self.session, self._frame)
        self._standing: dict[str, Callable[[], None]] = {}  # table -> what shows the rows of it that stand
        for table in self.tables():
            self._find(table, damaged)

    def tables(self) -> list[str]:
        return self.stored.names()

    def _find(self, table: str, damaged: list[str] | None) -> None:
        try:
            whole = self.stored.is_whole(table)
            self._open(table)
            whole = whole and all(Path(file).exists() for file in files_of(self.stored.tables[table]))
        except DeltaError:
            whole = False
        if not whole:
            self.stored.left_out(table, damaged)

    @in_our_words("ask")
    def ask(self, select: str, as_of: date | None = None) -> pa.Table:
        return self._rows(select, as_of).toArrow()

    @in_our_words("columns")
    def columns(self, relation: str) -> dict[str, str]:
        if "." not in relation:
            return self.relations.columns(relation)
        return seen(self.stored.tables[relation]) if relation in self.stored.tables else {}

    def version(self, table: str) -> int | None:
        return self.stored.version(table)

    def state(self, table: str) -> str:
        return self.stored.state(table)

    def marked(self, table: str, app: str, version: int | None = None) -> int:
        return self.stored.marked(table, app, version)

    def note(self, table: str) -> str:
        return self.stored.note(table)

    @in_our_words("lend")
    def lend(self, name: str, rows: pa.Table | pa.RecordBatchReader | Callable[[], pa.Table]) -> None:
        if isinstance(rows, pa.Table):
            frame = self.session.createDataFrame(rows)
            lent = frame.coalesce(1) if rows.num_rows < ONE else frame
        elif isinstance(rows, pa.RecordBatchReader):
            lent = spark_read.spooled(self.session, rows, self._spool(name))
        else:
            lent = spark_read.called(self.session, rows)
        self.relations.show(name, lent)

    @in_our_words("elsewhere")
    def elsewhere(self, tasks: Sequence[Callable[[], None]]) -> list[bool]:
        ended = set(spark_read.tried(self.session, tasks, self.readers).toArrow().column(0).to_pylist())
        return [place in ended for place in range(len(tasks))]

    @in_our_words("show")
    def show(self, name: str, files: Sequence[Path], numbered: str = "") -> None:
        self.relations.show(name, spark_read.united(self.session, files, numbered))

    @in_our_words("hold")
    def hold(self, name: str, select: str, as_of: date | None = None) -> int:
        return self.relations.hold(name, self._rows(select, as_of))

    @in_our_words("transform")
    def transform(self, name: str, select: str, by: Callable[[pa.Table], pa.Table], columns: Mapping[str, str]) -> int:
        return self.relations.hold(name, spark_read.transformed(self._rows(select), by, columns))

    @in_our_words("define")
    def define(self, name: str, select: str) -> None:
        self.relations.define(name, select)

    @in_our_words("stand")
    def stand(self, name: str, table: str, identity: Sequence[str], revision: str, gone: str) -> None:
        self._standing[table] = lambda: self.relations.define(
            name, spark_read.standing(table, self.stored.columns(table), identity, revision, gone)
        )
        self._standing[table]()

    @in_our_words("added")
    def added(self, name: str, table: str, since: int) -> bool:
        new = self.stored.new_files(table, since)
        if new is None:
            return False
        self.relations.show(name, spark_read.of_files(self.session, new, self.stored.types(table)))
        return True

    @in_our_words("recall")
    def recall(self, name: str, table: str, version: int) -> bool:
        if self.stored.files(table, version) is None:
            return False
        self.relations.show(name, self._frame(table, version))
        return True

    @in_our_words("let_go")
    def let_go(self, *names: str) -> None:
        for name in names:
            self.relations.let_go(name)
            shutil.rmtree(self._spool(name), ignore_errors=True)

    @in_our_words("write_files")
    def write_files(self, select: str, folder: Path) -> list[Path]:
        return spark_read.write_parts(self._rows(select), folder)

    @in_our_words("create")
    def create(self, table: str, columns: Mapping[str, str], plain: Collection[str] = ()) -> None:
        if self.stored.create(table, columns, plain):
            self._open(table)

    @in_our_words("append")
    def append(self, table: str, select: str, marks: Mapping[str, int] | None = None) -> int:
        return self._write(table, self._in_order(table, self._rows(select)), APPEND, marks or {})

    @in_our_words("replace")
    def replace(
        self,
        table: str,
        select: str,
        as_of: date | None = None,
        note: str = "",
        marks: Mapping[str, int] | None = None,
    ) -> int:
        rows = spark_read.storable(self._rows(select, as_of))
        return self._write(table, rows, OVERWRITE, marks or {}, {NOTE: note} if note else {})

    @in_our_words("supersede")
    def supersede(self, table: str, key: str, select: str, as_of: date | None = None, note: str = "") -> int | None:
        """As the embedded engine does it, so that each reads what the other has superseded."""
        version = self.stored.open(table).version() + 1
        fresh = self.hold("superseding", select, as_of)
        try:
            stored, revision = self._frame(table, raw=True), f"{REVISION}{key}"
            revised = stored.where(f"NOT `{revision}` IS NULL").count() if revision in stored.columns else 0
            if fresh + revised > stored.count() * SUPERSEDED:
                return None
            rows = self._rows(superseding(key, list(self.columns("superseding")), version))
            return self._write(table, self._typed(table, rows), APPEND, {}, {NOTE: note} if note else {})
        finally:
            self.let_go("superseding")

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
        delta, names = self.stored.open(table), self.stored.columns(table)
        before, order = delta.version(), [name for name in order if name in names]
        told = of_compaction(delta, order)
        if told is None:
            return False
        along = f" ZORDER BY ({', '.join(f'`{name}`' for name in order)})" if order else ""
        activate(self.session)
        with statistics_of(self.session, self._plain(table, names)), noting(self.session, told):
            self.session.sql(f"OPTIMIZE delta.{spark_read.ticked(str(self.stored.at(table)))}{along}")
        return self._open(table) > before

    @in_our_words("files")
    def files(self, table: str, versions: Collection[int]) -> list[Path]:
        return files(self.stored.at(table), versions)

    @in_our_words("unneeded")
    def unneeded(self, table: str, versions: Collection[int], since: datetime) -> list[Path]:
        return unneeded(self.stored.at(table), versions, since)

    @in_our_words("upgrade")
    def upgrade(self, table: str, *, dry_run: bool = False) -> bool:
        delta = self.stored.open(table)
        if (delta.protocol().writer_features or None) is not None:
            return False
        if not dry_run:
            activate(self.session)
            with noting(self.session, of_compaction(delta, ()) or {}):
                place = f"delta.{spark_read.ticked(str(self.stored.at(table)))}"
                self.session.sql(f"ALTER TABLE {place} SET TBLPROPERTIES ({UPGRADED})")
            self._open(table)
        return True

    def _spool(self, name: str) -> Path:
        """Where the rows of what is lent, and read once, wait for those who ask for it."""
        return self.work / f"lent-{name}"

    def _rows(self, select: str, as_of: date | None = None) -> Any:
        """The rows of a SELECT, as yet nowhere."""
        return self.session.sql(self.relations.spelled(select, as_of))

    def _frame(self, table: str, version: int | None = None, raw: bool = False) -> Any:
        """The rows of a stored table as it is known, or of one version of it. To read its files is one listing for
        each version, and to let Delta read it a job for each SELECT; but only Delta knows what was marked as deleted.
        """
        delta = self.stored.tables[table] if version is None else self.stored.earlier(table, version)
        if delta.protocol().min_reader_version > READABLE:
            rows = stored(self.session, self.stored.at(table), delta.version())
        else:
            rows = spark_read.of_files(self.session, files_of(delta), pa.schema(delta.schema().to_arrow()))
        revision = None if raw else revised_by(rows.columns)
        if revision is None:
            return rows
        return self.session.sql(self.relations.spelled(latest(rows.columns, self.relations.aside(rows), revision)))

    def _write(
        self, table: str, rows: Any, mode: str, marks: Mapping[str, int], told: Mapping[str, str] | None = None
    ) -> int:
        since = self.stored.open(table).version() if table in self.stored.tables else None
        settings = {**SETTINGS, PLAIN: ""} if since is None else {}
        if any(self.stored.marked(table, app) >= version for app, version in marks.items()):
            raise AlreadyMarked
        with statistics_of(self.session, self._plain(table, rows.columns)):
            commit = Commit(self.session, self.stored.at(table), since)
            commit.write(rows, mode, marks, told or {}, settings)
        return self._open(table)

    def _plain(self, table: str, names: Collection[str]) -> list[str]:
        known = self.stored.tables.get(table)
        return plain_of(known.metadata().configuration if known else {}, names, PLAIN)

    def _in_order(self, table: str, rows: Any) -> Any:
        """`rows` with the columns of the table: one that they do not have is NULL."""
        return spark_read.shaped(rows, self.stored.types(table))

    def _typed(self, table: str, rows: Any) -> Any:
        """`rows` with those of their columns that the table has as it has them."""
        typed = [field for field in self.stored.types(table) if field.name in rows.columns]
        return spark_read.shaped(rows, pa.schema(typed), keep=True)

    def _open(self, table: str) -> int:
        """Know the table as it stands now; its version."""
        before = self.stored.version(table)
        types = self.stored.types(table) if before is not None else None
        version = self.stored.open(table).version()
        if version != before:
            self.relations.forget(table)
        if table in self._standing and not self.stored.types(table).equals(types):
            self._standing[table]()
        return version
