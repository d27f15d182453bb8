"""Rows as Spark reads them: what a SELECT may name, and what files, Arrow tables and functions become."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date
from functools import lru_cache
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from ..sql import render, tables_of
from .revision import quoted
from .stored import arrow_of, sql_type

AS_OF = re.compile(r"\$as_of\b")
PART_ROWS = 1_000_000_000  # more than a part has
PART = "CAST(SUBSTRING(_metadata.file_name, LENGTH(_metadata.file_name) - 11, 4) AS BIGINT)"  # `.../part-0001.parquet`
PLACE = f"{PART} * {PART_ROWS} + _metadata.row_index"
WHOLE = {pa.int8(): 3, pa.int16(): 5, pa.int32(): 10, pa.int64(): 19}  # digits
PATHS_AS_THEY_ARE = {"__globPaths__": "false"}  # a folder may be named with a * or [


class Relations:
    """What SELECTs of one session may name. Spark knows relations of one word only, so that `layer.table` gets one; and
    it is asked for when a SELECT names it first, since to look at every table takes longer than most runs.
    """

    def __init__(self, session: Any, stored: Callable[[str], Any]) -> None:
        self.session, self.stored = session, stored
        self._defined: dict[str, str] = {}  # view -> its SELECT
        self._needs: dict[str, set[str]] = {}  # table or view that Spark knows -> what it is made of
        self._of_this_run: dict[str, Any] = {}
        self._aside = 0

    def spelled(self, select: str, as_of: date | None = None) -> str:
        """A SELECT as Spark spells it, all of whose relations it knows. Its parameter stands in it: with Delta's parser
        Spark binds none, and a day is nobody's.
        """
        text, names = _spelled(AS_OF.sub(f"CAST('{as_of}' AS DATE)", select) if as_of else select)
        for name in names:
            self._know(name)
        return text

    def _know(self, name: str) -> None:
        if name in self._needs or "." not in name:
            return
        select = self._defined.get(name)
        rows = self.session.sql(self.spelled(select)) if select else self.stored(name)
        rows.createOrReplaceTempView(one_word(name))
        self._needs[name] = set(_spelled(select)[1]) if select else set()

    def forget(self, name: str) -> None:
        """Look at a table or view anew, and at what is made of it, when it is named next."""
        self._needs.pop(name, None)
        for other in [view for view, needs in self._needs.items() if name in needs]:
            self.forget(other)

    def define(self, name: str, select: str) -> None:
        """See `Engine.define`."""
        if self._defined.get(name) != select:
            self._defined[name] = select
            self.forget(name)

    def show(self, name: str, rows: Any) -> None:
        """Let SELECTs read `rows` as `name`."""
        self.let_go(name)
        rows.createOrReplaceTempView(name)
        self._of_this_run[name] = rows

    def hold(self, name: str, rows: Any) -> int:
        """Keep `rows` with the executors, and show them: how many there are. What is only cached would be read anew
        once a table that it was made of is written to.
        """
        kept = rows.localCheckpoint(eager=True)
        self.show(name, kept)
        return int(kept.count())

    def aside(self, rows: Any) -> str:
        """A name under which a SELECT that the engine makes itself can read `rows`."""
        self._aside += 1
        name = f"lake_aside_{self._aside}"
        rows.createOrReplaceTempView(name)
        return name

    def columns(self, name: str) -> dict[str, str]:
        """See `Engine.columns`, of what is lent, shown or held."""
        from pyspark.sql.pandas.types import to_arrow_schema

        rows = self._of_this_run.get(name)
        if rows is None:
            return {}
        return {field.name: sql_type(field.type) for field in to_arrow_schema(rows.schema, timezone="UTC")}

    def let_go(self, name: str) -> None:
        """See `Engine.let_go`."""
        rows = self._of_this_run.pop(name, None)
        if rows is None:
            return
        self.session.catalog.dropTempView(name)
        plan = rows._jdf.queryExecution().logical()
        if plan.nodeName().endswith("ExistingRDD"):
            plan.rdd().unpersist(False)


@lru_cache(maxsize=1024)
def _spelled(select: str) -> tuple[str, tuple[str, ...]]:
    return render(select, "spark", one_word), tuple(tables_of(select))


def one_word(name: str) -> str:
    """What Spark calls `layer.table`."""
    return name.replace(".", "__")


def ticked(name: str) -> str:
    """A name as Spark quotes it."""
    return "`" + name.replace("`", "``") + "`"


def standing(table: str, names: Iterable[str], identity: Sequence[str], revision: str, gone: str) -> str:
    """The SELECT of the rows of a table that stand: see `Engine.stand`."""
    told, last = ", ".join(map(quoted, identity)), quoted(revision)
    same = " AND ".join(f"revised.{quoted(name)} = known.{quoted(name)}" for name in identity)
    revised = f"SELECT {told}, MAX({last}) AS latest FROM {table} AS later WHERE {last} > 0 GROUP BY {told}"
    return (
        f"SELECT {', '.join(f'known.{quoted(name)}' for name in names)} FROM {table} AS known"
        f" LEFT JOIN ({revised}) AS revised ON {same} WHERE NOT known.{quoted(gone)}"
        f" AND (revised.latest IS NULL OR COALESCE(known.{last}, 0) >= revised.latest)"
    )


def called(session: Any, make: Callable[[], pa.Table]) -> Any:
    """What a function returns, which is called where the rows are needed: no plan has them."""

    def rows(nothing: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for _ in nothing:
            pass
        yield from make().to_batches()

    return session.range(0, 1, 1, 1).mapInArrow(rows, _struct(make().schema))


def tried(session: Any, tasks: Sequence[Callable[[], None]], at_once: int | None) -> Any:
    """The places of those functions that come to their end, so many at once. What fails is not tried again, and is
    silent: its words may quote rows.
    """

    def called(places: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in places:
            ended = [place for place in batch.column(0).to_pylist() if _ends(tasks[place])]
            yield pa.RecordBatch.from_arrays([pa.array(ended, pa.int64())], ["place"])

    slices = max(1, min(len(tasks), at_once or len(tasks)))
    return session.range(0, len(tasks), 1, slices).mapInArrow(called, "place long")


def _ends(task: Callable[[], None]) -> bool:
    try:
        task()
    except Exception:  # noqa: BLE001 - whatever it throws
        return False
    return True


def transformed(rows: Any, by: Callable[[pa.Table], pa.Table], columns: Mapping[str, str]) -> Any:
    """What a function makes of rows, some at a time, where they lie."""
    schema = pa.schema([(name, arrow_of(kind)) for name, kind in columns.items()])

    def made(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            yield from by(pa.Table.from_batches([batch])).select(schema.names).cast(schema).to_batches()

    return rows.mapInArrow(made, _struct(schema))


def streamed(rows: Any) -> pa.RecordBatchReader:
    """Rows as the driver reads them, a partition at a time and in their order: never all of them at once."""
    from pyspark.sql.pandas.types import to_arrow_schema

    schema = to_arrow_schema(rows.schema, timezone="UTC")

    def packed(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            sink = pa.BufferOutputStream()
            with pa.ipc.new_stream(sink, batch.schema) as writer:
                writer.write_batch(batch)
            yield pa.RecordBatch.from_arrays([pa.array([sink.getvalue().to_pybytes()], pa.binary())], ["packed"])

    named = rows.toDF(*(f"column_{place}" for place in range(len(schema))))  # an answer may have a name twice

    def unpacked() -> Iterator[pa.RecordBatch]:
        for row in named.mapInArrow(packed, "packed binary").toLocalIterator():
            table = pa.ipc.open_stream(bytes(row.packed)).read_all()
            yield from pa.Table.from_arrays(table.columns, schema=schema).to_batches()

    return pa.RecordBatchReader.from_batches(schema, unpacked())


def spooled(session: Any, rows: pa.RecordBatchReader, folder: Path) -> Any:
    """What a reader brings, which is read once: kept in files beside those it becomes, no better hidden than they."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True, mode=0o700)
    file = folder / "part-0000.parquet"
    schema = _known(rows.schema)
    with pq.ParquetWriter(file, schema, compression="zstd", store_schema=False) as writer:
        for batch in rows:
            writer.write_table(pa.Table.from_batches([batch]).cast(schema))
    return of_files(session, [str(file)], schema)


def _known(schema: pa.Schema) -> pa.Schema:
    """The columns of `schema` in types that Spark has."""
    return pa.schema([(field.name, _of_spark(field.type)) for field in schema])


def _of_spark(kind: pa.DataType) -> pa.DataType:
    """The type that Spark has for values of `kind`."""
    if pa.types.is_timestamp(kind):
        return pa.timestamp("us", kind.tz and "UTC")
    if pa.types.is_dictionary(kind):
        return _of_spark(kind.value_type)
    if pa.types.is_uint64(kind):
        return pa.decimal128(20, 0)
    unsigned = {pa.uint8(): pa.int16(), pa.uint16(): pa.int32(), pa.uint32(): pa.int64()}
    wide = {pa.large_string(): pa.string(), pa.large_binary(): pa.binary(), pa.null(): pa.int32()}
    return {**unsigned, **wide}.get(kind, kind)


def of_files(session: Any, files: Sequence[str], types: pa.Schema) -> Any:
    """The rows of Parquet files that have some of those columns; the others are NULL."""
    if not files:
        return session.createDataFrame([], _struct(types))
    return session.read.schema(_struct(types)).options(**PATHS_AS_THEY_ARE).parquet(*files)


def united(session: Any, files: Sequence[Path], number: str) -> Any:
    """See `Engine.show`."""
    groups: dict[pa.Schema, list[str]] = {}
    for file in files:
        known = _known(pq.read_schema(file))
        groups.setdefault(known, []).append(str(file))
    spelled: dict[str, tuple[str, pa.DataType]] = {}
    for field in (field for schema in groups for field in schema):
        name, kind = spelled.get(field.name.lower(), (field.name, field.type))
        spelled[field.name.lower()] = name, _wider(kind, field.type)
    every = pa.schema(spelled.values())
    read = [_numbered(of_files(session, paths, schema), number, every) for schema, paths in groups.items()]
    first, *rest = read
    for rows in rest:
        first = first.union(rows)
    return first


def _numbered(rows: Any, number: str, every: pa.Schema) -> Any:
    """`rows` with the columns `every`, and which one of its folder each of them is."""
    if not number:
        return shaped(rows, every)
    own = f"COALESCE({ticked(number)}, {PLACE})" if number in rows.columns else PLACE
    told = [ticked(name) for name in rows.columns if name != number]
    placed = rows.selectExpr(*told, f"{own} AS {ticked(number)}")
    return shaped(placed, every if number in every.names else every.append(pa.field(number, pa.int64())))


def _wider(one: pa.DataType, other: pa.DataType) -> pa.DataType:
    """The type that holds values of both, of files that were written on different days: that of the embedded engine."""
    kinds = {one, other}
    if len(kinds) == 1:
        return one
    if kinds <= WHOLE.keys():
        return max(kinds, key=WHOLE.__getitem__)
    if kinds == {pa.date32(), pa.timestamp("us")}:
        return pa.timestamp("us")
    if all(kind in WHOLE or pa.types.is_decimal(kind) for kind in kinds):
        decimal = [kind if pa.types.is_decimal(kind) else pa.decimal128(WHOLE[kind], 0) for kind in kinds]
        scale = max(kind.scale for kind in decimal)
        return pa.decimal128(min(38, max(kind.precision - kind.scale for kind in decimal) + scale), scale)
    return pa.string()


def shaped(rows: Any, types: pa.Schema, *, keep: bool = False) -> Any:
    """`rows` with columns of those names and types, in that order: one that they do not have is NULL. Or, with those
    that they have beside them.
    """
    has = {name.lower(): name for name in rows.columns}
    struct = _struct(types)
    told = [
        f"CAST({ticked(has[field.name.lower()]) if field.name.lower() in has else 'NULL'} AS"
        f" {field.dataType.simpleString()}) AS {ticked(field.name)}"
        for field in struct
    ]
    others = {name.lower() for name in types.names}
    beside = [ticked(name) for name in rows.columns if keep and name.lower() not in others]
    return rows.selectExpr(*told, *beside)


def storable(rows: Any) -> Any:
    """`rows`, none of whose columns has no type: NULL is a whole number, as the embedded engine has it."""
    bare = [f.name for f in rows.schema if f.dataType.simpleString() == "void"]
    told = [f"CAST(NULL AS INT) AS {ticked(n)}" if n in bare else ticked(n) for n in rows.columns]
    return rows.selectExpr(*told) if bare else rows


def write_parts(rows: Any, folder: Path) -> list[Path]:
    """See `Engine.write_files`."""
    folder.mkdir(parents=True)
    work = folder / "written"
    rows.write.parquet(str(work))
    written = sorted(work.glob("part-*.parquet"))
    parts = [path.rename(folder / f"part-{number:04}.parquet") for number, path in enumerate(written)]
    shutil.rmtree(work)
    return parts


def _struct(types: pa.Schema) -> Any:
    from pyspark.sql.pandas.types import from_arrow_schema

    return from_arrow_schema(types)
