"""What was delivered, as files: read by other machines, each a part of it, or else by this one."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from .engine import Engine
from .errors import EngineFailed, SourceFailed
from .plan import DELETED, SEQUENCE
from .source import Batches, Delivery
from .sql import quoted

OWN = {SEQUENCE: pa.int64(), DELETED: pa.bool_()}  # what each landed row has beside its source's columns


@dataclass(frozen=True)
class Wanted:
    """A delivery that is to become the files of a load, in the folder `work`."""

    delivery: Delivery
    connection: str
    sequence: int
    work: Path


@dataclass(frozen=True)
class Part:
    """A part of a delivery. Called, on whichever machine, it becomes a file; nothing comes back."""

    batches: Batches
    schema: pa.Schema
    sequence: int
    file: Path

    def __call__(self) -> None:
        own = {SEQUENCE: self.sequence, DELETED: False}
        schema = pa.schema([*self.schema, *(pa.field(name, kind) for name, kind in OWN.items())])
        unfinished = self.file.with_suffix(f".{os.getpid()}")  # a machine that is lost may be at it still
        with pq.ParquetWriter(unfinished, schema, compression="zstd", store_schema=False) as writer:
            for batch in self.batches():
                told = [pa.repeat(pa.scalar(own[name], kind), batch.num_rows) for name, kind in OWN.items()]
                writer.write_table(pa.Table.from_arrays([*batch.columns, *told], schema=schema))
        unfinished.replace(self.file)


def ahead(engine: Engine, several: Sequence[Wanted]) -> list[list[Path]]:
    """The files of each whose parts other machines have read, all of them at once; none of what is to be read here. Of
    each connection one part is tried first: databases lock accounts that fail too often.
    """
    whole = list[list[Path]]()
    try:
        parts = [(one, _parts(engine, one)) for one in several]
        first = {one.connection: its[0] for one, its in reversed(parts) if its}
        read = _read_elsewhere(engine, list(first.values()))
        others = [
            part for one, its in parts for part in its if first[one.connection].file in read and part.file not in read
        ]
        read |= _read_elsewhere(engine, others)
        whole = [[part.file for part in its if read.issuperset(each.file for each in its)] for _, its in parts]
    finally:  # interrupted, there is nothing that is whole
        for one, files in zip_longest(several, whole):
            if not files:
                shutil.rmtree(one.work, ignore_errors=True)
    return whole


def _parts(engine: Engine, wanted: Wanted) -> list[Part]:
    if not engine.has_others or not wanted.delivery.elsewhere:
        return []
    try:
        pieces = wanted.delivery.elsewhere()
        wanted.work.mkdir(parents=True)
    except (SourceFailed, OSError):  # it is said again, where it is read
        return []
    schema, files = wanted.delivery.schema, (wanted.work / f"part-{n:04}.parquet" for n in range(len(pieces)))
    return [Part(piece, schema, wanted.sequence, file) for piece, file in zip(pieces, files, strict=True)]


def _read_elsewhere(engine: Engine, parts: Sequence[Part]) -> set[Path]:
    """The files that are there now. Where machines were lost, there are none: it is read here."""
    try:
        done = engine.elsewhere(parts) if parts else []
    except EngineFailed:
        return set()
    return {part.file for part, is_done in zip(parts, done, strict=True) if is_done}


def staged(engine: Engine, wanted: Wanted, came: list[Path] | None = None) -> list[Path]:
    """The files that a delivery became, of which some `came` from other machines ahead of it.

    Raises what the reader raises, `EngineFailed` and `LakeFull`.
    """
    delivery, files = wanted.delivery, ahead(engine, [wanted])[0] if came is None else came
    if files:
        delivery.arrived()
        if delivery.expected in (None, rows_of(files)):
            return files
    if engine.has_others and delivery.elsewhere:
        delivery.warnings.append(f"{delivery.name} could not be read by the executors, and was read by the driver.")
    shutil.rmtree(wanted.work, ignore_errors=True)
    return _read_here(engine, wanted)


def _read_here(engine: Engine, wanted: Wanted) -> list[Path]:
    own = [f"CAST({wanted.sequence} AS BIGINT) AS {SEQUENCE}", f"FALSE AS {DELETED}"]
    columns = ", ".join([*map(quoted, wanted.delivery.schema.names), *own])
    failed = _Watched(wanted.delivery)
    try:
        engine.lend("delivered", failed.reader)  # which may be where it is read, and may fail half-way
        return engine.write_files(f"SELECT {columns} FROM delivered", wanted.work)
    except Exception:
        if failed.error:  # the reader's own error says more than the engine's
            raise failed.error from None
        raise
    finally:
        engine.let_go("delivered")


class _Watched:
    """A delivery's batches as a reader, and the error that stopped them: engines put their own in its place."""

    def __init__(self, delivery: Delivery) -> None:
        self.error: BaseException | None = None
        self.reader = pa.RecordBatchReader.from_batches(delivery.schema, self._batches(delivery))

    def _batches(self, delivery: Delivery) -> Iterator[pa.RecordBatch]:
        try:
            yield from delivery.batches
        except BaseException as error:
            self.error = error
            raise


def rows_of(paths: Sequence[Path]) -> int:
    """How many rows Parquet files have."""
    return sum(pq.read_metadata(path).num_rows for path in paths)
